import { form, instruction, not64, only64 } from "../instruction.ts";
import type { OperandBits, Ops } from "../ops.ts";
import { CONDITIONS, type StatusFlag } from "../registers.ts";

export const mov = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV",
  access: "w r",
  forms: [
    form("88 /r", "rm8, r8"),
    form("89 /r", "rm:v, r:v"),
    form("8A /r", "r8, rm8"),
    form("8B /r", "r:v, rm:v"),
    form("A0", "al, moffs8"),
    form("A1", "rax:v, moffs:v"),
    form("A2", "moffs8, al"),
    form("A3", "moffs:v, rax:v"),
    form("B0", "+r8, imm8"),
    form("B8", "+r:v, imm:v"),
    form("C6 /0", "rm8, imm8"),
    form("C7 /0", "rm:v, imm:z"),
  ],
  execute(_ops, _dst, src) {
    return src;
  },
});

export const movzx = instruction({
  mnemonic: "movzx",
  source: "Intel SDM Vol. 2B, MOVZX",
  access: "w r",
  forms: [form("0F B6 /r", "r:v, rm8"), form("0F B7 /r", "r:v, rm16")],
  execute(ops, _dst, src) {
    return ops.zeroExtend(src, ops.operandBits);
  },
});

export const movsx = instruction({
  mnemonic: "movsx",
  source: "Intel SDM Vol. 2B, MOVSX/MOVSXD",
  access: "w r",
  forms: [form("0F BE /r", "r:v, rm8"), form("0F BF /r", "r:v, rm16")],
  execute(ops, _dst, src) {
    return ops.signExtend(src, ops.operandBits);
  },
});

export const movsxd = instruction({
  mnemonic: "movsxd",
  source: "Intel SDM Vol. 2B, MOVSX/MOVSXD",
  access: "w r",
  // With an operand size of 16 bits the manual's source is r/m16; here 32 bits of it are read.
  forms: [form("63 /r", "r:v, rm32", only64)],
  execute(ops, _dst, src) {
    return ops.operandBits === 16 ? ops.truncate(src, 16) : ops.signExtend(src, ops.operandBits);
  },
});

// These two stand before XCHG, whose row 90+r covers their opcode.
export const nop = instruction({
  mnemonic: "nop",
  source: "Intel SDM Vol. 2B, NOP",
  access: "",
  forms: [form("90", "", { rexB: false })],
  execute() {},
});

export const pause = instruction({
  mnemonic: "pause",
  source: "Intel SDM Vol. 2B, PAUSE",
  access: "",
  forms: [form("F3 90", "", { rexB: false })],
  execute() {},
});

export const xchg = instruction({
  mnemonic: "xchg",
  source: "Intel SDM Vol. 2D, XCHG",
  access: "rw rw",
  forms: [
    form("90", "rax:v, +r:v"),
    form("86 /r", "rm8, r8", { lockable: true }),
    form("87 /r", "rm:v, r:v", { lockable: true }),
  ],
  execute(_ops, a, b) {
    return [b, a];
  },
});

export const bswap = instruction({
  mnemonic: "bswap",
  source: "Intel SDM Vol. 2A, BSWAP",
  access: "rw",
  forms: [form("0F C8", "+r:v")],
  execute(ops, dst) {
    // Undefined for 16 bits; processors give 0.
    return ops.operandBits === 16 ? ops.constant(0, 16) : ops.byteSwap(dst);
  },
});

export const lea = instruction({
  mnemonic: "lea",
  source: "Intel SDM Vol. 2A, LEA",
  access: "w r",
  forms: [form("8D /r", "r:v, m", { offsetOnly: true })],
  execute(ops, _dst, address) {
    return ops.truncate(address, ops.operandBits);
  },
});

/** CMOVcc. The source is always read, and a 32-bit destination's upper half always cleared. */
export const conditionalMoves = CONDITIONS.map((condition, code) =>
  instruction({
    mnemonic: `cmov${condition}`,
    source: "Intel SDM Vol. 2A, CMOVcc",
    access: "rw r",
    flags: { reads: conditionFlags(code) },
    forms: [form(`0F 4${code.toString(16)} /r`, "r:v, rm:v")],
    execute(ops, dst, src) {
      return ops.select(ops.condition(condition), src, dst);
    },
  }),
);

