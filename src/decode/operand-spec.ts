import { GENERAL_REGISTERS, SEGMENT_REGISTERS } from "../isa/registers.ts";
import { invariant } from "../layout/invariant.ts";

/** Where the decoder finds an operand. */
export type OperandSource =
  | "fixed"
  | "reg"
  | "rm"
  | "opcode"
  /** VEX.vvvv */
  | "vvvv"
  /** The upper half of an immediate byte. */
  | "is4"
  /** The index register of a SIB byte. */
  | "index"
  | "immediate"
  | "one"
  | "relative"
  | "moffs"
  | "rdi"
  | "farOffset"
  | "farSelector";

/** What kind of thing the operand is. */
export type OperandClass =
  /** General register or memory of that width. */
  | "general"
  /** Vector register of 128 bits, or 256 in some VEX forms, or memory. */
  | "xmm"
  /** MMX register, or memory. */
  | "mm"
  /** The encoded number itself: segment, control, debug and x87 registers. */
  | "number"
  | "immediate"
  | "relative"
  /** The linear address of a memory operand of no particular width. */
  | "address";

/** Width in bits, or how it follows from the operand size: `v` = it, `y` = 64 or 32. */
export type SpecBits = 8 | 16 | 32 | 64 | 80 | 128 | 256 | "v" | "y";

/** One operand of a form, taken apart. */
export interface OperandSpec {
  readonly source: OperandSource;
  readonly class: OperandClass;
  readonly bits: SpecBits;
  /** Width in memory where it differs from the register's. */
  readonly memoryBits: SpecBits;
  /** Whether a ModRM.rm operand may be a register, memory, or both. */
  readonly allows: "register" | "memory" | "both";
  /** Fixed registers: the register's number. Class `number`: a mask on the encoded number. */
  readonly register: number;
  /** Immediates and branch offsets: encoded bytes, or `z` = 2 or 4, `v` = 2, 4 or 8. */
  readonly encodedBytes: 0 | 1 | 2 | 4 | 8 | "z" | "v";
}

const BASE: OperandSpec = {
  source: "fixed",
  class: "general",
  bits: "v",
  memoryBits: "v",
  allows: "both",
  register: 0,
  encodedBytes: 0,
};

const FIXED: Record<string, readonly [register: number, bits: SpecBits]> = {
  al: [0, 8],
  ax: [0, 16],
  eax: [0, 32],
  rax: [0, 64],
  cl: [1, 8],
  cx: [1, 16],
  ecx: [1, 32],
  rcx: [1, 64],
  dx: [2, 16],
};

const spec = (part: Partial<OperandSpec> & { bits: SpecBits }): OperandSpec => ({
  ...BASE,
  memoryBits: part.bits,
  ...part,
});

function widthOf(text: string): SpecBits {
  if (text === ":v") return "v";
  if (text === ":y") return "y";
  return Number(text) as SpecBits;
}

