// Each rule with what it allows, and with the nearest that it must not allow.
import { describe, expect, test } from "vitest";
import type { Instruction } from "../../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../../src/isa/instructions/all.ts";
import { describeDifferences } from "../compare.ts";
import { initialImage } from "../corner-values.ts";
import { type EncodingShape, encodingShape } from "../encoding-shape.ts";
import {
  CODE_BASE,
  IMAGE_YMM,
  MEMORY_BYTES,
  STATUS_EXIT,
  STATUS_FAULT,
  type TestCase,
  type TestResult,
} from "../protocol.ts";
import { type ExecutionTarget, targetFromCases } from "../target.ts";
import { NO_TOLERANCE } from "../tolerance.ts";
import { explainByVendor, explainStep } from "./explain.ts";
import { vendorRules } from "./rules.ts";

const DATA = 0x1000_1000n;
/** The first unmapped page behind writable ones. */
const HOLE = 0x1000_7000n;

interface Row {
  readonly mnemonic: string;
  readonly opcode: string;
  readonly code: readonly number[];
  /** Initial values of registers and of the image, by number and by offset. */
  readonly registers?: Readonly<Record<number, bigint>>;
  readonly image?: Image;
  readonly judged: Change;
  readonly theirs: Change;
}
type Image = Readonly<Record<number, readonly number[]>>;
interface Change {
  readonly fault?: readonly [vector: number, errorCode: number, cr2: bigint];
  readonly image?: Image;
  readonly registers?: Readonly<Record<number, bigint>>;
  readonly changes?: TestResult["changes"];
}

const shapeOf = ({ mnemonic, opcode }: Pick<Row, "mnemonic" | "opcode">): EncodingShape => {
  for (const instruction of INSTRUCTIONS as readonly Instruction[])
    for (const form of instruction.forms)
      if (instruction.mnemonic === mnemonic && form.opcode === opcode)
        return encodingShape(0, instruction, form);
  throw new RangeError(`no form ${mnemonic} ${opcode}`);
};

const withImage = (image: Uint8Array, change: Image = {}): Uint8Array => {
  const result = image.slice();
  for (const [at, bytes] of Object.entries(change)) result.set(bytes, Number(at));
  return result;
};

const caseOf = (row: Pick<Row, "code" | "registers" | "image">): TestCase => ({
  code: Uint8Array.from(row.code),
  codeOffset: 0,
  noExit: false,
  rflags: 0x4_0202n,
  fsBase: 0n,
  gsBase: 0n,
  registers: Array.from({ length: 16 }, (_, i) => row.registers?.[i] ?? DATA),
  image: withImage(initialImage(), row.image),
  memory: new Uint8Array(MEMORY_BYTES),
  patches: [],
});

/** What a change makes of a case. */
function resultOf(testCase: TestCase, change: Change): TestResult {
  const { fault, image, registers = {}, changes = [] } = change;
  return {
    status: fault === undefined ? STATUS_EXIT : STATUS_FAULT,
    vector: fault?.[0] ?? 0,
    errorCode: fault?.[1] ?? 0,
    cr2: fault?.[2] ?? 0n,
    rip: BigInt(CODE_BASE + (fault === undefined ? testCase.code.length : 0)),
    rflags: testCase.rflags,
    fsBase: 0n,
    gsBase: 0n,
    registers: testCase.registers.map((value, i) => registers[i] ?? value),
    image: withImage(testCase.image, image),
    changedWords: changes.length,
    memoryHash: 0,
    changes,
  };
}

/** Why a processor of that vendor may differ so; undefined when it may not. */
function explain(row: Row, vendor = "GenuineIntel"): string | undefined {
  const testCase = caseOf(row);
  const result = (change: Change) => resultOf(testCase, change);
  const shape = shapeOf(row);
  const step = {
    shape,
    earlier: [],
    testCase,
    address: CODE_BASE,
    before: result({}),
    judged: result(row.judged),
    theirs: result(row.theirs),
  };
  const rules = vendorRules(vendor).filter((rule) => rule.concerns(shape));
  return explainStep(step, rules, (s) => describeDifferences(s.judged, s.theirs, NO_TOLERANCE));
}