/** The flags that a condition code looks at. */
export function conditionFlags(code: number): string {
  return ["of", "cf", "zf", "cf zf", "sf", "pf", "sf of", "zf sf of"][code >> 1]!;
}

export const xlat = instruction({
  mnemonic: "xlat",
  source: "Intel SDM Vol. 2D, XLAT/XLATB",
  access: "",
  forms: [form("D7", "", { addressPrefixes: true, size: 8 })],
  execute(ops) {
    const index = ops.zeroExtend(ops.register("rax", 8), 64);
    const sum = ops.add(ops.register("rbx", 64), index);
    const address = ops.dataSegmented(wrapAddress(ops, sum), 1, "read");
    ops.setRegister("rax", ops.load(8, address));
  },
});

/** Cuts an offset, 64 bits, to the address size that `stringPrefixes` tells. */
export function wrapAddress<V>(ops: Ops<V>, offset: V): V {
  const { addressBits } = ops.stringPrefixes();
  const is = (bits: number): V => ops.equal(addressBits, ops.constant(bits, 32));
  const narrow = ops.select(is(16), ops.constant(0xffff, 64), ops.constant(0xffffffff, 64));
  return ops.and(offset, ops.select(is(64), ops.constant(-1, 64), narrow));
}

const AH_FLAGS: readonly (readonly [flag: StatusFlag, bit: number])[] = [
  ["sf", 7],
  ["zf", 6],
  ["af", 4],
  ["pf", 2],
  ["cf", 0],
];

export const lahf = instruction({
  mnemonic: "lahf",
  source: "Intel SDM Vol. 2A, LAHF",
  access: "",
  flags: { reads: "cf pf af zf sf" },
  forms: [
    form("9F", "", { size: 8, ...not64 }),
    form("9F", "", { size: 8, ...only64, features: ["lahf-64"] }),
  ],
  execute(ops) {
    // Bit 1 is always set. AH is bits 8..15 of AX.
    let high = ops.constant(0x0200, 16);
    for (const [flag, bit] of AH_FLAGS) {
      high = ops.or(high, ops.shiftLeft(ops.zeroExtend(ops.flag(flag), 16), 8 + bit));
    }
    const low = ops.zeroExtend(ops.register("rax", 8), 16);
    ops.setRegister("rax", ops.or(high, low));
  },
});

export const sahf = instruction({
  mnemonic: "sahf",
  source: "Intel SDM Vol. 2B, SAHF",
  access: "",
  flags: { writes: "cf pf af zf sf" },
  forms: [
    form("9E", "", { size: 8, ...not64 }),
    form("9E", "", { size: 8, ...only64, features: ["lahf-64"] }),
  ],
  execute(ops) {
    const ax = ops.register("rax", 16);
    // OF stays, and it is kept as a relation between the result and the operands.
    const overflow = ops.keep(ops.flag("of"));
    for (const [flag, bit] of AH_FLAGS) ops.setFlag(flag, ops.bit(ax, 8 + bit));
    ops.setFlag("of", overflow);
  },
});

export const cbw = instruction({
  mnemonic: "cbw",
  source: "Intel SDM Vol. 2A, CBW/CWDE/CDQE",
  access: "",
  forms: [form("98")],
  execute(ops) {
    const half = ops.register("rax", (ops.operandBits / 2) as OperandBits);
    ops.setRegister("rax", ops.signExtend(half, ops.operandBits));
  },
});

export const cwd = instruction({
  mnemonic: "cwd",
  source: "Intel SDM Vol. 2A, CWD/CDQ/CQO",
  access: "",
  forms: [form("99")],
  execute(ops) {
    const accumulator = ops.register("rax", ops.operandBits);
    ops.setRegister("rdx", ops.shiftRightSigned(accumulator, ops.operandBits - 1));
  },
});

// biome-ignore format: a table
export const dataTransfer = [
  mov, movzx, movsx, movsxd, nop, pause, xchg, bswap, lea, ...conditionalMoves, xlat, lahf, sahf, cbw, cwd,
] as const;
