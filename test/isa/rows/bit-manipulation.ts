import type { Row } from "../row.ts";

// POPCNT, LZCNT, MOVBE, CRC32, BMI1, BMI2 and ADX. What a row says is in row.ts.

// biome-ignore format: a table
export const bitManipulation64: readonly Row[] = [
  ["popcnt eax,ebx", "f3 0f b8 c3", "rax=ffffffffffffffff rbx=f0f00001 CF OF SF AF PF", "rax=9"],
  ["popcnt ax,bx", "66 f3 0f b8 c3", "rax=aaaa0000 rbx=ffff0000 CF", "rax=aaaa0000 ZF"],
  ["popcnt rax,QWORD PTR [rdi]", "f3 48 0f b8 07", "rdi=10001000 [10001000]=ffffffffffffffff", "rax=40"],
  ["lzcnt eax,ebx", "f3 0f bd c3", "rbx=1 CF ZF", "rax=1f SF? PF? AF? OF?"],
  ["lzcnt eax,ebx", "f3 0f bd c3", "rbx=80000000", "rax=0 ZF SF? PF? AF? OF?"],
  ["lzcnt ax,bx", "66 f3 0f bd c3", "rax=50000 rbx=0", "rax=50010 CF SF? PF? AF? OF?"],
  ["lzcnt rax,rbx", "f3 48 0f bd c3", "rbx=0", "rax=40 CF SF? PF? AF? OF?"],
  ["tzcnt eax,ebx", "f3 0f bc c3", "rbx=fffffffe", "rax=1 SF? PF? AF? OF?"],
  ["tzcnt eax,ebx", "f3 0f bc c3", "rbx=1", "rax=0 ZF SF? PF? AF? OF?"],
  ["tzcnt rax,rbx", "f3 48 0f bc c3", "rbx=0 ZF", "rax=40 CF SF? PF? AF? OF?"],
  ["movbe eax,DWORD PTR [rdi]", "0f 38 f0 07", "rdi=10001000 [10001000]=1122334455667788", "rax=88776655"],
  ["movbe ax,WORD PTR [rdi]", "66 0f 38 f0 07", "rax=ffffffff rdi=10001000 [10001000]=1234", "rax=ffff3412"],
  ["movbe QWORD PTR [rdi],rax", "48 0f 38 f1 07", "rax=102030405060708 rdi=10001000", "[10001000]=807060504030201"],
  // The check value of CRC-32C is that of "123456789"; here its first eight bytes, without the final inversion.
  ["crc32 rax,rbx", "f2 48 0f 38 f1 c3", "rax=ffffffff rbx=3837363534333231", "rax=9f787f65"],
  ["crc32 eax,bl", "f2 0f 38 f0 c3", "rax=ffffffff00000000 rbx=1", "rax=f26b8303"],
  ["crc32 eax,ebx", "f2 0f 38 f1 c3", "rax=0 rbx=0", ""],
  ["andn eax,ebx,ecx", "c4 e2 60 f2 c1", "rax=ffffffffffffffff rbx=f rcx=ff CF OF", "rax=f0 AF? PF?"],
  ["andn rax,rbx,rcx", "c4 e2 e0 f2 c1", "rbx=1 rcx=8000000000000001", "rax=8000000000000000 SF AF? PF?"],
  ["bextr eax,ebx,ecx", "c4 e2 70 f7 c3", "rbx=12345678 rcx=804", "rax=67 AF? SF? PF?"],
  ["bextr eax,ebx,ecx", "c4 e2 70 f7 c3", "rbx=ffffffff rcx=820", "rax=0 ZF AF? SF? PF?"],
  ["blsi eax,ebx", "c4 e2 78 f3 db", "rbx=c", "rax=4 CF AF? PF?"],
  ["blsi rax,rbx", "c4 e2 f8 f3 db", "rbx=0 CF", "ZF AF? PF?"],
  ["blsmsk eax,ebx", "c4 e2 78 f3 d3", "rbx=8", "rax=f AF? PF?"],
  ["blsmsk eax,ebx", "c4 e2 78 f3 d3", "rbx=0", "rax=ffffffff CF SF AF? PF?"],
  ["blsr eax,ebx", "c4 e2 78 f3 cb", "rbx=c CF", "rax=8 AF? PF?"],
  ["blsr eax,ebx", "c4 e2 78 f3 cb", "rbx=0", "CF ZF AF? PF?"],
  ["bzhi eax,ebx,ecx", "c4 e2 70 f5 c3", "rbx=ffffffff rcx=104", "rax=f AF? PF?"],
  ["bzhi eax,ebx,ecx", "c4 e2 70 f5 c3", "rbx=ffffffff rcx=20", "rax=ffffffff CF SF AF? PF?"],
  ["mulx eax,ebx,ecx", "c4 e2 63 f6 c1", "rdx=ffffffff rcx=ffffffff CF OF", "rax=fffffffe rbx=1 CF OF"],
  ["mulx rax,rax,rcx", "c4 e2 fb f6 c1", "rdx=8000000000000000 rcx=6", "rax=3"],
  ["pdep eax,ebx,ecx", "c4 e2 63 f5 c1", "rbx=5 rcx=f0f0", "rax=50"],
  ["pdep rax,rbx,rcx", "c4 e2 e3 f5 c1", "rbx=3 rcx=8000000000000001", "rax=8000000000000001"],
  ["pext eax,ebx,ecx", "c4 e2 62 f5 c1", "rbx=12345678 rcx=ff00ff00", "rax=1256"],
  ["rorx eax,ebx,0x4", "c4 e3 7b f0 c3 04", "rbx=12345678 CF", "rax=81234567 CF"],
  ["rorx rax,rbx,0x41", "c4 e3 fb f0 c3 41", "rbx=1", "rax=8000000000000000"],
  ["sarx eax,ebx,ecx", "c4 e2 72 f7 c3", "rbx=80000000 rcx=3f ZF", "rax=ffffffff ZF"],
  ["shlx eax,ebx,ecx", "c4 e2 71 f7 c3", "rbx=1 rcx=24 SF", "rax=10 SF"],
  ["shrx rax,rbx,rcx", "c4 e2 f3 f7 c3", "rbx=8000000000000000 rcx=7f", "rax=1"],
  ["adcx eax,ebx", "66 0f 38 f6 c3", "rax=ffffffff rbx=0 CF OF ZF", "rax=0 CF OF ZF"],
  ["adcx rax,rbx", "66 48 0f 38 f6 c3", "rax=1 rbx=1 CF", "rax=3"],
  ["adox eax,ebx", "f3 0f 38 f6 c3", "rax=ffffffff rbx=1 CF", "rax=0 CF OF"],
  ["adox eax,ebx", "f3 0f 38 f6 c3", "rax=1 rbx=1 OF", "rax=3"],
];

// biome-ignore format: a table
export const bitManipulation32: readonly Row[] = [
  ["andn eax,ebx,ecx", "c4 e2 60 f2 c1", "rbx=f rcx=ff", "rax=f0 AF? PF?"],
  // VEX.W does not count.
  ["andn eax,ebx,ecx", "c4 e2 e0 f2 c1", "rbx=f rcx=ff", "rax=f0 AF? PF?"],
  ["shlx eax,DWORD PTR [edi],ecx", "c4 e2 71 f7 07", "rdi=2000 rcx=4 [2000]=1", "rax=10"],
  ["popcnt eax,ebx", "f3 0f b8 c3", "rbx=7", "rax=3"],
];
