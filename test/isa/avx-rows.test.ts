// Rows by hand from the manuals and standards for SSE3 to SSE4.2, AES, SHA, AVX, AVX2, F16C and FMA, run by the interpreter.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialImage } from "../oracle/corner-values.ts";
import { interpreterUnavailable, openInterpreterTarget } from "../oracle/interpreter-target.ts";
import { IMAGE_YMM, MEMORY_BYTES, type TestCase } from "../oracle/protocol.ts";
import { type ExecutionTarget, runCase } from "../oracle/target.ts";

const unavailable = interpreterUnavailable();
const IMAGE_XMM = 160;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RDI = 7;
/** Where the operand in memory lies; one page further on nothing is mapped. */
const DATA = 0x1000_1000;
const LAST_BYTES_OF_A_PAGE = 0x1000_3ff0;

interface Setup {
  /** YMM0 to YMM2, all 32 bytes, the highest digit first; shorter ones have zeros above. */
  readonly ymm?: readonly string[];
  readonly rax?: bigint;
  readonly rdx?: bigint;
  readonly rdi?: number;
  /** 8-byte words from DATA on. */
  readonly memory?: readonly bigint[];
}

function testCase(code: string, setup: Setup): TestCase {
  const image = initialImage();
  setup.ymm?.forEach((digits, i) => {
    const bytes = Buffer.from(digits.replaceAll("_", "").padStart(64, "0"), "hex").reverse();
    image.set(bytes.subarray(0, 16), IMAGE_XMM + 16 * i);
    image.set(bytes.subarray(16), IMAGE_YMM + 16 * i);
  });
  const registers = Array<bigint>(16).fill(0n);
  registers[RAX] = setup.rax ?? 0n;
  registers[RDX] = setup.rdx ?? 0n;
  registers[RDI] = BigInt(setup.rdi ?? DATA);
  return {
    code: Uint8Array.from(Buffer.from(code.replaceAll(" ", ""), "hex")),
    codeOffset: 0,
    noExit: false,
    rflags: 0x202n,
    fsBase: 0n,
    gsBase: 0n,
    registers,
    image,
    memory: new Uint8Array(MEMORY_BYTES),
    patches: (setup.memory ?? []).map((value, i) => ({ address: DATA + 8 * i, value })),
  };
}

function ymm0(image: Uint8Array): string {
  const bytes = [...image.slice(IMAGE_XMM, IMAGE_XMM + 16), ...image.slice(IMAGE_YMM, IMAGE_YMM + 16)];
  return Buffer.from(bytes)
    .reverse()
    .toString("hex")
    .replace(/^0{32}/, "");
}

const repeat = (digits: string, times: number): string => digits.repeat(times);

/** A state of AES or SHA as the standards write it, the first byte first. */
const inOrder = (digits: string): string => Buffer.from(digits, "hex").reverse().toString("hex");

