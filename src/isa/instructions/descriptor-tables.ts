import {
  CPL,
  CR0,
  CR4,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS_SYSTEM,
  SEG_LDTR,
  SEG_TR,
  SEGMENT_SELECTOR,
} from "../../layout/cpu-state.ts";
import type { HelperName } from "../helpers.ts";
import { force64, form, instruction, not64, only64, privileged } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { placed } from "./bits.ts";

/** LGDT and LIDT: 16 bits of limit, then the base. */
function loadTable(mnemonic: string, digit: number, helper: HelperName) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2A, LGDT/LIDT",
    access: "r",
    forms: [form(`0F 01 /${digit}`, "m", { ...privileged, ...force64 })],
    execute(ops, address) {
      const limit = ops.keep(ops.zeroExtend(ops.load(16, address), 32));
      const at = ops.add(address, ops.constant(2, 64));
      const base = ops.zeroExtend(ops.load(ops.code64 ? 64 : 32, at), 64);
      // An operand size of 16 bits takes 24 bits of the base.
      const kept = ops.operandBits === 16 ? ops.and(base, ops.constant(0xffffff, 64)) : base;
      ops.system(helper, limit, kept);
    },
  });
}

/** SGDT and SIDT. All 32 bits of the base are stored outside of 64-bit code, whatever the operand size. */
function storeTable(mnemonic: string, source: string, digit: number, limit: number, base: number) {
  return instruction({
    mnemonic,
    source,
    access: "r",
    forms: [form(`0F 01 /${digit}`, "m", force64)],
    execute(ops, address) {
      requireTablePrivilege(ops);
      // Both places are known to be writable before either changes.
      ops.modify(16, address, (old) => old);
      ops.store(ops.add(address, ops.constant(2, 64)), ops.state(base, ops.code64 ? 64 : 32));
      ops.store(address, ops.state(limit, 16));
    },
  });
}

/** With CR4.UMIP, what tells where the system's tables lie is #GP(0) unless CPL is 0. */
export function requireTablePrivilege<V>(ops: Ops<V>): void {
  const isUser = ops.not(ops.isZero(ops.state(CPL, 32)));
  ops.raiseWhen(ops.and(ops.bit(ops.state(CR4, 32), 11), isUser), "#GP");
}

/** #UD in real and virtual-8086 mode. */
function requireProtectedMode<V>(ops: Ops<V>): void {
  if (ops.code64) return;
  const real = ops.not(ops.bit(ops.state(CR0, 32), 0));
  ops.raiseWhen(ops.or(real, ops.bit(ops.state(RFLAGS_SYSTEM, 32), 17)), "#UD");
}

/** SLDT and STR: to a register zero-extended to the operand size, to memory 16 bits. */
function storeSelector(mnemonic: string, source: string, digit: number, segment: number) {
  const read = <V>(ops: Ops<V>): V => {
    requireProtectedMode(ops);
    requireTablePrivilege(ops);
    return ops.state(segment + SEGMENT_SELECTOR, 16);
  };
  return [
    instruction({
      mnemonic,
      source,
      access: "w",
      forms: [form(`0F 00 /${digit}`, "r:v:rm")],
      execute: (ops) => ops.zeroExtend(read(ops), ops.operandBits),
    }),
    instruction({
      mnemonic,
      source,
      access: "w",
      forms: [form(`0F 00 /${digit}`, "m16")],
      execute: (ops) => read(ops),
    }),
  ];
}

/** LLDT and LTR. Outside of 64-bit code the helpers check mode and privilege, in this order. */
function loadSelector(mnemonic: string, source: string, digit: number, helper: HelperName) {
  return instruction({
    mnemonic,
    source,
    access: "r",
    forms: [
      form(`0F 00 /${digit}`, "rm16", { ...only64, ...privileged }),
      form(`0F 00 /${digit}`, "rm16", not64),
    ],
    execute(ops, selector) {
      ops.system(helper, selector);
    },
  });
}

/** LAR and LSL. The destination is all 64 bits of the register, since without an answer none of them changes. */
function askDescriptor(mnemonic: string, source: string, opcode: string, helper: HelperName) {
  return instruction({
    mnemonic,
    source,
    access: "rw r",
    flags: { writes: "zf" },
    forms: [form(`${opcode} /r`, "r64, r:v/m16")],
    execute(ops, dst, selector) {
      const answer = ops.keep(ops.query(helper, ops.truncate(selector, 16)));
      const refused = ops.keep(ops.bit(answer, 63));
      ops.setFlag("zf", ops.not(refused));
      return ops.select(refused, dst, placed(ops, dst, ops.truncate(answer, ops.operandBits)));
    },
  });
}

/** VERR and VERW. */
function verify(mnemonic: string, digit: number, helper: HelperName) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2D, VERR/VERW",
    access: "r",
    flags: { writes: "zf" },
    forms: [form(`0F 00 /${digit}`, "rm16")],
    execute(ops, selector) {
      const answer = ops.query(helper, selector);
      ops.setFlag("zf", ops.equal(answer, ops.constant(1, 32)));
    },
  });
}

export const arpl = instruction({
  mnemonic: "arpl",
  source: "Intel SDM Vol. 2A, ARPL",
  access: "rw r",
  flags: { writes: "zf" },
  forms: [form("63 /r", "rm16, r16", not64)],
  execute(ops, dst, src) {
    requireProtectedMode(ops);
    const rpl = (v: typeof dst) => ops.and(v, ops.constant(3, 16));
    const lower = ops.keep(ops.lessUnsigned(rpl(dst), rpl(src)));
    ops.setFlag("zf", lower);
    return ops.select(lower, ops.or(ops.and(dst, ops.constant(0xfffc, 16)), rpl(src)), dst);
  },
});

// biome-ignore format: a table
export const descriptorTables = [
  ...storeSelector("sldt", "Intel SDM Vol. 2B, SLDT", 0, SEG_LDTR),
  ...storeSelector("str", "Intel SDM Vol. 2B, STR", 1, SEG_TR),
  loadSelector("lldt", "Intel SDM Vol. 2A, LLDT", 2, "lldt"),
  loadSelector("ltr", "Intel SDM Vol. 2A, LTR", 3, "ltr"),
  verify("verr", 4, "verr"),
  verify("verw", 5, "verw"),
  storeTable("sgdt", "Intel SDM Vol. 2B, SGDT", 0, GDTR_LIMIT, GDTR_BASE),
  storeTable("sidt", "Intel SDM Vol. 2B, SIDT", 1, IDTR_LIMIT, IDTR_BASE),
  loadTable("lgdt", 2, "loadGdtr"),
  loadTable("lidt", 3, "loadIdtr"),
  askDescriptor("lar", "Intel SDM Vol. 2A, LAR", "0F 02", "lar"),
  askDescriptor("lsl", "Intel SDM Vol. 2A, LSL", "0F 03", "lsl"),
  arpl,
];
