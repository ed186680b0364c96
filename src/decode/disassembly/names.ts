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
    "call jmp ret retf iret push enter leave pusha popa pushf popf " +
    "lgdt lidt sgdt sidt fnstenv fldenv fnsave frstor"
  ).split(" "),
);

/** Instructions whose REX.W variant, with the same operands, is another instruction. */
const REX_W_NAMES: Record<string, string> = {
  fxsave: "fxsave64",
  fxrstor: "fxrstor64",
  xsave: "xsave64",
  xrstor: "xrstor64",
};

/** Far transfers have the mnemonic of the near ones in assembly. */
const ASSEMBLY_NAMES: Record<string, string> = {
  "call far": "call",
  "jmp far": "jmp",
  wait: "fwait",
};

/** The operand size of an instruction without prefixes. */
export function defaultOperandBits(d: DecodedInstruction, codeBits: CodeBits): number {
  const { form } = d.form;
  if (form.size !== undefined) return form.size;
  if (codeBits !== 64) return codeBits;
  return form.default64 || form.force64 || DESCRIPTOR_TABLE.has(d.form.instruction.mnemonic) ? 64 : 32;
}

// Their operand is 10 bytes in 64-bit code and follows the operand size elsewhere.
const DESCRIPTOR_TABLE = new Set(["lgdt", "lidt", "sgdt", "sidt"]);

/** Whether an operand's text tells the operand size. */
function showsSize(d: DecodedInstruction): boolean {
  return d.form.operands.some((o) => {
    if (o.source === "moffs" || o.source === "farOffset") return true;
    if (o.class === "number" && d.form.form.operands.length === 1) return true;
    return o.class === "general" || (o.class === "address" && /^(call|jmp)/.test(d.form.instruction.mnemonic));
  });
}

/** The name of the instruction as assembly has it, without prefixes. */
export function instructionName(d: DecodedInstruction, codeBits: CodeBits): string {
  const { mnemonic } = d.form.instruction;
  const bySize = NAMES_BY_SIZE[mnemonic];
  if (bySize) return bySize[d.operandBits === 16 ? 0 : d.operandBits === 32 ? 1 : 2];
  if ((d.rex & 8) !== 0) {
    const wide = REX_W_NAMES[mnemonic];
    if (wide) return wide;
  }
  if (mnemonic === "sysret" || mnemonic === "sysexit") return mnemonic + (d.rex & 8 ? "q" : "d");
  if (mnemonic === "jcxz") return { 16: "jcxz", 32: "jecxz", 64: "jrcxz" }[d.addressBits]!;
  if (mnemonic === "cmpxchg8b" && (d.rex & 8) !== 0) return "cmpxchg16b";
  const name = ASSEMBLY_NAMES[mnemonic] ?? mnemonic;
  if (!SUFFIXED.has(name) || showsSize(d)) return name;
  if (codeBits === 64 && DESCRIPTOR_TABLE.has(name)) return name;
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
