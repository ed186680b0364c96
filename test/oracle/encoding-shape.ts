import type { Form, Instruction } from "../../src/isa/instruction.ts";
import { FLAG_BITS, STATUS_FLAGS } from "./protocol.ts";

/** Where an operand is encoded. */
export type OperandPlace =
  | "reg"
  | "rm"
  | "opcode"
  | "vvvv"
  | "is4"
  | "index"
  | "immediate"
  | "relative"
  | "offset"
  | "fixed"
  | "stack";
export type RegisterFile = "general" | "byte" | "xmm" | "mmx" | "segment" | "control" | "x87" | "none";

export interface OperandShape {
  readonly text: string;
  readonly place: OperandPlace;
  readonly file: RegisterFile;
  /** Of `rm`: which of register and memory it may be. */
  readonly register: boolean;
  readonly memory: boolean;
  /** Bits of the value in memory or of the immediate; 0: the operand size; -1: the operand size, at most 32. */
  readonly bits: number;
  readonly written: boolean;
  /** Number of a fixed general register; -1 for others. */
  readonly fixedRegister: number;
}

/** A VEX prefix as the opcode column has it; -1 for what may be anything. */
export interface VexFields {
  readonly map: number;
  readonly pp: number;
  readonly length: number;
  readonly w: number;
}

/** A form as an encoder wants it. */
export interface EncodingShape {
  readonly index: number;
  readonly instruction: Instruction;
  readonly form: Form;
  readonly text: string;
  /** 0 when the form has none. */
  readonly mandatoryPrefix: number;
  /** 66 must not stand before it. */
  readonly refuses66: boolean;
  /** F2 and F3 mean nothing before it and select no other instruction. */
  readonly ignoresRepeat: boolean;
  readonly vex: VexFields | undefined;
  readonly opcode: readonly number[];
  readonly modrm: boolean;
  /** ModRM.reg when the opcode column gives it, else -1. */
  readonly digit: number;
  /** The opcode's last byte has a register or index in its low bits. */
  readonly plusRegister: boolean;
  readonly operands: readonly OperandShape[];
  /** Operand sizes to choose from in 64-bit code. */
  readonly sizes: readonly number[];
  readonly default64: boolean;
  /** Execution may go on elsewhere. */
  readonly branches: boolean;
  readonly readsFlags: number;
  readonly writesFlags: number;
  readonly undefinedFlags: number;
  /** Its result is an approximation, which processors round differently. */
  readonly approximate: boolean;
  /** Has a memory operand of several accesses, whose order is the processor's affair. */
  readonly longOperand: boolean;
  /** Reads two memory operands in an order of the processor's own. */
  readonly twoMemoryOperands: boolean;
  /** Stores MXCSR_MASK or checks a value against it. */
  readonly usesMxcsrMask: boolean;
  readonly loadsMxcsr: boolean;
  /** Changes FOP, FIP and FDP; stores them as FXSAVE does. */
  readonly setsPointers: boolean;
  readonly savesPointers: boolean;
  /** Faults at CPL 3. */
  readonly privileged: boolean;
  /** A repeated comparison that faults: Intel restores the flags, AMD leaves those of the last iteration. */
  readonly undefinedWhenFaulting: number;
  /** May leave the flags as they are (shifts by 0, repetition 0 times). */
  readonly conditionalFlags: boolean;
}

const APPROXIMATE = new Set("f2xm1 fcos fpatan fptan fsin fsincos fyl2x fyl2xp1".split(" "));
const LONG_OPERANDS = /^(fn?save|fn?stenv|fldenv|frstor|fxsave|fxrstor)/;
const IN_OUT = /^(in|out|ins|outs)$/;
const CONDITIONAL_FLAGS = new Set("shl sal shr sar rol ror rcl rcr shld shrd".split(" "));

