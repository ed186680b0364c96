import { CPU_STATE, SCRATCH } from "../../layout/memory-map.ts";
import type { IsaFeature } from "../features.ts";
import type { HelperName } from "../helpers.ts";
import { type Form, form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";

// The x87 unit lives in src/core/float/x87; here is how its instructions are encoded and what they call.

// Where core/float/x87/store.ts leaves the value to store, and whether it is kept back, as offsets in the processor state.
const STORED = SCRATCH + 40 - CPU_STATE;
const KEPT = SCRATCH + 56 - CPU_STATE;

const source = (name: string): string => `Intel SDM Vol. 2A, ${name}`;

interface Definition {
  readonly forms: readonly Form[];
  readonly access?: string;
  /** An FN... instruction: does not wait for a pending exception. */
  readonly control?: true;
  /** A control instruction that waits. */
  readonly keepsPointers?: true;
  readonly name?: string;
  readonly flags?: Instruction["flags"];
  readonly features?: readonly IsaFeature[];
  execute<V>(ops: Ops<V>, ...operands: V[]): V | readonly V[] | void;
}

function x87(mnemonic: string, definition: Definition): Instruction {
  return instruction({
    mnemonic,
    source: source(definition.name ?? mnemonic.toUpperCase()),
    access: definition.access ?? "",
    forms: definition.forms,
    flags: definition.flags ?? {},
    features: definition.features ?? [],
    unit: definition.control ? "x87-control" : "x87",
    keepsPointers: definition.control ?? definition.keepsPointers ?? false,
    execute: definition.execute,
  });
}

const number = <V>(ops: Ops<V>, value: number): V => ops.constant(value, 32);

/** An instruction without operands that one helper does. */
function plain(mnemonic: string, opcode: string, helper: HelperName, ...args: number[]): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode)],
    execute: (ops) => ops.system(helper, ...args.map((arg) => number(ops, arg))),
  });
}

/** A load from memory of a width that one helper converts. */
function load(mnemonic: string, opcode: string, operand: string, helper: HelperName): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode, operand)],
    access: "r",
    execute: (ops, value) => ops.system(helper, value),
  });
}

/**
 * Writes what was prepared. An unmasked exception keeps the value back, but a
 * page fault of the operand comes before it all the same.
 */
function writePrepared<V>(ops: Ops<V>, address: V, bytes: number, write: () => void): void {
  const stores = ops.isZero(ops.state(KEPT, 32));
  ops.when(stores, write, () => ops.query("prepareWrite", address, number(ops, bytes)));
}

/** A store to memory: the value is prepared, stored, and then the unit's state follows. */
function store(
  mnemonic: string,
  opcode: string,
  bits: 16 | 32 | 64,
  helper: HelperName,
  pops: 0 | 1,
  features: readonly IsaFeature[] = [],
): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode, "m")],
    access: "r",
    features,
    execute: (ops, address) => {
      ops.system(helper);
      writePrepared(ops, address, bits / 8, () => ops.store(address, ops.state(STORED, bits)));
      ops.system("x87FinishStore", number(ops, pops));
    },
  });
}

/** A store of ten bytes. */
function store80(mnemonic: string, opcode: string, helper: HelperName): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode, "m")],
    access: "r",
    execute: (ops, address) => {
      ops.system(helper);
      writePrepared(ops, address, 10, () => {
        const high = ops.state(STORED + 8, 16);
        ops.query("writeSlow80", address, ops.state(STORED, 64), ops.zeroExtend(high, 64));
      });
      ops.system("x87FinishStore", number(ops, 1));
    },
  });
}

const ARITHMETIC = ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"] as const;

