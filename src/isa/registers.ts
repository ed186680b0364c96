import { GPR } from "../layout/cpu-state.ts";

/** General registers in encoding order. */
export const GENERAL_REGISTERS = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;

export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];

/** Segment registers in encoding order. */
export const SEGMENT_REGISTERS = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number];

/** Byte offset of a general register in the processor state. */
export function generalRegisterOffset(register: GeneralRegister): number {
  return GPR + 8 * GENERAL_REGISTERS.indexOf(register);
}

/** Condition codes in the order of their encoding (Intel SDM Vol. 1, appendix B, "EFLAGS Condition Codes"). */
export const CONDITIONS = [
  "o",
  "no",
  "b",
  "ae",
  "e",
  "ne",
  "be",
  "a",
  "s",
  "ns",
  "p",
  "np",
  "l",
  "ge",
  "le",
  "g",
] as const;

export type Condition = (typeof CONDITIONS)[number];

/** An arithmetic status flag of RFLAGS (Intel SDM Vol. 1, "Status Flags"), or the direction flag. */
export type StatusFlag = "cf" | "pf" | "af" | "zf" | "sf" | "of";