/** Parses one row of the table. */
export function encodingShape(index: number, instruction: Instruction, form: Form): EncodingShape {
  const { mandatoryPrefix, refuses66, tokens, vex } = splitPrefix(instruction, form);
  const { opcode, digit, slashR, plus } = parseOpcode(instruction, form, tokens);
  const operands = form.operands.map((text, i) => operandShape(text, instruction.access[i] ?? "r"));
  const branches = instruction.endsBlock || operands.some((o) => o.place === "relative");
  return {
    index,
    instruction,
    form,
    text: `${[instruction.mnemonic, form.operands.join(", ")].filter(Boolean).join(" ")} (${form.opcode})`,
    mandatoryPrefix,
    refuses66,
    ignoresRepeat:
      vex === undefined &&
      opcode[0] !== 0x0f &&
      opcode[0] !== 0x90 &&
      !branches &&
      mandatoryPrefix === 0 &&
      !form.repeatable,
    vex,
    opcode,
    modrm:
      slashR ||
      digit >= 0 ||
      operands.some((o) => o.place === "reg" || o.place === "rm" || o.place === "index"),
    digit,
    plusRegister: plus || operands.some((o) => o.place === "opcode"),
    operands,
    sizes: vex === undefined ? operandSizes(instruction, form, refuses66) : vexSizes(form, vex),
    default64: form.default64 === true || form.force64 === true,
    branches,
    readsFlags: flagMask(instruction.flags.reads),
    writesFlags: flagMask(instruction.flags.writes),
    undefinedFlags: flagMask(instruction.flags.undefined),
    approximate: APPROXIMATE.has(instruction.mnemonic),
    twoMemoryOperands: instruction.mnemonic.startsWith("cmps"),
    usesMxcsrMask: /^(fxsave|fxrstor|v?ldmxcsr)/.test(instruction.mnemonic),
    loadsMxcsr: /^(fxrstor|v?ldmxcsr)/.test(instruction.mnemonic),
    setsPointers: instruction.unit === "x87" || instruction.mnemonic.startsWith("fxrstor"),
    savesPointers: instruction.mnemonic.startsWith("fxsave"),
    privileged: form.privileged === true || IN_OUT.test(instruction.mnemonic),
    undefinedWhenFaulting: /^(cmps|scas)/.test(instruction.mnemonic) ? STATUS_FLAGS : 0,
    longOperand: LONG_OPERANDS.test(instruction.mnemonic),
    conditionalFlags: CONDITIONAL_FLAGS.has(instruction.mnemonic) || form.repeatable === true,
  };
}

function splitPrefix(instruction: Instruction, form: Form) {
  const tokens = form.opcode.trim().split(/\s+/);
  const vex = vexFields(tokens[0]!);
  if (vex !== undefined) return { tokens: tokens.slice(1), mandatoryPrefix: 0, refuses66: true, vex };
  const first = tokens[0]!.toUpperCase();
  // Beside F2 or F3, 66 is the operand size of the integer forms.
  let refuses66 = instruction.unit !== "general" || form.force64 === true;
  let mandatoryPrefix = 0;
  if (first === "NFX") tokens.shift();
  else if (first === "NP") {
    tokens.shift();
    refuses66 = true;
  } else if (["66", "F2", "F3"].includes(first) && tokens.length > 1) {
    tokens.shift();
    mandatoryPrefix = Number.parseInt(first, 16);
    refuses66 ||= mandatoryPrefix === 0x66;
  }
  return { tokens, mandatoryPrefix, refuses66, vex };
}

const VEX_LENGTHS: Readonly<Record<string, number>> = { "128": 0, LZ: 0, "256": 1, LIG: -1 };
const VEX_PREFIXES = ["", "66", "F3", "F2"];

function vexFields(token: string): VexFields | undefined {
  const parts = token.split(".");
  if (parts[0] !== "VEX") return undefined;
  const map = ["0F", "0F38", "0F3A"].findIndex((name) => parts.includes(name)) + 1;
  const pp = Math.max(
    0,
    VEX_PREFIXES.findIndex((name) => parts.indexOf(name) === 2),
  );
  const w = parts.includes("W1") ? 1 : parts.includes("W0") ? 0 : -1;
  return { map, pp, length: VEX_LENGTHS[parts[1]!]!, w };
}

/** W is the operand size where an operand follows it. */
function vexSizes(form: Form, { w }: VexFields): number[] {
  if (w === -1 && form.operands.some((o) => o.includes(":y"))) return [32, 64];
  return [w === 1 ? 64 : 32];
}

