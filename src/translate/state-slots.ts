import * as cpu from "../layout/cpu-state.ts";

/** Behind the general registers. */
export const GENERAL_END = cpu.GPR + 16 * 8;
/** The upper halves of the YMM registers follow. */
const XMM_END = cpu.YMM_HIGH + 16 * 16;
export const FLAG_WORDS: readonly number[] = [cpu.FLAG_C, cpu.FLAG_R, cpu.FLAG_X, cpu.FLAG_Y];
/** What the x87 unit has besides its registers, of a region that computes inline with them. */
const X87_32: readonly number[] = [
  cpu.X87_FSW,
  cpu.X87_TOP,
  cpu.X87_EMPTY,
  cpu.X87_FOP,
  cpu.X87_FCS,
  cpu.X87_FDS,
];
const X87_64: readonly number[] = [cpu.X87_FIP, cpu.X87_FDP];
/** Those that instructions of the unit compute with. */
export const X87_COMPUTED: readonly number[] = [cpu.X87_FSW, cpu.X87_TOP, cpu.X87_EMPTY];

/** The register or flag word that a state offset lies in. */
export function slotOf(offset: number): number | undefined {
  if (offset >= cpu.GPR && offset < GENERAL_END) return offset & ~7;
  if (offset >= cpu.XMM && offset < XMM_END) return offset & ~15;
  return FLAG_WORDS.includes(offset) || isX87(offset) ? offset : undefined;
}

/** Whether a slot is a general or vector register's. */
export const isRegister = (slot: number): boolean => slot < GENERAL_END || slot >= cpu.XMM;

/** Whether a state offset is of the x87 unit, other than its registers. */
export const isX87 = (offset: number): boolean => X87_32.includes(offset) || X87_64.includes(offset);

/** The type of the local that a slot is kept in. */
export function kindOf(slot: number): "i32" | "i64" | "v128" {
  if (slot >= cpu.XMM) return "v128";
  return slot === cpu.FLAG_C || X87_32.includes(slot) ? "i32" : "i64";
}

/** Every slot that a region can keep in a local. */
export function allSlots(): number[] {
  const slots: number[] = [];
  for (let at = cpu.GPR; at < GENERAL_END; at += 8) slots.push(at);
  for (let at = cpu.XMM; at < XMM_END; at += 16) slots.push(at);
  return [...slots, ...FLAG_WORDS, ...X87_32, ...X87_64];
}