/** The eight operations that the ModRM digit names, with their operands. */
function arithmetic(operation: number): Instruction[] {
  const name = ARITHMETIC[operation]!;
  const op = <V>(ops: Ops<V>) => number(ops, operation);
  const compares = operation === 2 || operation === 3;
  // With ST(i) as the destination, SUB and SUBR, DIV and DIVR change places in the opcode but not in meaning.
  const reversed = operation >= 4 ? operation ^ 1 : operation;
  const stackRow = (0xc0 + 8 * operation).toString(16);
  const reversedRow = (0xc0 + 8 * reversed).toString(16);
  const list = [
    x87(`f${name}`, {
      forms: [form(`D8 /${operation}`, "m32")],
      access: "r",
      execute: (ops, value) => ops.system("x87Arith32", op(ops), value),
    }),
    x87(`f${name}`, {
      forms: [form(`DC /${operation}`, "m64")],
      access: "r",
      execute: (ops, value) => ops.system("x87Arith64", op(ops), value),
    }),
    x87(`fi${name}`, {
      forms: [form(`DA /${operation}`, "m32")],
      access: "r",
      name: `F${name.toUpperCase()}`,
      execute: (ops, value) => ops.system("x87ArithI32", op(ops), value),
    }),
    x87(`fi${name}`, {
      forms: [form(`DE /${operation}`, "m16")],
      access: "r",
      name: `F${name.toUpperCase()}`,
      execute: (ops, value) => ops.system("x87ArithI16", op(ops), ops.signExtend(value, 32)),
    }),
  ];
  if (compares) return list;
  return [
    ...list,
    x87(`f${name}`, {
      forms: [form(`D8 ${stackRow}+i`, "st:i")],
      access: "r",
      execute: (ops, i) => ops.system("x87Arith", op(ops), number(ops, 0), i, number(ops, 0)),
    }),
    x87(`f${name}`, {
      forms: [form(`DC ${reversedRow}+i`, "st:i")],
      access: "r",
      execute: (ops, i) => ops.system("x87Arith", op(ops), i, number(ops, 0), number(ops, 0)),
    }),
    x87(`f${name}p`, {
      forms: [form(`DE ${reversedRow}+i`, "st:i")],
      access: "r",
      name: `F${name.toUpperCase()}`,
      execute: (ops, i) => ops.system("x87Arith", op(ops), i, number(ops, 0), number(ops, 1)),
    }),
  ];
}

/** A comparison with ST(i) that sets the condition codes. `opcodes` holds the manual's row and the aliases processors accept. */
function compare(
  mnemonic: string,
  opcodes: readonly string[],
  pops: number,
  unordered: boolean,
): Instruction {
  return x87(mnemonic, {
    forms: opcodes.map((opcode) => form(opcode, "st:i")),
    access: "r",
    execute: (ops, i) => ops.system("x87Compare", i, number(ops, pops), number(ops, unordered ? 1 : 0)),
  });
}

function compareFlags(mnemonic: string, opcode: string, pops: number, unordered: boolean): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode, "st:i")],
    access: "r",
    flags: { writes: "cf pf af zf sf of" },
    execute: (ops, i) => ops.system("x87CompareFlags", i, number(ops, pops), number(ops, unordered ? 1 : 0)),
  });
}

const MOVES = [
  ["b", "DA C0+i"],
  ["e", "DA C8+i"],
  ["be", "DA D0+i"],
  ["p", "DA D8+i"],
] as const;
const INVERSE_MOVES = [
  ["ae", "DB C0+i"],
  ["ne", "DB C8+i"],
  ["a", "DB D0+i"],
  ["np", "DB D8+i"],
] as const;

const conditionalMoves = [...MOVES, ...INVERSE_MOVES].map(([condition, opcode]) =>
  x87(`fcmov${condition}`, {
    name: "FCMOVcc",
    forms: [form(opcode, "st:i")],
    access: "r",
    flags: { reads: "cf pf zf" },
    execute: (ops, i) => ops.system("x87ConditionalMove", i, ops.zeroExtend(ops.condition(condition), 32)),
  }),
);

const constants = ["fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz"].map((mnemonic, n) =>
  plain(mnemonic, `D9 ${(0xe8 + n).toString(16)}`, "x87LoadConstant", n),
);

/** A control instruction on 14 or 28 (with registers 94 or 108) bytes of memory. */
function image(mnemonic: string, opcode: string, helper: HelperName, control: boolean): Instruction {
  return x87(mnemonic, {
    forms: [form(opcode, "m")],
    access: "r",
    ...(control ? { control } : { keepsPointers: true }),
    execute: (ops, address) => ops.system(helper, address, number(ops, ops.operandBits)),
  });
}

