// LDMXCSR and STMXCSR. SDM 2 "LDMXCSR—Load MXCSR Register", "STMXCSR—Store MXCSR Register State".
import { CPU_STATE } from "../../layout/memory-map";
import { MXCSR, STATUS_OK } from "../../layout/cpu-state";
import { raiseGP } from "../processor/faults";
import { MXCSR_RESERVED } from "./save-image";

/** LDMXCSR: #GP(0) when a reserved bit is set. */
export function ldmxcsr(value: i32): i32 {
  if (<u32>value & MXCSR_RESERVED) return raiseGP(0);
  store<i32>(CPU_STATE + MXCSR, value);
  return STATUS_OK;
}

/** STMXCSR: the value to store. */
export function stmxcsr(): i32 {
  return load<i32>(CPU_STATE + MXCSR);
}
