import { SEGMENT_REGISTERS } from "../../isa/registers.ts";
import { BASE_RIP, type CodeBits, type DecodedInstruction, NO_REGISTER } from "../decoder.ts";
import { type OperandSpec, resolveBits, type SpecBits } from "../operand-spec.ts";
import { encodedRegister } from "../record-writer.ts";

const NAMES = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"] as const;
const LOW_BYTES = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"] as const;
const HIGH_BYTES = ["ah", "ch", "dh", "bh"] as const;

const POINTER_WORDS: Record<number, string> = {
  8: "BYTE PTR ",
  16: "WORD PTR ",
  32: "DWORD PTR ",
  48: "FWORD PTR ",
  64: "QWORD PTR ",
  80: "TBYTE PTR ",
  128: "XMMWORD PTR ",
  256: "YMMWORD PTR ",
};

/** `rex` is 0 when there is none: byte registers 4..7 are then AH, CH, DH and BH. */
export function generalRegister(n: number, bits: number, rex = 1): string {
  if (n >= 8) return `r${n}${{ 8: "b", 16: "w", 32: "d", 64: "" }[bits as 8 | 16 | 32 | 64]}`;
  if (bits === 8) return rex === 0 && n >= 4 ? HIGH_BYTES[n - 4]! : LOW_BYTES[n]!;
  return `${{ 16: "", 32: "e", 64: "r" }[bits as 16 | 32 | 64]}${NAMES[n]}`;
}

export function hex(value: bigint | number, bits = 64): string {
  return `0x${BigInt.asUintN(bits, BigInt(value)).toString(16)}`;
}

function signedHex(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;
}

/** A general register or, in a gather, a vector register. */
function indexRegister(d: DecodedInstruction): string {
  const vector = d.form.operands.find((o) => o.source === "index");
  return vector === undefined
    ? generalRegister(d.index, d.addressBits)
    : vectorRegister(d.index, vector.bits);
}

const vectorRegister = (n: number, bits: SpecBits): string => `${bits === 256 ? "ymm" : "xmm"}${n}`;

/** The memory operand of ModRM, without its size: `fs:[rax+rcx*4-0x8]`. */
export function memoryText(d: DecodedInstruction): string {
  const segment = d.segmentOverride >= 0 ? `${SEGMENT_REGISTERS[d.segmentOverride]}:` : "";
  const parts: string[] = [];
  if (d.base === BASE_RIP) parts.push(d.addressBits === 64 ? "rip" : "eip");
  else if (d.base !== NO_REGISTER) parts.push(generalRegister(d.base, d.addressBits));
  if (d.index !== NO_REGISTER) {
    const scale = d.addressBits === 16 ? "" : `*${1 << d.scale}`;
    parts.push(indexRegister(d) + scale);
  }
  if (parts.length === 0) return (segment || "ds:") + hex(d.displacement, d.addressBits);
  const displacement = d.displacementBytes > 0 ? signedHex(d.displacement) : "";
  return `${segment}[${parts.join("+")}${displacement}]`;
}

/** These name a cache line or a page by one of its bytes. */
const BYTES_AT = /^(invlpg|clflush|prefetch\w*)$/;
const FAR_POINTERS = /^(call|jmp|call far|jmp far|lds|les|lfs|lgs|lss)$/;

// biome-ignore format: a table
/** Widths of x87 memory operands, by the opcode and ModRM.reg; 0 for environments and whole states. */
const X87_BITS: Record<number, readonly number[]> = {
  0xd8: [32, 32, 32, 32, 32, 32, 32, 32],
  0xd9: [32,  0, 32, 32,  0, 16,  0, 16],
  0xda: [32, 32, 32, 32, 32, 32, 32, 32],
  0xdb: [32, 32, 32, 32,  0, 80,  0, 80],
  0xdc: [64, 64, 64, 64, 64, 64, 64, 64],
  0xdd: [64, 64, 64, 64,  0,  0,  0, 16],
  0xde: [16, 16, 16, 16, 16, 16, 16, 16],
  0xdf: [16, 16, 16, 16, 80, 64, 80, 64],
};

/** x87 instructions of one register that do not have ST(0) as the other operand. */
const ONE_REGISTER = /^f(u?comp?|ld|stp?|xch|freep?)$/;

function x87Register(d: DecodedInstruction): string {
  const register = `st(${d.rm & 7})`;
  if (ONE_REGISTER.test(d.form.instruction.mnemonic)) return register;
  return d.opcode === 0xdc || d.opcode === 0xde ? `${register},st` : `st,${register}`;
}