describe.skipIf(unavailable !== undefined)("vector extensions", () => {
  let interpreter: ExecutionTarget;
  beforeAll(async () => {
    interpreter = await openInterpreterTarget();
  });
  afterAll(() => interpreter.close());

  const run = (code: string, setup: Setup) => runCase(interpreter, testCase(code, setup));

  const ONES = repeat("3f800000", 8);
  const TWOS = repeat("40000000", 8);
  const NUMBERS = "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";

  test.each<readonly [string, string, readonly string[], string]>([
    [
      "f2 0f 7c c1",
      "haddps xmm0,xmm1",
      [repeat("3f800000", 4), repeat("40000000", 4)],
      "40800000408000004000000040000000",
    ],
    [
      "f2 0f d0 c1",
      "addsubps xmm0,xmm1",
      [repeat("40000000", 4), repeat("3f800000", 4)],
      "404000003f800000404000003f800000",
    ],
    [
      "66 0f 38 00 c1",
      "pshufb xmm0,xmm1",
      [NUMBERS.slice(32), "8f00010203040506070809800a0b0c0d"],
      "000001020304050607080900" + "0a0b0c0d",
    ],
    [
      "66 0f 3a 0f c1 05",
      "palignr xmm0,xmm1,5",
      [repeat("aa", 16), NUMBERS.slice(32)],
      "aaaaaaaaaa0f0e0d0c0b0a0908070605",
    ],
    ["66 0f 38 04 c1", "pmaddubsw xmm0,xmm1", [repeat("ff", 16), repeat("7f", 16)], repeat("7fff", 8)],
    ["66 0f 38 0b c1", "pmulhrsw xmm0,xmm1", [repeat("8000", 8), repeat("8000", 8)], repeat("8000", 8)],
    [
      "66 0f 38 08 c1",
      "psignb xmm0,xmm1",
      [repeat("05", 16), "ff0001".padStart(32, "0")],
      "fb0005".padStart(32, "0"),
    ],
    [
      "66 0f 38 41 c1",
      "phminposuw xmm0,xmm1",
      ["", "00050004000300020001000200030001"],
      "00000001".padStart(32, "0"),
    ],
    [
      "66 0f 3a 42 c1 00",
      "mpsadbw xmm0,xmm1,0",
      [NUMBERS.slice(32), ""],
      "00220" + "01e001a00160012000e000a0006",
    ],
    [
      "66 0f 3a 21 c1 1a",
      "insertps xmm0,xmm1,0x1a",
      [repeat("11111111", 4), repeat("22222222", 4)],
      "00000000111111110000000011111111",
    ],
    ["66 0f 3a 0a c1 02", "roundss xmm0,xmm1,up", ["", "3fa00000"], "40000000".padStart(32, "0")],
    [
      "66 0f 38 dc c1",
      "aesenc, FIPS 197 appendix B",
      [inOrder("193de3bea0f4e22b9ac68d2ae9f84808"), inOrder("a0fafe1788542cb123a339392a6c7605")],
      inOrder("a49c7ff2689f352b6b5bea43026a5049"),
    ],
    [
      "66 0f 38 dd c1",
      "aesenclast, FIPS 197 appendix B",
      [inOrder("eb40f21e592e38848ba113e71bc342d2"), inOrder("d014f9a8c9ee2589e13f0cc8b6630ca6")],
      inOrder("3925841d02dc09fbdc118597196a0b32"),
    ],
    [
      "66 0f 3a 44 c1 00",
      "pclmulqdq xmm0,xmm1,0",
      ["ffffffffffffffff", "3"],
      "00000000000000018000000000000001".replace("8000000000000001", "0000000000000001"),
    ],
    ["c5 fc 58 c1", "vaddps ymm0,ymm0,ymm1", [ONES, ONES], TWOS],
    ["c5 f8 58 c1", "vaddps xmm0,xmm0,xmm1 clears the upper half", [ONES, ONES], TWOS.slice(32)],
    ["c5 f8 77", "vzeroupper", [NUMBERS], NUMBERS.slice(32)],
    [
      "c4 e3 7d 06 c1 21",
      "vperm2f128 ymm0,ymm0,ymm1,0x21",
      [NUMBERS, repeat("ee", 32)],
      repeat("ee", 16) + NUMBERS.slice(0, 32),
    ],
    ["c4 e3 7d 06 c1 88", "vperm2f128 ymm0,ymm0,ymm1,0x88", [NUMBERS, NUMBERS], repeat("00", 16)],
    ["c4 e3 7d 19 c0 01", "vextractf128 xmm0,ymm0,1", [NUMBERS], NUMBERS.slice(0, 32)],
    [
      "c4 e3 7d 4a c1 20",
      "vblendvps ymm0,ymm0,ymm1,ymm2",
      [ONES, TWOS, repeat("80000000", 4) + repeat("7fffffff", 4)],
      TWOS.slice(32) + ONES.slice(32),
    ],
    [
      "c4 e2 7d 36 c1",
      "vpermd ymm0,ymm0,ymm1",
      ["0000000f0000000000000001000000020000000300000004000000050000000e", NUMBERS],
      "1f1e1d1c03020100070605040b0a09080f0e0d0c131211101716151" + "41b1a1918",
    ],
    [
      "c4 e2 7d 47 c1",
      "vpsllvd ymm0,ymm0,ymm1",
      [repeat("00000001", 8), "00000020000000010000000200000003000000040000001fffffffff00000000"],
      "0000000000000002000000040000000800000010800000000000000000000001",
    ],
    ["c4 e2 7d 20 c1", "vpmovsxbw ymm0,xmm1", ["", "80ff7f00".repeat(4)], "ff80ffff007f0000".repeat(4)],
    [
      "c4 e2 71 a8 c2",
      "vfmadd213ps xmm0,xmm1,xmm2: one rounding",
      ["3f800001", "3f800001", "bf800002"],
      "28800000".padStart(32, "0"),
    ],
    [
      "c4 e2 71 ac c2",
      "vfnmadd213ps xmm0,xmm1,xmm2",
      ["40000000", "40400000", "3f800000"],
      "c0a00000".padStart(32, "0"),
    ],
    ["c4 e2 79 13 c1", "vcvtph2ps xmm0,xmm1", ["", "00017bff3c00fc00"], "33800000477fe0003f800000ff800000"],
    [
      "c4 e3 79 1d c8 00",
      "vcvtps2ph xmm0,xmm1,nearest",
      ["", "33800000477ff0003f800000477fefff"],
      "00017c003c007bff".padStart(32, "0"),
    ],
    ["c5 fc c2 c1 1f", "vcmpps ymm0,ymm0,ymm1,true", [ONES, TWOS], repeat("ff", 32)],
    ["c5 fc c2 c1 0e", "vcmpps ymm0,ymm0,ymm1,gt", [TWOS, ONES], repeat("ff", 32)],
  ])("%s: %s", async (code, _assembly, ymm, expected) => {
    const result = await run(code, { ymm });
    expect([result.vector, ymm0(result.image)]).toEqual([0, expected]);
  });

  test("sha256rnds2: the first two rounds of FIPS 180-4's example for abc", async () => {
    // XMM0: W0 + K0 and W1 + K1; XMM1: c, d, g, h; XMM2: a, b, e, f.
    const ymm = ["71374491a3ec9318", "3c6ef372a54ff53a1f83d9ab5be0cd19", "6a09e667bb67ae85510e527f9b05688c"];
    const result = await run("0f 38 cb ca 0f 28 c1", { ymm });
    expect(ymm0(result.image)).toBe("5a6ad9ad5d6aebcd78ce7989fa2a4622");
  });

  test("ptest and vtestps tell of zero bits in ZF and CF", async () => {
    const both = await run("c4 e2 7d 17 c1", { ymm: [repeat("f0", 32), repeat("0f", 32)] });
    expect(Number(both.rflags) & 0x8d5).toBe(0x40);
    const contained = await run("c4 e2 7d 0e c1", { ymm: [repeat("80000000", 8), repeat("80000000", 8)] });
    expect(Number(contained.rflags) & 0x8d5).toBe(0x01);
  });

  test("pcmpistri finds the first of a set in a string that ends", async () => {
    const text = (s: string): string => inOrder(Buffer.from(s.padEnd(16, "\0")).toString("hex"));
    const result = await run("66 0f 3a 63 c1 00", { ymm: [text("aeiou"), text("strings")] });
    expect([result.registers[RCX], Number(result.rflags) & 0x8d5]).toEqual([3n, 0xc1]);
  });

  test("pcmpestrm leaves a mask of bytes, lengths in EAX and EDX", async () => {
    const result = await run("66 0f 3a 60 c9 48", {
      ymm: ["", repeat("41", 16)],
      rax: 3n,
      rdx: 0xffff_ffff_ffff_fffdn,
    });
    expect([ymm0(result.image), Number(result.rflags) & 0x8d5]).toEqual([repeat("ff", 16), 0x8c1]);
  });

  test("vmovaps wants alignment to its width, vmovups none", async () => {
    expect((await run("c5 fc 28 07", { rdi: DATA + 16 })).vector).toBe(13);
    expect((await run("c5 fc 10 07", { rdi: DATA + 1 })).vector).toBe(0);
  });

  test("a store of 256 bits that faults in its second half has stored nothing", async () => {
    const result = await run("c5 fc 11 07", { ymm: [repeat("ff", 32)], rdi: 0x1000_2ff0 });
    expect([result.vector, result.changedWords]).toEqual([14, 0]);
  });

  test("masked moves touch, and fault for, chosen elements only", async () => {
    const low = repeat("00000000", 4) + repeat("80000000", 4);
    const load = await run("c4 e2 75 2c 07", { ymm: ["", low], rdi: LAST_BYTES_OF_A_PAGE });
    expect(load.vector).toBe(0);
    const high = repeat("80000000", 4) + repeat("00000000", 4);
    expect((await run("c4 e2 75 2c 07", { ymm: ["", high], rdi: LAST_BYTES_OF_A_PAGE })).vector).toBe(14);
    const store = await run("c4 e2 75 2e 07", { ymm: [repeat("77", 32), "8000000000000000"], memory: [0n] });
    expect(store.changes).toEqual([{ address: DATA, value: 0x7777_7777_0000_0000n }]);
  });

  test("vpgatherdd takes chosen elements and clears the mask", async () => {
    // ymm0 = elements at rdi + 4 * ymm1, under ymm2.
    const result = await run("c4 e2 6d 90 04 8f", {
      ymm: [
        repeat("99", 32),
        `00000000000000030000000200000001${repeat("00000000", 4)}`,
        `${repeat("80000000", 7)}00000000`,
      ],
      memory: [0x1111_1111_0000_0000n, 0x3333_3333_2222_2222n],
    });
    expect(ymm0(result.image)).toBe("0000000033333333222222221111111100000000000000000000000099999999");
    expect(result.image.slice(IMAGE_XMM + 32, IMAGE_XMM + 48)).toEqual(new Uint8Array(16));
  });

  test("a gather whose registers are not three is #UD", async () => {
    expect((await run("c4 e2 7d 90 04 8f", {})).vector).toBe(6);
  });
});
