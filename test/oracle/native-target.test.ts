import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialImage } from "./corner-values.ts";
import { type NativeTarget, nativeUnavailable, openNativeTarget } from "./native-target.ts";
import {
  CODE_BASE,
  MEMORY_BYTES,
  PAGE_BYTES,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_SYSCALL,
  STATUS_TIMEOUT,
  type TestCase,
  WRITABLE_CODE,
} from "./protocol.ts";
import { runCase, runCases } from "./target.ts";

const unavailable = nativeUnavailable();
if (unavailable !== undefined) console.warn(`native oracle tests skipped: ${unavailable}`);

const RAX = 0,
  RCX = 1,
  RSP = 4,
  RSI = 6,
  RDI = 7; // prettier-ignore

interface Setup extends Partial<Omit<TestCase, "registers">> {
  registers?: Record<number, bigint>;
}

function testCase(code: string, { registers = {}, ...rest }: Setup = {}): TestCase {
  return {
    code: Uint8Array.from(Buffer.from(code.replaceAll(" ", ""), "hex")),
    codeOffset: 0,
    noExit: false,
    rflags: 0x202n,
    fsBase: 0n,
    gsBase: 0n,
    registers: Array.from({ length: 16 }, (_, i) => registers[i] ?? 0n),
    image: initialImage(),
    memory: new Uint8Array(MEMORY_BYTES),
    patches: [],
    ...rest,
  };
}

