import type { Row } from "../row.ts";

// String instructions. What a row says is in row.ts.

// biome-ignore format: a table
export const strings64: readonly Row[] = [
  ["movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]", "a4", "rsi=10001000 rdi=10001010 [10001000]=55", "rsi=10001001 rdi=10001011 [10001010]=55"],
  ["movs QWORD PTR es:[rdi],QWORD PTR ds:[rsi]", "48 a5", "rsi=10001008 rdi=10001018 [10001008]=77 DF", "rsi=10001000 rdi=10001010 [10001018]=77 DF"],
  ["rep movs DWORD PTR es:[rdi],DWORD PTR ds:[rsi]", "f3 a5", "rcx=2 rsi=10001000 rdi=10001010 [10001000]=1111111122222222", "rcx=0 rsi=10001008 rdi=10001018 [10001010]=1111111122222222"],
  ["rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]", "f3 a4", "rcx=4 rsi=10001000 rdi=10001001 [10001000]=ab", "rcx=0 rsi=10001004 rdi=10001005 [10001000]=ababababab"],
  ["rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]", "f3 a4", "rcx=0 rsi=0 rdi=0", ""],
  ["movs BYTE PTR es:[edi],BYTE PTR ds:[esi]", "67 a4", "rsi=ffffffff10001000 rdi=ffffffff10001010 [10001000]=55", "rsi=10001001 rdi=10001011 [10001010]=55"],
  ["stos BYTE PTR es:[rdi],al", "aa", "rax=aa rdi=10001000", "rdi=10001001 [10001000]=aa"],
  ["rep stos WORD PTR es:[rdi],ax", "f3 66 ab", "rax=1234 rcx=3 rdi=10001000", "rcx=0 rdi=10001006 [10001000]=123412341234"],
  ["rep stos QWORD PTR es:[rdi],rax", "f3 48 ab", "rax=5 rcx=1 rdi=10001000", "rcx=0 rdi=10001008 [10001000]=5"],
  ["lods al,BYTE PTR ds:[rsi]", "ac", "rax=ffffffffffffffff rsi=10001000 [10001000]=12", "rax=ffffffffffffff12 rsi=10001001"],
  ["lods eax,DWORD PTR ds:[rsi]", "ad", "rax=ffffffffffffffff rsi=10001000 [10001000]=12345678", "rax=12345678 rsi=10001004"],
  ["rep lods rax,QWORD PTR ds:[rsi]", "f3 48 ad", "rcx=2 rsi=10001000 [10001008]=9", "rax=9 rcx=0 rsi=10001010"],
  ["cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]", "a6", "rsi=10001000 rdi=10001008 [10001000]=5 [10001008]=6", "rsi=10001001 rdi=10001009 CF PF AF SF"],
  ["repz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]", "f3 a6", "rcx=8 rsi=10001000 rdi=10001008 [10001000]=030201 [10001008]=040201", "rcx=5 rsi=10001003 rdi=1000100b CF PF AF SF"],
  ["repnz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]", "f2 a6", "rcx=3 rsi=10001000 rdi=10001008 [10001000]=010203 [10001008]=050205", "rcx=1 rsi=10001002 rdi=1000100a PF ZF"],
  ["scas al,BYTE PTR es:[rdi]", "ae", "rax=5 rdi=10001000 [10001000]=5", "rdi=10001001 PF ZF"],
  ["repnz scas al,BYTE PTR es:[rdi]", "f2 ae", "rax=0 rcx=10 rdi=10001000 [10001000]=0011223344", "rcx=b rdi=10001005 PF ZF"],
  ["repz scas eax,DWORD PTR es:[rdi]", "f3 af", "rcx=4 rdi=10001000 [10001008]=1", "rcx=1 rdi=1000100c CF PF AF SF"],
  ["ins BYTE PTR es:[rdi],dx", "6c", "", "#GP"],
  ["outs dx,BYTE PTR ds:[rsi]", "6e", "", "#GP"],
];

// biome-ignore format: a table
export const strings32: readonly Row[] = [
  ["movs BYTE PTR es:[edi],BYTE PTR ds:[esi]", "a4", "rsi=2000 rdi=2010 [2000]=55", "rsi=2001 rdi=2011 [2010]=55"],
  ["stos BYTE PTR es:[di],al", "67 aa", "rax=7 rdi=12002", "rdi=12003 [2000]=70000"],
];