export const x87Instructions: readonly Instruction[] = [
  ...ARITHMETIC.flatMap((_, operation) => arithmetic(operation)),
  compare("fcom", ["D8 D0+i", "DC D0+i"], 0, false),
  compare("fcomp", ["D8 D8+i", "DC D8+i", "DE D0+i"], 1, false),
  x87("fcompp", {
    name: "FCOM/FCOMP/FCOMPP",
    forms: [form("DE D9")],
    execute: (ops) => ops.system("x87Compare", number(ops, 1), number(ops, 2), number(ops, 0)),
  }),
  compare("fucom", ["DD E0+i"], 0, true),
  compare("fucomp", ["DD E8+i"], 1, true),
  x87("fucompp", {
    name: "FUCOM/FUCOMP/FUCOMPP",
    forms: [form("DA E9")],
    execute: (ops) => ops.system("x87Compare", number(ops, 1), number(ops, 2), number(ops, 1)),
  }),
  compareFlags("fcomi", "DB F0+i", 0, false),
  compareFlags("fcomip", "DF F0+i", 1, false),
  compareFlags("fucomi", "DB E8+i", 0, true),
  compareFlags("fucomip", "DF E8+i", 1, true),
  ...conditionalMoves,

  load("fld", "D9 /0", "m32", "x87Load32"),
  load("fld", "DD /0", "m64", "x87Load64"),
  x87("fld", {
    forms: [form("DB /5", "m")],
    access: "r",
    execute: (ops, address) => {
      const low = ops.load(64, address);
      const high = ops.load(16, ops.add(address, ops.constant(8, 64)));
      ops.system("x87Load80", low, ops.zeroExtend(high, 32));
    },
  }),
  x87("fld", {
    forms: [form("D9 C0+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87LoadSt", i),
  }),
  x87("fild", {
    forms: [form("DF /0", "m16")],
    access: "r",
    execute: (ops, value) => ops.system("x87LoadI16", ops.signExtend(value, 32)),
  }),
  load("fild", "DB /0", "m32", "x87LoadI32"),
  load("fild", "DF /5", "m64", "x87LoadI64"),
  x87("fbld", {
    forms: [form("DF /4", "m")],
    access: "r",
    execute: (ops, address) => {
      const low = ops.load(64, address);
      const high = ops.load(16, ops.add(address, ops.constant(8, 64)));
      ops.system("x87LoadBcd", low, ops.zeroExtend(high, 32));
    },
  }),
  ...constants,

  store("fst", "D9 /2", 32, "x87PrepareStore32", 0),
  store("fst", "DD /2", 64, "x87PrepareStore64", 0),
  store("fstp", "D9 /3", 32, "x87PrepareStore32", 1),
  store("fstp", "DD /3", 64, "x87PrepareStore64", 1),
  store80("fstp", "DB /7", "x87PrepareStore80"),
  store80("fbstp", "DF /6", "x87PrepareStoreBcd"),
  store("fist", "DF /2", 16, "x87PrepareStoreI16", 0),
  store("fist", "DB /2", 32, "x87PrepareStoreI32", 0),
  store("fistp", "DF /3", 16, "x87PrepareStoreI16", 1),
  store("fistp", "DB /3", 32, "x87PrepareStoreI32", 1),
  store("fistp", "DF /7", 64, "x87PrepareStoreI64", 1),
  store("fisttp", "DF /1", 16, "x87PrepareStoreTruncI16", 1, ["sse3"]),
  store("fisttp", "DB /1", 32, "x87PrepareStoreTruncI32", 1, ["sse3"]),
  store("fisttp", "DD /1", 64, "x87PrepareStoreTruncI64", 1, ["sse3"]),
  x87("fst", {
    forms: [form("DD D0+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87StoreSt", i, number(ops, 0)),
  }),
  x87("fstp", {
    // DF D0 and DF D8 are aliases that processors accept (AMD APM Vol. 3, "x87 Opcodes").
    forms: [form("DD D8+i", "st:i"), form("DF D0+i", "st:i"), form("DF D8+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87StoreSt", i, number(ops, 1)),
  }),
  x87("fstp", {
    // Another alias, which knows no stack underflow.
    forms: [form("D9 D8+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87MoveSt", i),
  }),

  x87("fxch", {
    forms: [form("D9 C8+i", "st:i"), form("DD C8+i", "st:i"), form("DF C8+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87Exchange", i),
  }),
  x87("ffree", {
    forms: [form("DD C0+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87Free", i, number(ops, 0)),
  }),
  x87("ffreep", {
    // Documented by AMD alone, accepted by all.
    forms: [form("DF C0+i", "st:i")],
    access: "r",
    execute: (ops, i) => ops.system("x87Free", i, number(ops, 1)),
  }),
  plain("fincstp", "D9 F7", "x87IncTop"),
  plain("fdecstp", "D9 F6", "x87DecTop"),
  plain("fnop", "D9 D0", "x87Check"),
  plain("fchs", "D9 E0", "x87Unary", 0),
  plain("fabs", "D9 E1", "x87Unary", 1),
  plain("fsqrt", "D9 FA", "x87Unary", 2),
  plain("frndint", "D9 FC", "x87Unary", 3),
  plain("ftst", "D9 E4", "x87Test"),
  plain("fxam", "D9 E5", "x87Examine"),
  plain("f2xm1", "D9 F0", "x87Exponential"),
  plain("fyl2x", "D9 F1", "x87Logarithm", 0),
  plain("fptan", "D9 F2", "x87Tangent"),
  plain("fpatan", "D9 F3", "x87Arctangent"),
  plain("fxtract", "D9 F4", "x87Extract"),
  plain("fprem1", "D9 F5", "x87Remainder", 1),
  plain("fprem", "D9 F8", "x87Remainder", 0),
  plain("fyl2xp1", "D9 F9", "x87Logarithm", 1),
  plain("fsincos", "D9 FB", "x87SineCosine"),
  plain("fscale", "D9 FD", "x87Scale"),
  plain("fsin", "D9 FE", "x87Sine"),
  plain("fcos", "D9 FF", "x87Cosine"),
  instruction({
    mnemonic: "fwait",
    source: source("WAIT/FWAIT"),
    access: "",
    forms: [form("9B")],
    // The unit's own check does not apply: CR0.EM does not matter, and CR0.TS only together with CR0.MP.
    execute: (ops) => ops.system("x87Wait"),
  }),

  x87("fninit", {
    name: "FINIT/FNINIT",
    forms: [form("DB E3")],
    control: true,
    execute: (ops) => ops.system("x87Initialise"),
  }),
  x87("fnclex", {
    name: "FCLEX/FNCLEX",
    forms: [form("DB E2")],
    control: true,
    execute: (ops) => ops.system("x87ClearExceptions"),
  }),
  x87("fneni", {
    // FNENI, FNDISI and FNSETPM of the 8087 and 80287 do nothing.
    name: "x87 opcodes",
    forms: [form("DB E0"), form("DB E1"), form("DB E4")],
    control: true,
    execute() {},
  }),
  x87("fldcw", {
    forms: [form("D9 /5", "m16")],
    access: "r",
    keepsPointers: true,
    execute: (ops, value) => ops.system("x87LoadControl", ops.zeroExtend(value, 32)),
  }),
  x87("fnstcw", {
    name: "FSTCW/FNSTCW",
    forms: [form("D9 /7", "m16")],
    access: "w",
    control: true,
    execute: (ops) => ops.truncate(ops.call("x87StoreControl"), 16),
  }),
  x87("fnstsw", {
    name: "FSTSW/FNSTSW",
    forms: [form("DD /7", "m16"), form("DF E0", "ax")],
    access: "w",
    control: true,
    execute: (ops) => ops.truncate(ops.call("x87StoreStatus"), 16),
  }),
  image("fnstenv", "D9 /6", "x87StoreEnvironment", true),
  image("fldenv", "D9 /4", "x87LoadEnvironment", false),
  image("fnsave", "DD /6", "x87SaveState", true),
  image("frstor", "DD /4", "x87RestoreState", false),
];
