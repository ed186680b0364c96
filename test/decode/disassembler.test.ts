import { describe, expect, it } from "vitest";
import {
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  DECODE_UNDEFINED,
  Decoder,
} from "../../src/decode/decoder.ts";
import { disassemble } from "../../src/decode/disassembler.ts";

// Literal encodings and their texts, all checked against objdump -M intel by hand. Instructions stand at 0x1000.

type Row = readonly [bytes: string, text: string];

function rows(title: string, codeBits: CodeBits, table: readonly Row[]): void {
  describe(title, () => {
    it.each(table)("%s is %s", (hex, text) => {
      const bytes = bytesOf(hex);
      expect(disassemble(bytes, 0, 0x1000n, codeBits)).toEqual({ text, length: bytes.length });
    });
  });
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

rows("64-bit code: base, index, scale, displacement", 64, [
  ["8b 00", "mov eax,DWORD PTR [rax]"],
  ["8b 40 08", "mov eax,DWORD PTR [rax+0x8]"],
  ["8b 40 f8", "mov eax,DWORD PTR [rax-0x8]"],
  ["8b 80 00 01 00 00", "mov eax,DWORD PTR [rax+0x100]"],
  ["8b 80 00 ff ff ff", "mov eax,DWORD PTR [rax-0x100]"],
  ["8b 03", "mov eax,DWORD PTR [rbx]"],
  ["8b 04 24", "mov eax,DWORD PTR [rsp]"],
  ["8b 44 24 08", "mov eax,DWORD PTR [rsp+0x8]"],
  ["8b 45 00", "mov eax,DWORD PTR [rbp+0x0]"],
  ["8b 45 0a", "mov eax,DWORD PTR [rbp+0xa]"],
  ["41 8b 04 24", "mov eax,DWORD PTR [r12]"],
  ["41 8b 45 00", "mov eax,DWORD PTR [r13+0x0]"],
  ["41 8b 44 24 80", "mov eax,DWORD PTR [r12-0x80]"],
  ["41 8b 07", "mov eax,DWORD PTR [r15]"],
  ["8b 04 48", "mov eax,DWORD PTR [rax+rcx*2]"],
  ["8b 04 88", "mov eax,DWORD PTR [rax+rcx*4]"],
  ["8b 04 c8", "mov eax,DWORD PTR [rax+rcx*8]"],
  ["8b 44 08 10", "mov eax,DWORD PTR [rax+rcx*1+0x10]"],
  ["8b 84 88 00 10 00 00", "mov eax,DWORD PTR [rax+rcx*4+0x1000]"],
  ["8b 04 3c", "mov eax,DWORD PTR [rsp+rdi*1]"],
  ["42 8b 04 20", "mov eax,DWORD PTR [rax+r12*1]"],
  ["8b 04 20", "mov eax,DWORD PTR [rax]"],
  ["8b 04 25 20 00 00 00", "mov eax,DWORD PTR ds:0x20"],
  ["8b 04 25 00 00 00 ff", "mov eax,DWORD PTR ds:0xffffffffff000000"],
  ["8b 04 8d 00 00 00 00", "mov eax,DWORD PTR [rcx*4+0x0]"],
  ["8b 04 8d f0 ff ff ff", "mov eax,DWORD PTR [rcx*4-0x10]"],
  ["42 8b 04 e5 00 00 00 00", "mov eax,DWORD PTR [r12*8+0x0]"],
  ["46 8b 24 e5 00 00 00 00", "mov r12d,DWORD PTR [r12*8+0x0]"],
  ["43 8b 44 e5 7f", "mov eax,DWORD PTR [r13+r12*8+0x7f]"],
  ["8b 44 05 f0", "mov eax,DWORD PTR [rbp+rax*1-0x10]"],
  ["43 8b 84 25 80 00 00 00", "mov eax,DWORD PTR [r13+r12*1+0x80]"],
  ["67 8b 00", "mov eax,DWORD PTR [eax]"],
  ["67 8b 44 24 fc", "mov eax,DWORD PTR [esp-0x4]"],
  ["67 42 8b 04 20", "mov eax,DWORD PTR [eax+r12d*1]"],
  ["67 8b 04 25 10 00 00 80", "mov eax,DWORD PTR ds:0x80000010"],
]);

rows("64-bit code: relative to RIP", 64, [
  ["8b 05 00 00 00 00", "mov eax,DWORD PTR [rip+0x0]        # 0x1006"],
  ["8b 05 10 00 00 00", "mov eax,DWORD PTR [rip+0x10]        # 0x1016"],
  ["8b 05 f0 ff ff ff", "mov eax,DWORD PTR [rip-0x10]        # 0xff6"],
  ["67 8b 05 10 00 00 00", "mov eax,DWORD PTR [eip+0x10]        # 0x1017"],
  ["c7 05 10 00 00 00 78 56 34 12", "mov DWORD PTR [rip+0x10],0x12345678        # 0x101a"],
  ["c6 05 fc ff ff ff 01", "mov BYTE PTR [rip-0x4],0x1        # 0x1003"],
  ["ff 25 00 00 00 00", "jmp QWORD PTR [rip+0x0]        # 0x1006"],
  ["48 8d 05 f9 ff ff ff", "lea rax,[rip-0x7]        # 0x1000"],
  ["f3 0f 10 05 ff ff ff 7f", "movss xmm0,DWORD PTR [rip+0x7fffffff]        # 0x80001007"],
]);

rows("64-bit code: byte, word, double and quad registers", 64, [
  ["88 e0", "mov al,ah"],
  ["88 fc", "mov ah,bh"],
  ["40 88 e0", "mov al,spl"],
  ["40 88 fc", "mov spl,dil"],
  ["44 88 c0", "mov al,r8b"],
  ["41 80 c0 01", "add r8b,0x1"],
  ["b4 01", "mov ah,0x1"],
  ["40 b4 01", "mov spl,0x1"],
  ["41 b4 01", "mov r12b,0x1"],
  ["b9 ff ff ff ff", "mov ecx,0xffffffff"],
  ["66 b9 ff ff", "mov cx,0xffff"],
  ["48 b9 ff ff ff ff ff ff ff ff", "mov rcx,0xffffffffffffffff"],
  ["48 c7 c1 ff ff ff ff", "mov rcx,0xffffffffffffffff"],
  ["66 89 c8", "mov ax,cx"],
  ["48 89 c8", "mov rax,rcx"],
  ["66 48 89 c8", "mov rax,rcx"],
  ["4d 89 ff", "mov r15,r15"],
  ["0f b6 c4", "movzx eax,ah"],
  ["40 0f b6 c4", "movzx eax,spl"],
  ["66 0f b6 c4", "movzx ax,ah"],
  ["48 0f b6 c4", "movzx rax,spl"],
  ["0f b7 c0", "movzx eax,ax"],
  ["48 0f be c0", "movsx rax,al"],
  ["48 63 c1", "movsxd rax,ecx"],
  ["0f c8", "bswap eax"],
  ["49 0f cf", "bswap r15"],
  ["f6 c4 80", "test ah,0x80"],
  ["fe c4", "inc ah"],
]);

rows("64-bit code: immediates", 64, [
  ["83 c0 ff", "add eax,0xffffffff"],
  ["66 83 c0 ff", "add ax,0xffff"],
  ["48 83 c0 ff", "add rax,0xffffffffffffffff"],
  ["04 ff", "add al,0xff"],
  ["66 05 ff 7f", "add ax,0x7fff"],
  ["05 ff ff ff 7f", "add eax,0x7fffffff"],
  ["48 05 ff ff ff 80", "add rax,0xffffffff80ffffff"],
  ["6a 80", "push 0xffffffffffffff80"],
  ["66 6a 80", "pushw 0xff80"],
  ["68 ff ff ff 80", "push 0xffffffff80ffffff"],
  ["66 68 00 80", "pushw 0x8000"],
  ["6b c1 fd", "imul eax,ecx,0xfffffffd"],
  ["69 c1 ff ff ff 7f", "imul eax,ecx,0x7fffffff"],
  ["c8 00 00 00", "enter 0x0,0x0"],
  ["c8 10 00 01", "enter 0x10,0x1"],
  ["cd 80", "int 0x80"],
  ["c1 e0 04", "shl eax,0x4"],
  ["d1 e0", "shl eax,1"],
  ["d3 e0", "shl eax,cl"],
  ["0f a4 c8 ff", "shld eax,ecx,0xff"],
  ["f7 c0 ff ff ff ff", "test eax,0xffffffff"],
  ["c3", "ret"],
  ["c2 08 00", "ret 0x8"],
  ["48 cb", "retfq"],
]);

rows("64-bit code: absolute offsets", 64, [
  ["a0 11 22 33 44 55 66 77 88", "mov al,ds:0x8877665544332211"],
  ["a1 11 22 33 44 55 66 77 88", "mov eax,ds:0x8877665544332211"],
  ["48 a1 11 22 33 44 55 66 77 88", "mov rax,ds:0x8877665544332211"],
  ["66 a3 11 22 33 44 55 66 77 88", "mov ds:0x8877665544332211,ax"],
  ["67 a0 44 33 22 11", "mov al,ds:0x11223344"],
  ["64 48 a1 28 00 00 00 00 00 00 00", "mov rax,fs:0x28"],
]);

rows("64-bit code: segment overrides", 64, [
  ["64 8b 00", "mov eax,DWORD PTR fs:[rax]"],
  ["65 8b 04 25 28 00 00 00", "mov eax,DWORD PTR gs:0x28"],
  ["2e 8b 00", "mov eax,DWORD PTR [rax]"],
  ["64 65 8b 00", "mov eax,DWORD PTR gs:[rax]"],
  ["64 2e 8b 00", "mov eax,DWORD PTR fs:[rax]"],
  ["64 8b 05 10 00 00 00", "mov eax,DWORD PTR fs:[rip+0x10]        # 0x1017"],
  ["65 8d 00", "lea eax,gs:[rax]"],
  ["64 a4", "movs BYTE PTR es:[rdi],BYTE PTR fs:[rsi]"],
  ["65 a5", "movs DWORD PTR es:[rdi],DWORD PTR gs:[rsi]"],
  ["64 aa", "stos BYTE PTR es:[rdi],al"],
  ["64 d7", "xlat BYTE PTR fs:[rbx]"],
]);

rows("64-bit code: prefixes, REX and their order", 64, [
  ["f0 83 00 01", "lock add DWORD PTR [rax],0x1"],
  ["f0 48 0f b1 08", "lock cmpxchg QWORD PTR [rax],rcx"],
  ["f0 87 08", "lock xchg DWORD PTR [rax],ecx"],
  ["f3 a4", "rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]"],
  ["f3 48 ab", "rep stos QWORD PTR es:[rdi],rax"],
  ["f2 ae", "repnz scas al,BYTE PTR es:[rdi]"],
  ["f3 a6", "repz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]"],
  ["f2 a6", "repnz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]"],
  ["f3 c3", "ret"],
  ["f3 90", "pause"],
  ["f3 41 90", "xchg eax,r8d"],
  ["90", "nop"],
  ["41 90", "xchg eax,r8d"],
  ["49 90", "xchg rax,r8"],
  ["66 90", "nop"],
  ["48 90", "nop"],
  ["66 40 01 c8", "add ax,cx"],
  ["40 66 01 c8", "add ax,cx"],
  ["48 66 01 c8", "add ax,cx"],
  ["48 01 c8", "add rax,rcx"],
  ["66 48 01 c8", "add rax,rcx"],
  ["4c 01 c8", "add rax,r9"],
  ["41 01 c8", "add r8d,ecx"],
  ["f2 0f 10 c1", "movsd xmm0,xmm1"],
  ["66 f2 0f 10 c1", "movsd xmm0,xmm1"],
  ["f3 f2 0f 10 c1", "movsd xmm0,xmm1"],
  ["f2 f3 0f 10 c1", "movss xmm0,xmm1"],
  ["66 67 66 65 f2 f3 01 00", "add WORD PTR gs:[eax],ax"],
]);

rows("64-bit code: branches", 64, [
  ["74 00", "je 0x1002"],
  ["74 fe", "je 0x1000"],
  ["0f 84 00 00 00 00", "je 0x1006"],
  ["0f 84 fa ff ff ff", "je 0x1000"],
  ["66 0f 84 00 00 00 00", "je 0x1007"],
  ["eb 10", "jmp 0x1012"],
  ["e9 fb ff ff ff", "jmp 0x1000"],
  ["e8 fb ff ff ff", "call 0x1000"],
  ["66 e8 fb ff ff ff", "call 0x1001"],
  ["ff d0", "call rax"],
  ["41 ff 27", "jmp QWORD PTR [r15]"],
  ["ff 18", "call FWORD PTR [rax]"],
  ["48 ff 18", "call TBYTE PTR [rax]"],
  ["66 ff 18", "call DWORD PTR [rax]"],
  ["48 ff 28", "jmp TBYTE PTR [rax]"],
  ["e3 00", "jrcxz 0x1002"],
  ["67 e3 00", "jecxz 0x1003"],
  ["e2 fe", "loop 0x1000"],
]);

rows("64-bit code: operands of other kinds", 64, [
  ["8e d8", "mov ds,eax"],
  ["8c 18", "mov WORD PTR [rax],ds"],
  ["48 8c d8", "mov rax,ds"],
  ["0f a0", "push fs"],
  ["0f a9", "pop gs"],
  ["0f 20 c0", "mov rax,cr0"],
  ["44 0f 20 c0", "mov rax,cr8"],
  ["0f 23 f8", "mov dr7,rax"],
  ["0f 20 00", "mov rax,cr0"],
  ["0f c7 08", "cmpxchg8b QWORD PTR [rax]"],
  ["48 0f c7 08", "cmpxchg16b XMMWORD PTR [rax]"],
  ["0f 01 f8", "swapgs"],
  ["0f 01 38", "invlpg BYTE PTR [rax]"],
  ["0f 01 10", "lgdt [rax]"],
  ["0f ae 00", "fxsave [rax]"],
  ["48 0f ae 00", "fxsave64 [rax]"],
  ["0f 1f 44 00 00", "nop DWORD PTR [rax+rax*1+0x0]"],
  ["0f ba e0 1f", "bt eax,0x1f"],
  ["48 0f ba 20 07", "bt QWORD PTR [rax],0x7"],
  ["0f a3 c8", "bt eax,ecx"],
  ["0f c1 c8", "xadd eax,ecx"],
  ["0f 95 c0", "setne al"],
  ["0f 44 c8", "cmove ecx,eax"],
  ["98", "cwde"],
  ["48 98", "cdqe"],
  ["66 98", "cbw"],
  ["99", "cdq"],
  ["48 99", "cqo"],
  ["cf", "iret"],
  ["48 cf", "iretq"],
  ["e4 60", "in al,0x60"],
  ["66 ed", "in ax,dx"],
  ["6e", "outs dx,BYTE PTR ds:[rsi]"],
]);

rows("64-bit code: vector registers", 64, [
  ["0f 28 c1", "movaps xmm0,xmm1"],
  ["44 0f 28 c1", "movaps xmm8,xmm1"],
  ["45 0f 28 ff", "movaps xmm15,xmm15"],
  ["0f 28 00", "movaps xmm0,XMMWORD PTR [rax]"],
  ["66 0f 6e c0", "movd xmm0,eax"],
  ["66 48 0f 6e c0", "movq xmm0,rax"],
  ["66 49 0f 7e c7", "movq r15,xmm0"],
  ["0f 6e c0", "movd mm0,eax"],
  ["41 0f 6e c0", "movd mm0,r8d"],
  ["0f 6f c1", "movq mm0,mm1"],
  ["45 0f 6f c1", "movq mm0,mm1"],
  ["f3 0f 7e c1", "movq xmm0,xmm1"],
  ["66 0f d6 00", "movq QWORD PTR [rax],xmm0"],
  ["f2 0f 58 00", "addsd xmm0,QWORD PTR [rax]"],
  ["f3 0f 58 00", "addss xmm0,DWORD PTR [rax]"],
  ["66 0f c4 c0 01", "pinsrw xmm0,eax,0x1"],
  ["66 0f c4 00 01", "pinsrw xmm0,WORD PTR [rax],0x1"],
  ["0f 50 c1", "movmskps eax,xmm1"],
  ["f2 48 0f 2a c0", "cvtsi2sd xmm0,rax"],
  ["f2 0f 2a 00", "cvtsi2sd xmm0,DWORD PTR [rax]"],
  ["0f f7 c1", "maskmovq mm0,mm1"],
  ["66 0f f7 c1", "maskmovdqu xmm0,xmm1"],
  ["0f c6 c1 1b", "shufps xmm0,xmm1,0x1b"],
  ["66 0f 73 d8 04", "psrldq xmm0,0x4"],
]);

rows("64-bit code: x87", 64, [
  ["d8 c1", "fadd st,st(1)"],
  ["dc c1", "fadd st(1),st"],
  ["de c1", "faddp st(1),st"],
  ["de d9", "fcompp"],
  ["d9 c1", "fld st(1)"],
  ["d9 00", "fld DWORD PTR [rax]"],
  ["dd 00", "fld QWORD PTR [rax]"],
  ["db 28", "fld TBYTE PTR [rax]"],
  ["d9 38", "fnstcw WORD PTR [rax]"],
  ["9b", "fwait"],
  ["df e0", "fnstsw ax"],
  ["dd 38", "fnstsw WORD PTR [rax]"],
  ["66 dd 38", "fnstsw WORD PTR [rax]"],
  ["d9 e8", "fld1"],
  ["df e9", "fucomip st,st(1)"],
  ["da c1", "fcmovb st,st(1)"],
]);

rows("32-bit code: addressing", 32, [
  ["8b 00", "mov eax,DWORD PTR [eax]"],
  ["8b 45 00", "mov eax,DWORD PTR [ebp+0x0]"],
  ["8b 44 24 04", "mov eax,DWORD PTR [esp+0x4]"],
  ["8b 05 78 56 34 12", "mov eax,DWORD PTR ds:0x12345678"],
  ["8b 04 25 78 56 34 12", "mov eax,DWORD PTR ds:0x12345678"],
  ["8b 04 85 78 56 34 12", "mov eax,DWORD PTR [eax*4+0x12345678]"],
  ["8b 04 60", "mov eax,DWORD PTR [eax]"],
  ["67 8b 00", "mov eax,DWORD PTR [bx+si]"],
  ["67 8b 46 80", "mov eax,DWORD PTR [bp-0x80]"],
  ["67 8b 06 34 12", "mov eax,DWORD PTR ds:0x1234"],
  ["67 8b 81 00 f0", "mov eax,DWORD PTR [bx+di-0x1000]"],
  ["36 8b 45 00", "mov eax,DWORD PTR ss:[ebp+0x0]"],
  ["3e 8b 45 00", "mov eax,DWORD PTR ds:[ebp+0x0]"],
  ["26 8b 05 78 56 34 12", "mov eax,DWORD PTR es:0x12345678"],
  ["a1 78 56 34 12", "mov eax,ds:0x12345678"],
  ["67 a1 34 12", "mov eax,ds:0x1234"],
  ["64 a1 78 56 34 12", "mov eax,fs:0x12345678"],
]);

rows("32-bit code: 16-bit addressing", 32, [
  ["67 8b 01", "mov eax,DWORD PTR [bx+di]"],
  ["67 8b 02", "mov eax,DWORD PTR [bp+si]"],
  ["67 8b 03", "mov eax,DWORD PTR [bp+di]"],
  ["67 8b 04", "mov eax,DWORD PTR [si]"],
  ["67 8b 05", "mov eax,DWORD PTR [di]"],
  ["67 8b 07", "mov eax,DWORD PTR [bx]"],
  ["67 8b 46 00", "mov eax,DWORD PTR [bp+0x0]"],
  ["67 8b 86 34 12", "mov eax,DWORD PTR [bp+0x1234]"],
]);

rows("32-bit code: instructions that 64-bit code lacks", 32, [
  ["40", "inc eax"],
  ["66 48", "dec ax"],
  ["06", "push es"],
  ["0f a1", "pop fs"],
  ["1f", "pop ds"],
  ["60", "pusha"],
  ["66 61", "popaw"],
  ["27", "daa"],
  ["d4 0a", "aam 0xa"],
  ["ce", "into"],
  ["c5 00", "lds eax,FWORD PTR [eax]"],
  ["66 c4 00", "les ax,DWORD PTR [eax]"],
  ["62 00", "bound eax,QWORD PTR [eax]"],
  ["63 c8", "arpl ax,cx"],
  ["82 c0 01", "add al,0x1"],
  ["ea 78 56 34 12 23 00", "jmp 0x23:0x12345678"],
  ["66 ea 78 56 23 00", "jmp 0x23:0x5678"],
  ["9a 78 56 34 12 23 00", "call 0x23:0x12345678"],
  ["66 e8 fd ff", "callw 0x1001"],
  ["66 c3", "retw"],
  ["66 cf", "iretw"],
]);

rows("16-bit code", 16, [
  ["8b 00", "mov ax,WORD PTR [bx+si]"],
  ["8b 0e 34 12", "mov cx,WORD PTR ds:0x1234"],
  ["8b 4e fe", "mov cx,WORD PTR [bp-0x2]"],
  ["67 8b 04 24", "mov ax,WORD PTR [esp]"],
  ["66 8b 00", "mov eax,DWORD PTR [bx+si]"],
  ["67 66 8b 04 85 00 00 00 00", "mov eax,DWORD PTR [eax*4+0x0]"],
  ["26 a1 34 12", "mov ax,es:0x1234"],
  ["b8 34 12", "mov ax,0x1234"],
  ["66 b8 78 56 34 12", "mov eax,0x12345678"],
  ["ea 00 f0 00 ff", "jmp 0xff00:0xf000"],
  ["66 ea 78 56 34 12 08 00", "jmp 0x8:0x12345678"],
  ["e8 fd ff", "call 0x1000"],
  ["66 e8 fa ff ff ff", "calld 0x1000"],
  ["74 fe", "je 0x1000"],
  ["68 ff ff", "push 0xffff"],
  ["6a 80", "push 0xff80"],
  ["f3 66 a5", "rep movs DWORD PTR es:[di],DWORD PTR ds:[si]"],
  ["67 f3 aa", "rep stos BYTE PTR es:[edi],al"],
  ["e3 fe", "jcxz 0x1000"],
  ["67 e3 fd", "jecxz 0x1000"],
  ["0f 20 c0", "mov eax,cr0"],
  ["0f 01 16 34 12", "lgdt ds:0x1234"],
  ["c8 10 00 01", "enter 0x10,0x1"],
  ["9c", "pushf"],
  ["66 9c", "pushfd"],
  ["cf", "iret"],
  ["66 cf", "iretd"],
]);

describe("the decoder refuses", () => {
  it.each([
    [
      "14 prefixes and one opcode byte is the longest",
      64,
      "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90",
      15,
    ],
    ["15 prefixes", 64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DECODE_TOO_LONG],
    [
      "an immediate that begins at the 15th byte",
      64,
      "66 66 66 66 66 66 66 66 66 66 66 66 66 05 34 12",
      DECODE_TOO_LONG,
    ],
    ["a displacement over the limit", 64, "2e 2e 2e 2e 2e 2e 2e 2e 2e 8b 80 44 33 22 11 00", 15],
    [
      "a displacement a byte over the limit",
      64,
      "2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 8b 80 44 33 22 11",
      DECODE_TOO_LONG,
    ],
    ["no bytes", 64, "", DECODE_TRUNCATED],
    ["prefixes alone", 64, "66 f2", DECODE_TRUNCATED],
    ["a REX alone", 64, "48", DECODE_TRUNCATED],
    ["an escape alone", 64, "0f", DECODE_TRUNCATED],
    ["an opcode without its ModRM", 64, "8b", DECODE_TRUNCATED],
    ["a ModRM without its SIB", 64, "8b 04", DECODE_TRUNCATED],
    ["a SIB without its displacement", 64, "8b 04 25 00 00 00", DECODE_TRUNCATED],
    ["an immediate without its last byte", 64, "48 b8 00 00 00 00 00 00 00", DECODE_TRUNCATED],
    ["15 prefixes with nothing behind", 64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", DECODE_TOO_LONG],
    ["LOCK with a register destination", 64, "f0 01 c8", DECODE_UNDEFINED],
    ["LOCK with a memory source", 64, "f0 03 00", DECODE_UNDEFINED],
    ["LOCK CMP", 64, "f0 39 08", DECODE_UNDEFINED],
    ["LOCK MOV", 64, "f0 89 08", DECODE_UNDEFINED],
    ["LOCK BT", 64, "f0 0f a3 08", DECODE_UNDEFINED],
    ["LEA of a register", 64, "8d c0", DECODE_UNDEFINED],
    ["a VEX prefix of a map that does not exist", 64, "c4 00 00", DECODE_UNDEFINED],
    ["PUSH ES in 64-bit code", 64, "06", DECODE_UNDEFINED],
    ["a far call by immediate in 64-bit code", 64, "9a 00 00 00 00 00 00", DECODE_UNDEFINED],
    ["BOUND of a register", 32, "62 c0", DECODE_UNDEFINED],
    ["C6 with a digit but 0", 64, "c6 08 00", DECODE_UNDEFINED],
    ["FE with a digit above 1", 64, "fe 10", DECODE_UNDEFINED],
    ["FF /7", 64, "ff 38", DECODE_UNDEFINED],
    ["8F with a digit but 0", 64, "8f 08", DECODE_UNDEFINED],
    ["MOVNTI with a mandatory prefix", 64, "66 0f c3 08", DECODE_UNDEFINED],
    ["MOVNTI of a register", 64, "0f c3 c8", DECODE_UNDEFINED],
  ] as const)("%s (%i-bit, %s): %i", (_title, codeBits, hex, outcome) => {
    const bytes = bytesOf(hex);
    expect(new Decoder().decode(bytes, 0, bytes.length, codeBits)).toBe(outcome);
  });

  it("bytes behind the end, though they are there", () => {
    expect(new Decoder().decode(bytesOf("48 b8 00 00 00 00 00 00 00 00"), 0, 9, 64)).toBe(DECODE_TRUNCATED);
  });

  it("and says so in the text", () => {
    expect(disassemble(bytesOf("ff 38"), 0, 0n, 64)).toEqual({ text: "(bad)", length: 1 });
    expect(disassemble(bytesOf("8b 04"), 0, 0n, 64)).toEqual({ text: "(truncated)", length: 2 });
    expect(disassemble(new Uint8Array(16).fill(0x66), 0, 0n, 64)).toEqual({ text: "(too long)", length: 1 });
  });
});

describe("the decoder starts anew", () => {
  it("with each instruction: prefixes of the last one do not count", () => {
    const bytes = bytesOf("f0 64 66 48 01 08 01 08");
    expect(disassemble(bytes, 0, 0n, 64).text).toBe("lock add QWORD PTR fs:[rax],rcx");
    expect(disassemble(bytes, 6, 0n, 64).text).toBe("add DWORD PTR [rax],ecx");
  });
});
