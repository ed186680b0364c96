// Rows by hand from the manual's descriptions of vector instructions, run by the interpreter.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialImage } from "../oracle/corner-values.ts";
import { interpreterUnavailable, openInterpreterTarget } from "../oracle/interpreter-target.ts";
import { MEMORY_BYTES, type TestCase } from "../oracle/protocol.ts";
import { type ExecutionTarget, runCase } from "../oracle/target.ts";

const unavailable = interpreterUnavailable();
const RAX = 0;
const RDI = 7;
/** Where the operand in memory lies, and whether it is aligned. */
const ALIGNED = 0x1000_1000;
const MISALIGNED = 0x1000_1008;

interface Setup {
  readonly xmm0?: string;
  readonly xmm1?: string;
  readonly mm0?: string;
  readonly mm1?: string;
  readonly rax?: bigint;
  readonly rdi?: bigint;
  readonly mxcsr?: number;
  readonly fsBase?: bigint;
  /** Two 8-byte words at ALIGNED. */
  readonly memory?: readonly [low: bigint, high: bigint];
}

const IMAGE_MM = 32;
const IMAGE_XMM = 160;
const IMAGE_MXCSR = 24;
const IMAGE_TAGS = 4;

/** Writes a register that is given as in the manual: the highest digit first. */
function place(image: Uint8Array, at: number, digits: string | undefined): void {
  if (digits === undefined) return;
  image.set(Buffer.from(digits.replaceAll("_", ""), "hex").reverse(), at);
}

function testCase(code: string, setup: Setup): TestCase {
  const image = initialImage();
  place(image, IMAGE_XMM, setup.xmm0);
  place(image, IMAGE_XMM + 16, setup.xmm1);
  place(image, IMAGE_MM, setup.mm0);
  place(image, IMAGE_MM + 16, setup.mm1);
  new DataView(image.buffer).setUint32(IMAGE_MXCSR, setup.mxcsr ?? 0x1f80, true);
  const registers = Array<bigint>(16).fill(0n);
  registers[RAX] = setup.rax ?? 0n;
  registers[RDI] = setup.rdi ?? BigInt(ALIGNED);
  const [low, high] = setup.memory ?? [0n, 0n];
  return {
    code: Uint8Array.from(Buffer.from(code.replaceAll(" ", ""), "hex")),
    codeOffset: 0,
    noExit: false,
    rflags: 0x202n,
    fsBase: setup.fsBase ?? 0n,
    gsBase: 0n,
    registers,
    image,
    memory: new Uint8Array(MEMORY_BYTES),
    patches: [
      { address: ALIGNED, value: low },
      { address: ALIGNED + 8, value: high },
    ],
  };
}

function read(image: Uint8Array, at: number, bytes: number): string {
  return Buffer.from(image.slice(at, at + bytes))
    .reverse()
    .toString("hex");
}