describe.skipIf(unavailable !== undefined)("the native runner", () => {
  let native: NativeTarget;
  beforeAll(async () => {
    native = await openNativeTarget();
  });
  afterAll(async () => {
    await native.close();
  });

  test("ADD carries out of bit 63 and leaves the other registers alone", async () => {
    const c = testCase("48 01 c8", { registers: { [RAX]: 2n ** 64n - 1n, [RCX]: 1n } }); // add rax, rcx
    const r = await runCase(native, c);
    expect(r.status).toBe(STATUS_EXIT);
    expect(r.rip).toBe(0x2000_0003n);
    expect(r.rflags).toBe(0x257n); // cf pf af zf, IF
    expect(r.registers).toEqual([0n, 1n, ...Array<bigint>(14).fill(0n)]);
    expect(r.changedWords).toBe(0);
    expect(r.image).toEqual(c.image);
  });

  test("RSP and the initial flags are the case's", async () => {
    const r = await runCase(
      native,
      testCase("9c", { registers: { [RSP]: 0x1000_2010n }, rflags: 0x8d7n | 0x400n }),
    ); // pushfq
    expect(r.registers[RSP]).toBe(0x1000_2008n);
    expect(r.rflags).toBe(0xed7n);
    expect(r.changes).toEqual([{ address: 0x1000_2008, value: 0xed7n }]);
  });

  test("memory is restored between cases", async () => {
    const store = testCase("48 89 07", { registers: { [RAX]: 7n, [RDI]: 0x1000_1ffcn } }); // mov [rdi], rax
    const load = testCase("48 8b 07", { registers: { [RDI]: 0x1000_1ffcn } }); // mov rax, [rdi]
    const [first, second] = await runCases(native, [store, load]);
    expect(first!.changes).toEqual([{ address: 0x1000_1ff8, value: 7n << 32n }]);
    expect(second!.registers[RAX]).toBe(0n);
    expect(second!.changedWords).toBe(0);
  });

  test("a patch changes memory for its case only", async () => {
    const load = (patches: TestCase["patches"]) =>
      testCase("48 8b 07", { registers: { [RDI]: 0x1000_3000n }, patches });
    const [first, second] = await runCases(native, [load([{ address: 0x1000_3000, value: 9n }]), load([])]);
    expect(first!.registers[RAX]).toBe(9n);
    expect(second!.registers[RAX]).toBe(0n);
  });

  test("a write to a read-only page is #PF with the present, write and user bits", async () => {
    const r = await runCase(native, testCase("c6 07 01", { registers: { [RDI]: 0x1000_3004n } })); // mov byte [rdi], 1
    expect([r.status, r.vector, r.errorCode, r.cr2, r.rip]).toEqual([
      STATUS_FAULT,
      14,
      7,
      0x1000_3004n,
      0x2000_0000n,
    ]);
  });

  test("a read of an unmapped page is #PF with the user bit", async () => {
    const r = await runCase(native, testCase("8a 07", { registers: { [RDI]: 0x1000_4000n } })); // mov al, [rdi]
    expect([r.status, r.vector, r.errorCode, r.cr2]).toEqual([STATUS_FAULT, 14, 4, 0x1000_4000n]);
  });

  test("a non-canonical address is #GP, or #SS for the stack", async () => {
    const registers = { [RSP]: 1n << 63n, [RDI]: 1n << 63n };
    const [data, stack] = await runCases(native, [
      testCase("8a 07", { registers }),
      testCase("50", { registers }),
    ]); // mov al, [rdi]; push rax
    expect([data!.vector, data!.errorCode]).toEqual([13, 0]);
    expect([stack!.vector, stack!.errorCode]).toEqual([12, 0]);
  });

  test("division by zero is #DE, and UD2 is #UD", async () => {
    const [divide, undefinedOpcode] = await runCases(native, [testCase("f7 f1"), testCase("0f 0b")]); // div ecx; ud2
    expect([divide!.status, divide!.vector, divide!.rip]).toEqual([STATUS_FAULT, 0, 0x2000_0000n]);
    expect([undefinedOpcode!.status, undefinedOpcode!.vector]).toEqual([STATUS_FAULT, 6]);
  });

  test("INT3 reports the address behind it", async () => {
    const r = await runCase(native, testCase("cc"));
    expect([r.status, r.vector, r.rip]).toEqual([STATUS_FAULT, 3, 0x2000_0001n]);
  });

  test("execution that runs off its page is an instruction-fetch #PF", async () => {
    const r = await runCase(
      native,
      testCase("90 b8 01 00", { noExit: true, codeOffset: 2 * PAGE_BYTES - 4 }),
    ); // nop; mov eax, ...
    expect([r.vector, r.errorCode, r.cr2, r.rip]).toEqual([14, 0x14, 0x2000_2000n, 0x2000_1ffdn]);
  });

  test("a jump to a data page is #PF with the fetch bit", async () => {
    const r = await runCase(native, testCase("ff e7", { registers: { [RDI]: 0x1000_1000n } })); // jmp rdi
    expect([r.vector, r.errorCode, r.cr2, r.rip]).toEqual([14, 0x15, 0x1000_1000n, 0x1000_1000n]);
  });

  test("a case may rewrite its own code", async () => {
    const codeOffset = WRITABLE_CODE - CODE_BASE;
    const r = await runCase(native, testCase("c6 05 01000000 07 b0 00", { codeOffset })); // mov byte [rip+1], 7; mov al, 0
    expect(r.registers[RAX]).toBe(7n);
    expect(r.changes).toHaveLength(1);
  });

  test("FS and GS bases are the case's where they can be set", async (context) => {
    if (!native.host.settableBases) context.skip();
    const bases = { fsBase: 0x1000_1000n, gsBase: 0x1000_1008n };
    const c = testCase("64 48 8b 06 65 48 89 06", {
      ...bases,
      patches: [{ address: 0x1000_1000, value: 5n }],
    }); // mov rax, fs:[rsi]; mov gs:[rsi], rax
    const r = await runCase(native, c);
    expect(r.changes).toEqual([{ address: 0x1000_1008, value: 5n }]);
    expect([r.fsBase, r.gsBase]).toEqual([bases.fsBase, bases.gsBase]);
  });

  test("SSE results and the sticky flags of MXCSR come back", async () => {
    const image = initialImage();
    new DataView(image.buffer).setFloat64(160, 1, true);
    new DataView(image.buffer).setFloat64(176, 3, true);
    const r = await runCase(native, testCase("f2 0f 5e c1", { image })); // divsd xmm0, xmm1
    const view = new DataView(r.image.buffer);
    expect(view.getFloat64(160, true)).toBe(1 / 3);
    expect(view.getUint32(24, true)).toBe(0x1fa0);
  });

  test("an unmasked SSE exception is #XM, an unmasked x87 one #MF at the next instruction", async () => {
    const image = initialImage();
    new DataView(image.buffer).setUint32(24, 0, true);
    new DataView(image.buffer).setUint16(0, 0x340, true);
    // divss xmm0, xmm0; and fldz; fdiv st0, st0; fwait
    const [simd, x87] = await runCases(native, [
      testCase("f3 0f 5e c0", { image }),
      testCase("d9 ee d8 f0 9b", { image }),
    ]);
    expect([simd!.vector, simd!.rip]).toEqual([19, 0x2000_0000n]);
    expect([x87!.vector, x87!.rip]).toEqual([16, 0x2000_0004n]);
  });

  test("a repeated store stops at the unmapped page with its progress in the registers", async () => {
    const c = testCase("f3 aa", { registers: { [RAX]: 1n, [RCX]: 100n, [RDI]: 0x1000_6fe0n } }); // rep stosb
    const r = await runCase(native, c);
    expect([r.vector, r.errorCode, r.cr2]).toEqual([14, 6, 0x1000_7000n]);
    expect([r.registers[RCX], r.registers[RDI], r.changedWords]).toEqual([68n, 0x1000_7000n, 4]);
  });

  test("an endless loop times out, and the next case is not harmed", async () => {
    const [loop, next] = await runCases(native, [testCase("48 ff c0 eb fb"), testCase("ff c0")]); // inc rax; jmp back; and inc eax
    expect(loop!.status).toBe(STATUS_TIMEOUT);
    expect(next!.registers[RAX]).toBe(1n);
  });

  test("a system call, 64 or 32-bit, is stopped and reported", async () => {
    const registers = { [RAX]: 60n, [RSI]: 1n }; // exit
    const [fast, legacy] = await runCases(native, [
      testCase("0f 05", { registers }),
      testCase("cd 80", { registers: { [RAX]: 1n } }),
    ]);
    expect(fast!.status).toBe(STATUS_SYSCALL);
    expect(legacy!.status).toBe(STATUS_SYSCALL);
    expect(native.restarts).toBe(0);
  });
});