function parseOpcode(instruction: Instruction, form: Form, tokens: readonly string[]) {
  const opcode: number[] = [];
  let slashR = false;
  let digit = -1;
  let plus = false;
  for (const token of tokens) {
    if (token === "/r") slashR = true;
    else if (/^\/[0-7]$/.test(token)) digit = Number(token[1]);
    else if (/^[0-9a-f]{2}(\+[ir])?$/i.test(token)) {
      opcode.push(Number.parseInt(token.slice(0, 2), 16));
      plus ||= token.length > 2;
    } else throw new Error(`${instruction.mnemonic}: "${form.opcode}" is not an opcode column: ${token}`);
  }
  return { opcode, slashR, digit, plus };
}

export function flagMask(names = ""): number {
  return names.split(" ").reduce((mask, name) => mask | (FLAG_BITS[name as keyof typeof FLAG_BITS] ?? 0), 0);
}

function operandSizes(instruction: Instruction, form: Form, refuses66: boolean): number[] {
  if (form.size !== undefined && form.size !== 8) return [form.size];
  if (form.force64) return [64];
  if (form.default64) return refuses66 ? [64] : [64, 64, 16];
  const sized = form.operands.some((o) => /:[vyz]/.test(o));
  if (!sized && instruction.unit !== "general") return form.rexW ? [64] : [32];
  if (form.rexW === true) return [64];
  return [16, 32, 64].filter((size) => {
    if (size === 16)
      return !refuses66 && instruction.mnemonic !== "bswap" && !form.operands.some((o) => o.includes(":y"));
    return size === 32 || form.rexW !== false;
  });
}

const FIXED_REGISTERS = ["al", "cl", "dl", "bl"];

/** Operand texts: a pattern, and what it stands for. The pattern's groups are a register kind and a number of bits. */
const PATTERNS: readonly (readonly [RegExp, OperandPlace, "r" | "m" | "rm" | ""])[] = [
  [/^(r8|r16|r32|r64|r:[vyz]|[xy]?mm):rm()$/, "rm", "r"],
  [/^(r32|r64|r:y|[xy]mm):v()$/, "vvvv", "r"],
  [/^([xy]mm):is4()$/, "is4", "r"],
  [/^vsib:([xy])()$/, "index", "m"],
  [/^(rm)(8|16|32|64|:[vyz])$/, "rm", "rm"],
  [/^(r8|r16|r32|r64|r:[vyz]|[xy]?mm)\/m(\d+)$/, "rm", "rm"],
  [/^(xmm0)()$/, "fixed", "r"],
  [/^()m(\d+|:[vyz])?(?:int|fp|bcd)?$/, "rm", "m"],
  [/^\+(r8|r16|r32|r64|r:[vyz])()$/, "opcode", "r"],
  [/^(r8|r16|r32|r64|r:[vyz]|[xy]?mm)()$/, "reg", "r"],
  [/^(sreg|cr|dr)()$/, "reg", ""],
  [/^()imm(8|16|32|64|:[vz])(?::sx)?$/, "immediate", ""],
  [/^()rel(8|16|32|:z)$/, "relative", ""],
  [/^()moffs(8|:v)$/, "offset", "m"],
  [/^(st):i()$/, "stack", "r"],
];

function operandShape(text: string, access: string): OperandShape {
  const written = access.includes("w");
  for (const [pattern, place, kind] of PATTERNS) {
    const match = text.match(pattern);
    if (match === null) continue;
    const [, register = "", bits = ""] = match;
    return {
      text,
      place,
      file: fileOf(register, bits),
      register: kind.startsWith("r"),
      memory: kind.endsWith("m"),
      bits: bitsOf(text, register, bits),
      written,
      fixedRegister: -1,
    };
  }
  const fixedRegister = FIXED_REGISTERS.indexOf(text);
  return {
    text,
    place: "fixed",
    file: "none",
    register: true,
    memory: false,
    bits: 0,
    written,
    fixedRegister,
  };
}

function bitsOf(text: string, register: string, bits: string): number {
  if (text === "m") return 128;
  if (text === "imm:z") return -1;
  if (text === "rel:z") return 32;
  return Number(bits || register.slice(1)) || { ymm: 256, xmm: 128, mm: 64 }[register] || 0;
}

function fileOf(register: string, bits: string): RegisterFile {
  switch (register) {
    case "xmm":
    case "ymm":
      return "xmm";
    case "mm":
      return "mmx";
    case "sreg":
      return "segment";
    case "cr":
    case "dr":
      return "control";
    case "st":
      return "x87";
    case "":
      return "none";
    default:
      return register === "r8" || (register === "rm" && bits === "8") ? "byte" : "general";
  }
}