const XMM1 = 176;
const XMM2 = 192;
const YMM1 = IMAGE_YMM + 16;
const NAN_A = [1, 0, 0xc0, 0x7f];
const NAN_B = [2, 0, 0xc0, 0x7f];
const ONE = [0, 0, 0x80, 0x3f];

const RCPPS = { mnemonic: "rcpps", opcode: "NP 0F 53 /r", code: [0x0f, 0x53, 0xca] };
const RCPSS = { mnemonic: "rcpss", opcode: "F3 0F 53 /r", code: [0xf3, 0x0f, 0x53, 0xca] };
const DPPS = { mnemonic: "dpps", opcode: "66 0F 3A 40 /r", code: [0x66, 0x0f, 0x3a, 0x40, 0xca, 0xff] };
const PS2PH = {
  mnemonic: "vcvtps2ph",
  opcode: "VEX.128.66.0F3A.W0 1D /r",
  code: [0xc4, 0xe3, 0x79, 0x1d, 0x08, 0],
};
const FNSTENV = { mnemonic: "fnstenv", opcode: "D9 /6", code: [0xd9, 0x30] };
const FLDCW = { mnemonic: "fldcw", opcode: "D9 /5", code: [0xd9, 0x28] };
const MOVNTQ = { mnemonic: "movntq", opcode: "NP 0F E7 /r", code: [0x0f, 0xe7, 0x08] };
const FSCALE = { mnemonic: "fscale", opcode: "D9 FD", code: [0xd9, 0xfd] };
const FISTP = { mnemonic: "fistp", opcode: "DB /3", code: [0xdb, 0x18] };
const FSTP80 = { mnemonic: "fstp", opcode: "DB /7", code: [0xdb, 0x38] };
const VPADDB = {
  mnemonic: "vpaddb",
  opcode: "VEX.128.66.0F.WIG FC /r",
  code: [0xc5, 0xf1, 0xfc, 0x08],
};
const VADDSD = { mnemonic: "vaddsd", opcode: "VEX.LIG.F2.0F.WIG 58 /r", code: [0xc5, 0xf3, 0x58, 0x08] };
const MASKMOVDQU = { mnemonic: "maskmovdqu", opcode: "66 0F F7 /r", code: [0x66, 0x0f, 0xf7, 0xca] };
const VPMASKMOVD = {
  mnemonic: "vpmaskmovd",
  opcode: "VEX.128.66.0F38.W0 8E /r",
  code: [0xc4, 0xe2, 0x69, 0x8e, 0x08], // mask XMM2
};
const CALL = { mnemonic: "call", opcode: "FF /2", code: [0xff, 0xd0] };
const REP_STOSB = { mnemonic: "stos", opcode: "aa", code: [0x67, 0xf3, 0xaa] };
const MOVSXD = { mnemonic: "movsxd", opcode: "63 /r", code: [0x66, 0x63, 0x08] };

