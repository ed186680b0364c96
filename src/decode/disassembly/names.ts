import type { CodeBits, DecodedInstruction } from "../decoder.ts";

/** Instructions whose name follows the operand size: 16, 32 and 64 bits. */
const NAMES_BY_SIZE: Record<string, readonly [string, string, string]> = {
  cbw: ["cbw", "cwde", "cdqe"],
  cwd: ["cwd", "cdq", "cqo"],
};

/**
 * Instructions of which no operand shows the operand size: the name gets a
 * suffix (`w`, `d`, `q`) when the size is not the one that code of this size has anyway.
 */
const SUFFIXED = new Set(
  (
    "call jmp ret retf iret push pop enter leave pusha popa pushf popf " +
    "lgdt lidt sgdt sidt fnstenv fldenv fnsave frstor"
  ).split(" "),
);

/** Instructions whose REX.W variant, with the same operands, is another instruction. */
const REX_W_NAMES: Record<string, string> = {
  fxsave: "fxsave64",
  fxrstor: "fxrstor64",
  movd: "movq",
  pcmpestri: "pcmpestriq",
  pcmpestrm: "pcmpestrmq",
  pextrd: "pextrq",
  pinsrd: "pinsrq",
  vmovd: "vmovq",
  vpcmpestri: "vpcmpestriq",
  vpcmpestrm: "vpcmpestrmq",
  vpextrd: "vpextrq",
  vpinsrd: "vpinsrq",
  xsave: "xsave64",
  xrstor: "xrstor64",
  xsavec: "xsavec64",
  xsaveopt: "xsaveopt64",
};

/** 0F 18 by ModRM.reg; the rest of the digits are reserved for more hints. */
const PREFETCHES = ["prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2"];

/** 0F 0D by ModRM.reg; the rest act as PREFETCH (AMD APM Vol. 3, "PREFETCH"). */
const PREFETCHES_0D = ["prefetch", "prefetchw", "prefetchwt1"];

/** Where the table's mnemonic is not the assembler's. */
const ASSEMBLY_NAMES: Record<string, string> = {
  fcmovae: "fcmovnb",
  fcmova: "fcmovnbe",
  fcmovp: "fcmovu",
  fcmovnp: "fcmovnu",
  wait: "fwait",
};

/** The operand size of an instruction without prefixes. */
export function defaultOperandBits(d: DecodedInstruction, codeBits: CodeBits): number {
  const { form } = d.form;
  if (form.size !== undefined) return form.size;
  if (codeBits !== 64) return codeBits;
  return form.default64 || form.force64 || DESCRIPTOR_TABLE.has(d.form.instruction.mnemonic) ? 64 : 32;
}

const SHORT_JUMP = 0xeb;

// Their operand is 10 bytes in 64-bit code and follows the operand size elsewhere.
const DESCRIPTOR_TABLE = new Set(["lgdt", "lidt", "sgdt", "sidt"]);

/** Whether an operand's text tells the operand size. */
function showsSize(d: DecodedInstruction): boolean {
  if (d.isMemory && (d.form.instruction.mnemonic === "pop" || d.form.instruction.mnemonic === "push"))
    return true;
  return d.form.operands.some((o) => {
    if (o.source === "moffs" || o.source === "farOffset") return true;
    return (
      o.class === "general" || (o.class === "address" && /^(call|jmp)/.test(d.form.instruction.mnemonic))
    );
  });
}

/** The name of the instruction as assembly has it, without prefixes. */
export function instructionName(d: DecodedInstruction, codeBits: CodeBits): string {
  const { mnemonic } = d.form.instruction;
  const bySize = NAMES_BY_SIZE[mnemonic];
  if (bySize) return bySize[d.operandBits === 16 ? 0 : d.operandBits === 32 ? 1 : 2];
  if ((d.rex & 8) !== 0 && codeBits === 64) {
    const wide = REX_W_NAMES[mnemonic];
    if (wide) return wide;
  }
  if (mnemonic === "sysret" || mnemonic === "sysexit") {
    return mnemonic + (codeBits !== 64 ? "" : d.rex & 8 ? "q" : "d");
  }
  if (mnemonic === "jrcxz") return { 16: "jcxz", 32: "jecxz", 64: "jrcxz" }[d.addressBits as 16 | 32 | 64];
  if (mnemonic === "prefetchw" && d.opcode === 0x0d)
    return d.isMemory ? (PREFETCHES_0D[d.digit] ?? "prefetch") : "nop";
  if (mnemonic === "prefetch" && d.opcode === 0x18)
    return d.isMemory ? (PREFETCHES[d.digit] ?? "nop") : "nop";
  if (mnemonic === "cmpxchg8b" && (d.rex & 8) !== 0) return "cmpxchg16b";
  const name = ASSEMBLY_NAMES[mnemonic] ?? mnemonic;
  if (!SUFFIXED.has(name) || showsSize(d) || d.opcode === SHORT_JUMP) return name;
  if (codeBits === 64 && DESCRIPTOR_TABLE.has(name)) return name;
  // The environment's and the state's format is that of 32 bits with REX.W too.
  if (d.operandBits === 64 && d.form.instruction.unit !== "general") return name;
  if (d.operandBits === defaultOperandBits(d, codeBits)) return name;
  return name + { 8: "b", 16: "w", 32: "d", 64: "q" }[d.operandBits as 8 | 16 | 32 | 64];
}

/** The prefixes that do something, as words before the name. */
export function prefixWords(d: DecodedInstruction, isString: boolean): string {
  const lock = d.lock ? "lock " : "";
  if (!isString || d.repeat === 0) return lock;
  if (d.repeat === 2) return `${lock}repnz `;
  return `${lock}${/^(cmps|scas)/.test(d.form.instruction.mnemonic) ? "repz" : "rep"} `;
}
