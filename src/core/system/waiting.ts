// MONITOR and MWAIT. SDM 2 under the instructions' names.
//
// No other processor stores to the line, so MWAIT waits for an interrupt. It may end for any reason: where an interrupt
// cannot end it, it does not wait.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  EXIT_HALT,
  EXIT_REASON,
  HALTED,
  RCX,
  STATUS_EXIT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { raiseGP, raiseUD } from "../processor/faults";
import { IF, systemFlags } from "../processor/flags";

/** The caller reads the address, for what that may fault with. */
export function monitor(): i32 {
  return check();
}

export function mwait(): i32 {
  const status = check();
  if (status != STATUS_OK || !(systemFlags() & IF)) return status;
  store<i32>(CPU_STATE + HALTED, 1);
  store<i32>(CPU_STATE + EXIT_REASON, EXIT_HALT);
  return STATUS_EXIT;
}

/** Only at CPL 0, and without extensions in ECX. */
function check(): i32 {
  if (load<i32>(CPU_STATE + CPL) != 0) return raiseUD();
  return load<u32>(CPU_STATE + RCX) ? raiseGP(0) : STATUS_OK;
}