describe.skipIf(unavailable !== undefined)("vector instructions", () => {
  let interpreter: ExecutionTarget;
  beforeAll(async () => {
    interpreter = await openInterpreterTarget();
  });
  afterAll(async () => {
    await interpreter.close();
  });

  const run = async (code: string, setup: Setup) => {
    const result = await runCase(interpreter, testCase(code, setup));
    return {
      vector: result.vector,
      rax: result.registers[RAX]!,
      flags: Number(result.rflags) & 0x8d5,
      xmm0: read(result.image, IMAGE_XMM, 16),
      mm0: read(result.image, IMAGE_MM, 8),
      mxcsr: new DataView(result.image.buffer).getUint32(IMAGE_MXCSR, true),
      tags: result.image[IMAGE_TAGS],
      changes: result.changes,
    };
  };

  const A = "0f0e0d0c0b0a09080706050403020100";
  const B = "1f1e1d1c1b1a19181716151413121110";

  test.each([
    ["66 0f fc c1", "paddb xmm0, xmm1", "807f00ff".repeat(4), "01".repeat(16), "81800100".repeat(4)],
    ["66 0f ec c1", "paddsb xmm0, xmm1", "7f80ff01".repeat(4), "017fff01".repeat(4), "7ffffe02".repeat(4)],
    ["66 0f d8 c1", "psubusb xmm0, xmm1", "00ff1020".repeat(4), "01ff2010".repeat(4), "00000010".repeat(4)],
    ["66 0f e0 c1", "pavgb xmm0, xmm1", "00ff01ff".repeat(4), "01ff02fe".repeat(4), "01ff02ff".repeat(4)],
    ["66 0f e5 c1", "pmulhw xmm0, xmm1", "8000".repeat(8), "7fff".repeat(8), "c000".repeat(8)],
    ["66 0f e4 c1", "pmulhuw xmm0, xmm1", "8000".repeat(8), "ffff".repeat(8), "7fff".repeat(8)],
    ["66 0f f5 c1", "pmaddwd xmm0, xmm1", "80008000".repeat(4), "80008000".repeat(4), "80000000".repeat(4)],
    [
      "66 0f f4 c1",
      "pmuludq xmm0, xmm1",
      "00000007ffffffff".repeat(2),
      "00000009ffffffff".repeat(2),
      "fffffffe00000001".repeat(2),
    ],
    [
      "66 0f f6 c1",
      "psadbw xmm0, xmm1",
      "ff".repeat(16),
      `${"00".repeat(15)}ff`,
      "00000000000007f800000000000006f9",
    ],
    [
      "66 0f 66 c1",
      "pcmpgtd xmm0, xmm1",
      "80000000000000017fffffff00000000",
      "00000001800000007ffffffe00000000",
      "00000000ffffffffffffffff00000000",
    ],
    ["66 0f df c1", "pandn xmm0, xmm1", "f0".repeat(16), "ff".repeat(16), "0f".repeat(16)],
    ["66 0f 71 f0 04", "psllw xmm0, 4", "1234".repeat(8), B, "2340".repeat(8)],
    ["66 0f 71 f0 10", "psllw xmm0, 16", "ffff".repeat(8), B, "0000".repeat(8)],
    ["66 0f 72 e0 ff", "psrad xmm0, 255", "800000007fffffff".repeat(2), B, "ffffffff00000000".repeat(2)],
    ["66 0f 73 f8 03", "pslldq xmm0, 3", A, B, "0c0b0a09080706050403020100000000"],
    ["66 0f 73 d8 0f", "psrldq xmm0, 15", A, B, "0000000000000000000000000000000f"],
    ["66 0f 73 d8 10", "psrldq xmm0, 16", A, B, "00000000000000000000000000000000"],
    ["66 0f d3 c1", "psrlq xmm0, xmm1", "ff".repeat(16), "00000000000000000000000100000000", "00".repeat(16)],
    [
      "66 0f 63 c1",
      "packsswb xmm0, xmm1",
      "007f0080ff80ff7f7fff8000ffff0001",
      "0000".repeat(8),
      "0000000000000000" + "7f7f80807f80ff01",
    ],
    [
      "66 0f 67 c1",
      "packuswb xmm0, xmm1",
      "007f0080ff80ff7f7fff8000ffff0001",
      "00ff".repeat(8),
      "ffffffffffffffff" + "7f800000ff000001",
    ],
    ["66 0f 60 c1", "punpcklbw xmm0, xmm1", A, B, "17071606150514041303120211011000"],
    ["66 0f 6d c1", "punpckhqdq xmm0, xmm1", A, B, "1f1e1d1c1b1a19180f0e0d0c0b0a0908"],
    ["66 0f 70 c1 1b", "pshufd xmm0, xmm1, 0x1b", A, B, "1312111017161514" + "1b1a19181f1e1d1c"],
    ["f2 0f 70 c1 1b", "pshuflw xmm0, xmm1, 0x1b", A, B, "1f1e1d1c1b1a1918" + "1110131215141716"],
    ["f3 0f 70 c1 e1", "pshufhw xmm0, xmm1, 0xe1", A, B, "1f1e1d1c19181b1a" + "1716151413121110"],
    ["0f c6 c1 4e", "shufps xmm0, xmm1, 0x4e", A, B, "1716151413121110" + "0f0e0d0c0b0a0908"],
    ["66 0f c6 c1 01", "shufpd xmm0, xmm1, 1", A, B, "1716151413121110" + "0f0e0d0c0b0a0908"],
    ["0f 12 c1", "movhlps xmm0, xmm1", A, B, "0f0e0d0c0b0a0908" + "1f1e1d1c1b1a1918"],
    ["0f 16 c1", "movlhps xmm0, xmm1", A, B, "1716151413121110" + "0706050403020100"],
    ["f3 0f 10 c1", "movss xmm0, xmm1", A, B, "0f0e0d0c0b0a09080706050413121110"],
    ["f3 0f 7e c1", "movq xmm0, xmm1", A, B, "00000000000000001716151413121110"],
  ])("%s  %s", async (code, _text, xmm0, xmm1, expected) => {
    expect((await run(code, { xmm0, xmm1 })).xmm0).toBe(expected);
  });

  test("movss xmm0, [rdi] clears the rest of the register", async () => {
    const { xmm0 } = await run("f3 0f 10 07", { xmm0: A, memory: [0x1122_3344_5566_7788n, 0n] });
    expect(xmm0).toBe("00000000000000000000000055667788");
  });

  test("addss xmm0, xmm1 keeps the upper lanes of xmm0: 1.5 + 2.25 = 3.75", async () => {
    const { xmm0 } = await run("f3 0f 58 c1", {
      xmm0: `${"11".repeat(12)}3fc00000`,
      xmm1: `${"22".repeat(12)}40100000`,
    });
    expect(xmm0).toBe(`${"11".repeat(12)}40700000`);
  });

  test("addps xmm0, xmm1 with two quiet NaNs gives the first operand's", async () => {
    const { xmm0 } = await run("0f 58 c1", { xmm0: "7fc00001".repeat(4), xmm1: "ffc00002".repeat(4) });
    expect(xmm0).toBe("7fc00001".repeat(4));
  });

  test("minss xmm0, xmm1 with a NaN gives the second operand and is invalid", async () => {
    const { xmm0, mxcsr } = await run("f3 0f 5d c1", {
      xmm0: `${"00".repeat(12)}7fc00000`,
      xmm1: `${"00".repeat(12)}3f800000`,
    });
    expect(xmm0).toBe(`${"00".repeat(12)}3f800000`);
    expect(mxcsr).toBe(0x1f81);
  });

  test("cmppd xmm0, xmm1, 9 takes the low three bits of the predicate: less than", async () => {
    const { xmm0 } = await run("66 0f c2 c1 09", {
      xmm0: "3ff00000000000004000000000000000",
      xmm1: "40000000000000003ff0000000000000",
    });
    expect(xmm0).toBe("ffffffffffffffff0000000000000000");
  });

  test("ucomisd of unordered operands sets ZF, PF and CF", async () => {
    const { flags } = await run("66 0f 2e c1", { xmm0: "00000000000000007ff8000000000000" });
    expect(flags).toBe(0x45);
  });

  test("comisd with an unmasked invalid exception is #XM and leaves the flags", async () => {
    const { vector, flags } = await run("66 0f 2f c1", {
      xmm0: "00000000000000007ff8000000000000",
      mxcsr: 0x1f00,
    });
    expect(vector).toBe(19);
    expect(flags).toBe(0);
  });

  test("divps with an unmasked division by zero is #XM and leaves the destination", async () => {
    const { vector, xmm0, mxcsr } = await run("0f 5e c1", { xmm0: "3f800000".repeat(4), mxcsr: 0x1d80 });
    expect(vector).toBe(19);
    expect(xmm0).toBe("3f800000".repeat(4));
    expect(mxcsr).toBe(0x1d84);
  });

  test("cvttsd2si eax, xmm0 truncates -2.75 to -2 and clears the upper half of rax", async () => {
    const { rax } = await run("f2 0f 2c c0", {
      xmm0: "0000000000000000c006000000000000",
      rax: -1n & 0xffff_ffff_ffff_ffffn,
    });
    expect(rax).toBe(0xffff_fffen);
  });

  test("cvtsd2si rax, xmm0 rounds 2.5 to even and gives the integer indefinite for 2^63", async () => {
    expect((await run("f2 48 0f 2d c0", { xmm0: "00000000000000004004000000000000" })).rax).toBe(2n);
    expect((await run("f2 48 0f 2d c0", { xmm0: "000000000000000043e0000000000000" })).rax).toBe(1n << 63n);
  });

  test("cvtpd2ps xmm0, xmm1 clears the high half", async () => {
    const { xmm0 } = await run("66 0f 5a c1", { xmm0: A, xmm1: "40000000000000003ff0000000000000" });
    expect(xmm0).toBe("0000000000000000400000003f800000");
  });

  test("pinsrw xmm0, eax, 13 takes the index modulo 8, and pextrw reads it back", async () => {
    const { xmm0, rax } = await run("66 0f c4 c0 0d  66 0f c5 c0 05", { xmm0: A, rax: 0xaaaa_beefn });
    expect(xmm0).toBe("0f0e0d0cbeef09080706050403020100");
    expect(rax).toBe(0xbeefn);
  });

  test("pmovmskb eax, xmm0 gathers the top bits", async () => {
    expect((await run("66 0f d7 c0", { xmm0: `${"80".repeat(8)}${"7f".repeat(7)}ff` })).rax).toBe(0xff01n);
  });

  test("movaps xmm0, [rdi] is #GP when rdi is not a multiple of 16, movups is not", async () => {
    const rdi = BigInt(MISALIGNED);
    expect((await run("0f 28 07", { rdi })).vector).toBe(13);
    expect((await run("0f 10 07", { rdi })).vector).toBe(0);
  });

  test("maskmovdqu xmm0, xmm1 stores the bytes whose mask is negative", async () => {
    const { changes } = await run("66 0f f7 c1", {
      xmm0: A,
      xmm1: `80${"00".repeat(14)}ff`,
      memory: [-1n & 0xffff_ffff_ffff_ffffn, 0n],
    });
    expect(changes).toEqual([
      { address: ALIGNED, value: 0xffff_ffff_ffff_ff00n },
      { address: ALIGNED + 8, value: 0x0f00_0000_0000_0000n },
    ]);
  });

  test("maskmovdqu honours a segment override and a 32-bit address size", async () => {
    const setup = { xmm0: A, xmm1: "80".repeat(16), rdi: 0x5_0000_0008n, fsBase: BigInt(ALIGNED) };
    const { changes } = await run("64 67 66 0f f7 c1", setup);
    expect(changes.map((change) => change.address)).toEqual([ALIGNED + 8, ALIGNED + 16]);
  });

  test("maskmovq mm0, mm1 stores the bytes whose mask is negative", async () => {
    const { changes } = await run("0f f7 c1", { mm0: "0807060504030201", mm1: "ff00ff00ff00ff80" });
    expect(changes).toEqual([{ address: ALIGNED, value: 0x0800_0600_0400_0201n }]);
  });

  test.each([
    ["0f fd c1", "paddw mm0, mm1", "ffff7fff80000001", "0001000180000001", "0000800000000002"],
    ["0f 63 c1", "packsswb mm0, mm1", "7fff8000ffff0001", "00800000ff7f0002", "7f0080027f80ff01"],
    ["0f 61 c1", "punpcklwd mm0, mm1", "0706050403020100", "1716151413121110", "1312030211100100"],
    ["0f 6a c1", "punpckhdq mm0, mm1", "0706050403020100", "1716151413121110", "1716151407060504"],
    ["0f 70 c1 1b", "pshufw mm0, mm1, 0x1b", "0706050403020100", "1716151413121110", "1110131215141716"],
    ["0f d3 c1", "psrlq mm0, mm1", "ffffffffffffffff", "0000000000000040", "0000000000000000"],
    ["0f f6 c1", "psadbw mm0, mm1", "ff00ff00ff00ff00", "00ff00ff00ff00ff", "00000000000007f8"],
  ])("%s  %s", async (code, _text, mm0, mm1, expected) => {
    const result = await run(code, { mm0, mm1 });
    expect(result.mm0).toBe(expected);
    expect(result.tags).toBe(0xff);
  });

  test("emms empties the x87 registers", async () => {
    expect((await run("0f 6f c1 0f 77", {})).tags).toBe(0);
  });
});