/** Width of what stands at an operand of class `address`; 0 where assembly names none. */
function addressedBits(d: DecodedInstruction): number {
  const { mnemonic } = d.form.instruction;
  if (d.form.instruction.unit.startsWith("x87")) return X87_BITS[d.opcode]?.[d.digit] ?? 0;
  if (FAR_POINTERS.test(mnemonic)) return d.operandBits + 16;
  if (BYTES_AT.test(mnemonic)) return 8;
  if (/^(bt|btc|btr|bts|pop)$/.test(mnemonic)) return d.operandBits;
  if (mnemonic === "bound") return 2 * d.operandBits;
  if (mnemonic === "cmpxchg8b") return d.rex & 8 ? 128 : 64;
  if (mnemonic === "cmpxchg16b") return 128;
  if (mnemonic === "ldmxcsr" || mnemonic === "stmxcsr") return 32;
  // Masked moves and VCVTPS2PH by their vectors, gathers by their elements.
  if (/^vp?maskmov/.test(mnemonic)) return d.vexLength === 1 ? 256 : 128;
  if (mnemonic === "vcvtps2ph") return d.vexLength === 1 ? 128 : 64;
  if (d.form.vsib) return (d.rex & 8) !== 0 ? 64 : 32;
  if (/^(mov|str|sldt|smsw|lldt|ltr|lmsw|verr|verw)$/.test(mnemonic)) return 16;
  return 0;
}

function isPrefetch(d: DecodedInstruction): boolean {
  return d.form.instruction.mnemonic.startsWith("prefetch") && (d.opcode !== 0x18 || d.digit < 4);
}

function numberText(d: DecodedInstruction, spec: OperandSpec, token: string): string {
  if (spec.source === "fixed") return SEGMENT_REGISTERS[spec.register as 0];
  if (token === "sreg") return SEGMENT_REGISTERS[(d.reg & 7) as 0] ?? "?";
  if (token === "cr" || token === "dr") return token + d.reg;
  return x87Register(d);
}

/** Ports have 32 bits at most; REX.W changes nothing there. */
function widestBits(d: DecodedInstruction): 32 | 64 {
  return /^(in|out|ins|outs)$/.test(d.form.instruction.mnemonic) ? 32 : 64;
}

/** Text of operand `i` of the form; `undefined` for one that another's text includes. */
export function operandText(
  d: DecodedInstruction,
  i: number,
  nextAddress: bigint,
  codeBits: CodeBits,
): string | undefined {
  const spec = d.form.operands[i]!;
  const bits = resolveBits(spec.bits, d.operandBits);
  switch (spec.source) {
    case "one":
      return "1";
    case "immediate": {
      const first = d.form.operands.findIndex((o) => o.source === "immediate") === i;
      return hex(first ? d.immediate : d.immediate2, bits);
    }
    case "relative": {
      const target = nextAddress + d.immediate;
      return hex(target, codeBits === 64 ? 64 : d.operandBits);
    }
    case "farOffset":
      return `${hex(d.immediate2, 16)}:${hex(d.immediate, d.operandBits)}`;
    case "farSelector":
    // MASKMOVQ's destination.
    case "rdi":
    // The index of a gather stands in its address.
    case "index":
      return undefined;
    case "moffs": {
      const segment = SEGMENT_REGISTERS[d.segment as 0];
      return `${segment}:${hex(d.immediate, d.addressBits)}`;
    }
    default:
      break;
  }
  if (spec.class === "number") return numberText(d, spec, d.form.form.operands[i]!);
  if (spec.source === "rm" && d.mod !== 3) {
    const width =
      spec.class === "address" || isPrefetch(d)
        ? addressedBits(d)
        : resolveBits(spec.memoryBits, d.operandBits);
    return (POINTER_WORDS[width] ?? "") + memoryText(d);
  }
  const n = spec.source === "fixed" ? spec.register : encodedRegister(d, spec.source);
  // The mask that PCMPESTRM and PCMPISTRM leave in XMM0 is not named.
  if (
    spec.class === "xmm" &&
    spec.source === "fixed" &&
    spec.bits === 128 &&
    /pcmp/.test(d.form.instruction.mnemonic)
  )
    return undefined;
  if (spec.class === "xmm") return vectorRegister(n, spec.bits);
  if (spec.class === "mm") return `mm${n & 7}`;
  if (spec.source === "fixed") return generalRegister(spec.register, Math.min(bits, widestBits(d)));
  // A destination that may stay as it is (BSF, LAR, CMPXCHG) is the whole register in the table.
  if (spec.bits === 64 && d.form.form.size === undefined) return generalRegister(n, d.operandBits);
  return generalRegister(n, bits, d.rex);
}

/** The operands of string instructions, which the opcode implies. */
export function stringOperands(d: DecodedInstruction): string | undefined {
  const word = POINTER_WORDS[Math.min(d.operandBits, widestBits(d))] ?? "";
  const destination = `${word}es:[${generalRegister(7, d.addressBits)}]`;
  const segment = SEGMENT_REGISTERS[(d.segmentOverride >= 0 ? d.segmentOverride : 3) as 0];
  const source = `${word}${segment}:[${generalRegister(6, d.addressBits)}]`;
  const accumulator = generalRegister(0, d.operandBits);
  switch (d.form.instruction.mnemonic) {
    case "movs":
      return `${destination},${source}`;
    case "cmps":
      return `${source},${destination}`;
    case "stos":
      return `${destination},${accumulator}`;
    case "lods":
      return `${accumulator},${source}`;
    case "scas":
      return `${accumulator},${destination}`;
    case "ins":
      return `${destination},dx`;
    case "outs":
      return `dx,${source}`;
    default:
      return undefined;
  }
}