/** Takes an operand token of `form()` apart; the tokens are listed there. */
export function parseOperand(token: string): OperandSpec {
  const fixed = FIXED[token];
  if (fixed) return spec({ source: "fixed", register: fixed[0], bits: fixed[1] });
  if (token === "xmm0") return spec({ source: "fixed", class: "xmm", bits: 128 });
  const segment = (SEGMENT_REGISTERS as readonly string[]).indexOf(token);
  if (segment >= 0) return spec({ source: "fixed", class: "number", bits: 32, register: segment });
  const fixedVariable = /^(r[a-z]{2}):(v|y)$/.exec(token);
  if (fixedVariable) {
    const register = GENERAL_REGISTERS.indexOf(fixedVariable[1] as (typeof GENERAL_REGISTERS)[number]);
    return spec({ source: "fixed", register, bits: fixedVariable[2] as SpecBits });
  }
  let match = /^rm(:?[vy\d]+)$/.exec(token);
  if (match) return spec({ source: "rm", bits: widthOf(match[1]!) });
  match = /^r(:?[vy\d]+):rm$/.exec(token);
  if (match) return spec({ source: "rm", bits: widthOf(match[1]!), allows: "register" });
  match = /^r(:?[vy\d]+):v$/.exec(token);
  if (match) return spec({ source: "vvvv", bits: widthOf(match[1]!) });
  match = /^r(:?[vy\d]+)\/m(:?[vy\d]+)$/.exec(token);
  if (match) return spec({ source: "rm", bits: widthOf(match[1]!), memoryBits: widthOf(match[2]!) });
  match = /^r(:?[vy\d]+)$/.exec(token);
  if (match) return spec({ source: "reg", bits: widthOf(match[1]!) });
  match = /^\+r(:?[vy\d]+)$/.exec(token);
  if (match) return spec({ source: "opcode", bits: widthOf(match[1]!) });
  if (token === "m") return spec({ source: "rm", class: "address", bits: 64, allows: "memory" });
  match = /^m(:?[vy\d]+)$/.exec(token);
  if (match) {
    const bits = widthOf(match[1]!);
    return spec({
      source: "rm",
      class: bits === 128 || bits === 256 ? "xmm" : "general",
      bits,
      allows: "memory",
    });
  }
  match = /^([xy]mm):(v|is4)$/.exec(token);
  if (match) {
    const source = match[2] === "v" ? "vvvv" : "is4";
    return spec({
      source,
      class: "xmm",
      bits: match[1] === "ymm" ? 256 : 128,
      encodedBytes: source === "is4" ? 1 : 0,
    });
  }
  match = /^([xy]?mm)(?:\/m(\d+)|(:rm))?$/.exec(token);
  if (match) {
    const registerBits = match[1] === "ymm" ? 256 : match[1] === "xmm" ? 128 : 64;
    return spec({
      source: match[2] !== undefined || match[3] !== undefined ? "rm" : "reg",
      class: match[1] === "mm" ? "mm" : "xmm",
      bits: registerBits,
      memoryBits: match[2] === undefined ? registerBits : (Number(match[2]) as SpecBits),
      allows: match[2] === undefined ? "register" : "both",
    });
  }
  switch (token) {
    case "1":
      return spec({ source: "one", class: "immediate", bits: 8 });
    case "imm8":
      return spec({ source: "immediate", class: "immediate", bits: 8, encodedBytes: 1 });
    case "imm8:sx":
      return spec({ source: "immediate", class: "immediate", bits: "v", encodedBytes: 1 });
    case "imm16":
      return spec({ source: "immediate", class: "immediate", bits: 16, encodedBytes: 2 });
    case "imm:z":
      return spec({ source: "immediate", class: "immediate", bits: "v", encodedBytes: "z" });
    case "imm:v":
      return spec({ source: "immediate", class: "immediate", bits: "v", encodedBytes: "v" });
    case "rel8":
      return spec({ source: "relative", class: "relative", bits: 64, encodedBytes: 1 });
    case "rel:z":
      return spec({ source: "relative", class: "relative", bits: 64, encodedBytes: "z" });
    case "moffs8":
      return spec({ source: "moffs", bits: 8, allows: "memory" });
    case "moffs:v":
      return spec({ source: "moffs", bits: "v", allows: "memory" });
    case "m64:rdi":
      return spec({ source: "rdi", bits: 64, allows: "memory" });
    case "m128:rdi":
      return spec({ source: "rdi", class: "xmm", bits: 128, allows: "memory" });
    case "sreg":
      return spec({ source: "reg", class: "number", bits: 32, register: 7 });
    case "cr":
    case "dr":
      return spec({ source: "reg", class: "number", bits: 32, register: 15 });
    case "st:i":
      return spec({ source: "rm", class: "number", bits: 32, allows: "register", register: 7 });
    default:
      break;
  }
  invariant(false, `operand token "${token}" is in no table`);
}

/** The operands of a form; `far:z` counts as two, offset and selector, and so does `vsib`. */
export function parseOperands(tokens: readonly string[]): OperandSpec[] {
  return tokens.flatMap(specsOf);
}

/** The table has few tokens, each many times. */
const known = new Map<string, readonly OperandSpec[]>();

function specsOf(token: string): readonly OperandSpec[] {
  let specs = known.get(token);
  if (specs === undefined) {
    specs = parseToken(token);
    known.set(token, specs);
  }
  return specs;
}

function parseToken(token: string): readonly OperandSpec[] {
  if (token === "far:z")
    return [
      spec({ source: "farOffset", class: "immediate", bits: 64, encodedBytes: "z" }),
      spec({ source: "farSelector", class: "immediate", bits: 32, encodedBytes: 2 }),
    ];
  if (token === "vsib:x" || token === "vsib:y")
    return [
      spec({ source: "rm", class: "address", bits: 64, allows: "memory" }),
      spec({ source: "index", class: "xmm", bits: token === "vsib:y" ? 256 : 128 }),
    ];
  return [parseOperand(token)];
}

/** Width of an operand under an operand size. */
export function resolveBits(bits: SpecBits, operandBits: number): number {
  if (bits === "v") return operandBits;
  if (bits === "y") return operandBits === 64 ? 64 : 32;
  return bits;
}
