import type { Form, Instruction } from "../../src/isa/instruction.ts";
import { FLAG_BITS } from "./protocol.ts";

/** Where an operand is encoded. */
export type OperandPlace = "reg" | "rm" | "opcode" | "immediate" | "relative" | "offset" | "fixed" | "stack";
export type RegisterFile = "general" | "byte" | "xmm" | "mmx" | "segment" | "control" | "x87" | "none";

export interface OperandShape {
  readonly text: string;
  readonly place: OperandPlace;
  readonly file: RegisterFile;
  /** Of `rm`: which of register and memory it may be. */
  readonly register: boolean;
  readonly memory: boolean;
  /** Bits of the value in memory or of the immediate; 0: the operand size. */
  readonly bits: number;
  readonly written: boolean;
  readonly read: boolean;
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
  readonly readsFlags: number;
  readonly writesFlags: number;
  readonly undefinedFlags: number;
  /** May leave the flags as they are (shifts by 0, repetition 0 times). */
  readonly conditionalFlags: boolean;
}

const CONDITIONAL_FLAGS = new Set("shl sal shr sar rol ror rcl rcr shld shrd".split(" "));

/** Parses one row of the table. */
export function encodingShape(index: number, instruction: Instruction, form: Form): EncodingShape {
  const tokens = form.opcode.trim().split(/\s+/);
  let mandatoryPrefix = 0;
  let refuses66 = instruction.unit === "x87";
  const first = tokens[0]!.toUpperCase();
  if (first === "NP") {
    tokens.shift();
    refuses66 = true;
  } else if (["66", "F2", "F3"].includes(first) && tokens.length > 1) {
    mandatoryPrefix = Number.parseInt(tokens.shift()!, 16);
    // 66 beside F2 or F3 selects nothing, but is the operand size of the integer forms.
    refuses66 = mandatoryPrefix === 0x66 || instruction.unit !== "general";
  } else if (instruction.unit !== "general") refuses66 = true;
  const opcode: number[] = [];
  let modrm = false;
  let digit = -1;
  let plusRegister = false;
  for (const token of tokens) {
    if (token === "/r") modrm = true;
    else if (/^\/[0-7]$/.test(token)) { modrm = true; digit = Number(token[1]); }
    else if (/^[0-9a-f]{2}(\+[ir])?$/i.test(token)) { opcode.push(Number.parseInt(token.slice(0, 2), 16)); plusRegister ||= token.length > 2; }
    else throw new Error(`${instruction.mnemonic}: "${form.opcode}" is not an opcode column: ${token}`);
  }
  const operands = form.operands.map((text, i) => operandShape(text, instruction.access[i] ?? "r"));
  plusRegister ||= operands.some((o) => o.place === "opcode");
  modrm ||= operands.some((o) => o.place === "reg" || o.place === "rm");
  return {
    index, instruction, form, text: `${instruction.mnemonic} ${form.operands.join(", ")}`.trim() + ` (${form.opcode})`,
    mandatoryPrefix, refuses66, opcode, modrm, digit, plusRegister, operands,
    sizes: operandSizes(instruction, form, refuses66), default64: form.default64 === true || form.force64 === true,
    readsFlags: flagMask(instruction.flags.reads), writesFlags: flagMask(instruction.flags.writes),
    undefinedFlags: flagMask(instruction.flags.undefined),
    conditionalFlags: CONDITIONAL_FLAGS.has(instruction.mnemonic) || form.repeatable === true,
  };
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
  let sizes = form.operands.some((o) => o.includes(":y")) ? [32, 64] : [16, 32, 64];
  if (refuses66 || (instruction.mnemonic === "bswap")) sizes = sizes.filter((s) => s !== 16);
  if (form.rexW === true) sizes = [64];
  if (form.rexW === false) sizes = sizes.filter((s) => s !== 64);
  return sizes;
}

function operandShape(text: string, access: string): OperandShape {
  const base = { text, written: access.includes("w"), read: access.includes("r"), register: false, memory: false, bits: 0, file: "none" as RegisterFile };
  const general = (bits: string): RegisterFile => (bits === "8" ? "byte" : "general");
  let m: RegExpMatchArray | null;
  if ((m = text.match(/^(r(?:8|16|32|64)|r:[vyz]|xmm|mm):rm$/))) return { ...base, place: "rm", register: true, file: fileOf(m[1]!), bits: widthOf(m[1]!) };
  if ((m = text.match(/^rm(8|16|32|64|:[vyz])$/))) return { ...base, place: "rm", register: true, memory: true, file: general(m[1]!), bits: Number(m[1]) || 0 };
  if ((m = text.match(/^(r(?:8|16|32|64)|r:[vyz]|xmm|mm)\/m(\d+)$/))) return { ...base, place: "rm", register: true, memory: true, file: fileOf(m[1]!), bits: Number(m[2]) };
  if ((m = text.match(/^m(?:(\d+)|:[vyz])?(?:int|fp|bcd)?$/))) return { ...base, place: "rm", memory: true, bits: text === "m" ? 128 : Number(m[1] ?? 0) };
  if ((m = text.match(/^\+(r(?:8|16|32|64)|r:[vyz])$/))) return { ...base, place: "opcode", register: true, file: fileOf(m[1]!), bits: widthOf(m[1]!) };
  if ((m = text.match(/^(r(?:8|16|32|64)|r:[vyz]|xmm|mm)$/))) return { ...base, place: "reg", register: true, file: fileOf(text), bits: widthOf(text) };
  if (text === "sreg") return { ...base, place: "reg", file: "segment" };
  if (text === "cr" || text === "dr") return { ...base, place: "reg", file: "control" };
  if ((m = text.match(/^imm(8|16|32|64)?(?::([vzsx]+))?$/))) return { ...base, place: "immediate", bits: m[1] ? Number(m[1]) : m[2] === "z" ? -1 : 0 };
  if ((m = text.match(/^rel(?:(8|16|32)|:z)$/))) return { ...base, place: "relative", bits: Number(m[1] ?? 32) };
  if ((m = text.match(/^moffs(?:(8)|:v)$/))) return { ...base, place: "offset", memory: true, bits: Number(m[1] ?? 0) };
  if (text === "st:i") return { ...base, place: "stack", file: "x87" };
  return { ...base, place: "fixed" };
}

function fileOf(text: string): RegisterFile {
  if (text === "xmm") return "xmm";
  if (text === "mm") return "mmx";
  return text === "r8" ? "byte" : "general";
}

function widthOf(text: string): number {
  if (text === "xmm") return 128;
  if (text === "mm") return 64;
  return Number(text.slice(1)) || 0;
}
