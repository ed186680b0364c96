// GDTR and IDTR. SDM 2 "LGDT/LIDT—Load Global/Interrupt Descriptor Table Register". The caller has checked CPL.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CODE_BITS,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { isCanonical } from "../memory/translate";
import { raiseGP } from "../processor/faults";

/** LGDT. `base` is what the operand size leaves of it: 24, 32 or 64 bits. */
export function loadGdtr(limit: i32, base: u64): i32 {
  return loadTableRegister(CPU_STATE + GDTR_LIMIT, CPU_STATE + GDTR_BASE, limit, base);
}

/** LIDT. */
export function loadIdtr(limit: i32, base: u64): i32 {
  return loadTableRegister(CPU_STATE + IDTR_LIMIT, CPU_STATE + IDTR_BASE, limit, base);
}

function loadTableRegister(limitAddress: usize, baseAddress: usize, limit: i32, base: u64): i32 {
  if (load<i32>(CPU_STATE + CODE_BITS) == 64 && !isCanonical(base)) return raiseGP(0);
  store<i32>(limitAddress, limit & 0xffff);
  store<u64>(baseAddress, base);
  return STATUS_OK;
}