const environment = (selector: bigint, fip = 0n) => [
  { address: Number(DATA) + 8, value: fip << 32n },
  { address: Number(DATA) + 16, value: selector },
];
const POINTERS_OURS = { 2: [0x80, 0x80], 6: [0xd9, 0], 16: [0, 0x10, 0, 0x10] };
const POINTERS_NONE = { 2: [0x80, 0x80], 6: [0, 0], 16: [0, 0, 0, 0] };
const DENORMAL = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const ALLOWED: readonly (readonly [string, Row])[] = [
  [
    "an approximation within the bound",
    {
      ...RCPPS,
      judged: { image: { [XMM1]: [0, 0xb0, 0x88, 0x9a] } },
      theirs: { image: { [XMM1]: [0, 0xb8, 0x88, 0x9a] } },
    },
  ],
  [
    "which NaN a dot product gives",
    { ...DPPS, judged: { image: { [XMM1]: NAN_A } }, theirs: { image: { [XMM1]: NAN_B } } },
  ],
  [
    "flags of VCVTPS2PH whose store faults",
    {
      ...PS2PH,
      judged: { fault: [14, 6, HOLE], image: { 24: [0xb8, 0x1f] } },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "#XM before the fault of VCVTPS2PH's store",
    {
      ...PS2PH,
      judged: { fault: [19, 0, 0n], image: { 24: [0xb8, 0x1f] } },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "PE of an unmasked underflow of VCVTPS2PH",
    {
      ...PS2PH,
      image: { 24: [0, 0x17] },
      judged: { fault: [19, 0, 0n], image: { 24: [0x32, 0x17] } },
      theirs: { fault: [19, 0, 0n], image: { 24: [0x12, 0x17] } },
    },
  ],
  [
    "FCS and FOP that are 0",
    { ...FNSTENV, judged: { changes: [] }, theirs: { changes: [environment(0x7d3_0033n)[1]!] } },
  ],
  [
    "FOP and FDP of what FLDCW unmasks",
    { ...FLDCW, judged: { image: POINTERS_NONE }, theirs: { image: POINTERS_OURS } },
  ],
  [
    "TOP 0 of an MMX store that faults",
    {
      ...MOVNTQ,
      image: { 2: [0, 0x08], 32: [5] },
      judged: { fault: [14, 6, HOLE], image: { 2: [0, 0], 32: [0], 48: [5] } },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "no underflow of a denormal that FSCALE leaves",
    {
      ...FSCALE,
      image: { 0: [0x6f, 3], 32: DENORMAL },
      judged: {},
      theirs: { image: { 2: [0x90, 0x80], 32: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xc2, 0x5f] } },
    },
  ],
  [
    "no fault of an x87 store that is withheld",
    { ...FISTP, judged: { image: { 2: [0xc1, 0x80] } }, theirs: { fault: [14, 6, HOLE] } },
  ],
  [
    "8 of 10 bytes stored before the fault",
    {
      ...FSTP80,
      registers: { 0: HOLE - 8n },
      judged: { fault: [14, 6, HOLE], changes: [{ address: Number(HOLE) - 8, value: 0xc0n << 56n }] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "no #AC for 16 bytes",
    {
      ...VPADDB,
      registers: { 0: DATA + 1n },
      judged: { image: { [XMM1]: [1] } },
      theirs: { fault: [17, 0, 0n] },
    },
  ],
  [
    "MASKMOVDQU's upper half first",
    {
      ...MASKMOVDQU,
      registers: { 7: HOLE },
      judged: { fault: [14, 6, HOLE + 8n] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "the last byte of an element of VPMASKMOV",
    {
      ...VPMASKMOVD,
      registers: { 0: HOLE - 8n },
      image: { [XMM2 + 8]: [0, 0, 0, 0x80] },
      judged: { fault: [14, 6, HOLE + 3n] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "the return address of a CALL that faults",
    {
      ...CALL,
      registers: { 0: 1n << 62n, 4: DATA + 8n },
      judged: { fault: [13, 0, 0n], changes: [{ address: Number(DATA), value: BigInt(CODE_BASE) + 2n }] },
      theirs: { fault: [13, 0, 0n] },
    },
  ],
  [
    "short registers after no repetition",
    { ...REP_STOSB, registers: { 1: 0n, 7: 5n << 32n }, judged: { registers: { 7: 0n } }, theirs: {} },
  ],
  [
    "MOVSXD of 16 bits reads no 4 bytes",
    {
      ...MOVSXD,
      registers: { 0: DATA + 2n },
      judged: { registers: { 1: 0n } },
      theirs: { fault: [17, 0, 0n] },
    },
  ],
];

const REFUSED: readonly (readonly [string, Row])[] = [
  [
    "an approximation out of the bound",
    {
      ...RCPPS,
      judged: { image: { [XMM1]: [0, 0x90, 0x88, 0x9a] } },
      theirs: { image: { [XMM1]: [0, 0xb8, 0x88, 0x9a] } },
    },
  ],
  [
    "an approximation of the other sign",
    {
      ...RCPPS,
      judged: { image: { [XMM1]: [0, 0xb8, 0x88, 0x1a] } },
      theirs: { image: { [XMM1]: [0, 0xb8, 0x88, 0x9a] } },
    },
  ],
  [
    "infinity for a large number",
    {
      ...RCPPS,
      judged: { image: { [XMM1]: [0, 0, 0x80, 0x7f] } },
      theirs: { image: { [XMM1]: [0xff, 0xff, 0x7f, 0x7f] } },
    },
  ],
  [
    "an approximation in another register",
    {
      ...RCPPS,
      judged: { image: { [XMM2]: [0, 0xb0, 0x88, 0x9a] } },
      theirs: { image: { [XMM2]: [0, 0xb8, 0x88, 0x9a] } },
    },
  ],
  [
    "an approximation in another lane of RCPSS",
    {
      ...RCPSS,
      judged: { image: { [XMM1 + 4]: [0, 0xb0, 0x88, 0x9a] } },
      theirs: { image: { [XMM1 + 4]: [0, 0xb8, 0x88, 0x9a] } },
    },
  ],
  [
    "a NaN where a dot product is a number",
    { ...DPPS, judged: { image: { [XMM1]: NAN_A } }, theirs: { image: { [XMM1]: ONE } } },
  ],
  [
    "another dot product",
    { ...DPPS, judged: { image: { [XMM1]: ONE } }, theirs: { image: { [XMM1]: [0, 0, 0, 0x40] } } },
  ],
  [
    "less flags of VCVTPS2PH whose store faults",
    {
      ...PS2PH,
      judged: { fault: [14, 6, HOLE] },
      theirs: { fault: [14, 6, HOLE], image: { 24: [0xb8, 0x1f] } },
    },
  ],
  ["other flags of VCVTPS2PH", { ...PS2PH, judged: { image: { 24: [0xb8, 0x1f] } }, theirs: {} }],
  [
    "another FIP",
    {
      ...FNSTENV,
      judged: { changes: [environment(0n, 1n)[0]!] },
      theirs: { changes: environment(0x7d3_0033n) },
    },
  ],
  [
    "another FCS",
    {
      ...FNSTENV,
      judged: { changes: [environment(0x23n)[1]!] },
      theirs: { changes: [environment(0x33n)[1]!] },
    },
  ],
  [
    "another FOP of FLDCW",
    { ...FLDCW, judged: { image: { ...POINTERS_NONE, 6: [1, 0] } }, theirs: { image: POINTERS_OURS } },
  ],
  [
    "FOP without an exception",
    { ...FLDCW, judged: { image: { 6: [0, 0] } }, theirs: { image: { 6: [0xd9, 0] } } },
  ],
  [
    "another FDP of an instruction with a memory operand",
    {
      mnemonic: "fadd",
      opcode: "D8 /0",
      code: [0xd8, 0x00],
      judged: { image: { ...POINTERS_NONE, 6: [0xd9, 0] } },
      theirs: { image: POINTERS_OURS },
    },
  ],
  [
    "TOP 1 of an MMX store that faults",
    {
      ...MOVNTQ,
      image: { 2: [0, 0x10] },
      judged: { fault: [14, 6, HOLE], image: { 2: [0, 0x08] } },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "TOP 0 of an MMX store that does not fault",
    { ...MOVNTQ, judged: { image: { 2: [0, 0] } }, theirs: { image: { 2: [0, 0x08] } } },
  ],
  [
    "no underflow of a number that FSCALE changes",
    {
      ...FSCALE,
      image: { 0: [0x6f, 3], 32: DENORMAL },
      judged: { image: { 32: [2] } },
      theirs: { image: { 2: [0x90, 0x80], 32: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xc2, 0x5f] } },
    },
  ],
  [
    "no underflow of a denormal that FSCALE scales by a fraction",
    {
      ...FSCALE,
      image: { 0: [0x6f, 3], 32: DENORMAL, 48: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 0x3f] },
      judged: {},
      theirs: { image: { 2: [0x90, 0x80], 32: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xc2, 0x5f] } },
    },
  ],
  [
    "no fault of an x87 store without an exception",
    { ...FISTP, judged: {}, theirs: { fault: [14, 6, HOLE] } },
  ],
  [
    "no fault of an x87 store that stores",
    {
      ...FISTP,
      judged: { image: { 2: [0xc1, 0x80] }, changes: [{ address: Number(DATA), value: 1n }] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "10 bytes stored on one page before the fault",
    {
      ...FSTP80,
      registers: { 0: DATA },
      judged: { fault: [14, 6, HOLE], changes: [{ address: Number(DATA), value: 1n }] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "no #AC for 8 bytes",
    {
      ...VADDSD,
      registers: { 0: DATA + 1n },
      judged: { image: { [XMM1]: [1] } },
      theirs: { fault: [17, 0, 0n] },
    },
  ],
  [
    "#AC for 16 bytes",
    {
      ...VPADDB,
      registers: { 0: DATA + 1n },
      judged: { fault: [17, 0, 0n] },
      theirs: { image: { [XMM1]: [1] } },
    },
  ],
  ["another result of VPADDB", { ...VPADDB, judged: { image: { [YMM1]: [1] } }, theirs: {} }],
  [
    "any byte of MASKMOVDQU",
    {
      ...MASKMOVDQU,
      registers: { 7: HOLE },
      judged: { fault: [14, 6, HOLE + 4n] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "an element of VPMASKMOV that is not selected",
    {
      ...VPMASKMOVD,
      registers: { 0: HOLE - 8n },
      judged: { fault: [14, 6, HOLE + 3n] },
      theirs: { fault: [14, 6, HOLE] },
    },
  ],
  [
    "another word below the stack of a CALL that faults",
    {
      ...CALL,
      registers: { 0: 1n << 62n, 4: DATA + 8n },
      judged: { fault: [13, 0, 0n], changes: [{ address: Number(DATA), value: 1n }] },
      theirs: { fault: [13, 0, 0n] },
    },
  ],
  [
    "no return address of a CALL that does not fault",
    {
      ...CALL,
      registers: { 4: DATA + 8n },
      judged: { changes: [{ address: Number(DATA), value: BigInt(CODE_BASE) + 2n }] },
      theirs: {},
    },
  ],
  [
    "another register after no repetition",
    { ...REP_STOSB, registers: { 1: 0n, 7: 5n << 32n }, judged: { registers: { 7: 1n } }, theirs: {} },
  ],
  [
    "short registers after a repetition",
    { ...REP_STOSB, registers: { 1: 1n, 7: 5n << 32n }, judged: { registers: { 7: 0n } }, theirs: {} },
  ],
  [
    "no #AC for an odd address of MOVSXD",
    {
      ...MOVSXD,
      registers: { 0: DATA + 1n },
      judged: { registers: { 1: 0n } },
      theirs: { fault: [17, 0, 0n] },
    },
  ],
];

describe("what Intel's processors do otherwise than AMD's", () => {
  test.each(ALLOWED)("allowed is %s", (_, row) => {
    expect(explain(row)).toBeTypeOf("string");
    expect(explain(row, "AuthenticAMD")).toBeUndefined();
  });

  test.each(REFUSED)("not allowed is %s", (_, row) => {
    expect(explain(row)).toBeUndefined();
  });

  // After RCPPS, CLC: what a target does by how much of the code there is.
  const sequence = {
    testCase: caseOf({ code: [...RCPPS.code, 0xf8] }),
    shapes: [shapeOf(RCPPS), shapeOf({ mnemonic: "clc", opcode: "F8" })],
    starts: [0, RCPPS.code.length],
  };
  const afterRcp = { image: { [XMM1]: [0, 0xb0, 0x88, 0x9a] } };
  const otherRcp = { image: { [XMM1]: [0, 0xb8, 0x88, 0x9a] } };
  const target = (changes: readonly Change[], vendor?: string): ExecutionTarget => ({
    ...targetFromCases("fixed", (c) =>
      resultOf(c, changes[c.code.length > 0 ? Math.max(1, c.code.length - 2) : 0]!),
    ),
    ...(vendor === undefined ? {} : { vendor }),
  });

  test.each([
    ["GenuineIntel", "approximations of RCP and RSQRT"],
    ["AuthenticAMD", undefined],
  ])("on %s, what follows on such an instruction is explained by: %s", async (vendor, reason) => {
    const judge = target([{}, afterRcp, { ...afterRcp, registers: { 0: 1n } }], vendor);
    const other = target([{}, otherRcp, { ...otherRcp, registers: { 0: 2n } }]);
    expect(await explainByVendor(sequence, judge, other, false)).toBe(reason);
  });

  test("a difference that another instruction makes is not explained", async () => {
    const judge = target([{}, afterRcp, { ...afterRcp, registers: { 0: 1n } }], "GenuineIntel");
    const other = target([{}, afterRcp, { ...afterRcp, registers: { 0: 2n } }]);
    expect(await explainByVendor(sequence, judge, other, false)).toBeUndefined();
  });

  test("every rule has a case here", () => {
    const shown = ALLOWED.map(([, row]) => explain(row));
    const missing = vendorRules("GenuineIntel").filter(({ reason }) => !shown.includes(reason));
    expect(missing.map(({ reason }) => reason)).toEqual([]);
  });
});
