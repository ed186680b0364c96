// MOV to and from DR0 to DR7. SDM 3B "Debug Registers". What the breakpoints do: processor/breakpoints.ts.
import { CPU_STATE } from "../../layout/memory-map";
import { CR4, DR, DR6, DR7, STATUS_JUMP, STATUS_OK } from "../../layout/cpu-state";
import { flushTlb } from "../memory/tlb";
import { areBreakpointsEnabled } from "../processor/breakpoints";
import { raiseDebug, raiseGP, raiseUD } from "../processor/faults";
import { CR4_DE } from "./control-bits";
import { RESULT } from "./results";

/** BD, BS and BT, and B0 to B3. */
const DR6_WRITABLE: u64 = 0xe00f;
const DR6_ONES: u64 = 0xffff0ff0;
const DR6_BD: u64 = 1 << 13;
const DR7_GD: u64 = 1 << 13;
/** Enables, LE, GE, GD, and the conditions and lengths. */
const DR7_WRITABLE: u64 = 0xffff23ff;
const DR7_ONES: u64 = 0x400;

/** MOV from a debug register: STATUS_OK with the value at RESULT, or #UD or #DB. */
export function readDebug(n: i32): i32 {
  const status = checkAccess(n);
  if (status != STATUS_OK) return status;
  store<u64>(RESULT, load<u64>(addressOf(n)));
  return STATUS_OK;
}

/** MOV to a debug register. `value` is zero-extended from the operand size. STATUS_JUMP where breakpoints have changed. */
export function writeDebug(n: i32, value: u64): i32 {
  const status = checkAccess(n);
  if (status != STATUS_OK) return status;
  const address = addressOf(n);
  if (n >= 4) {
    if (value >> 32) return raiseGP(0);
    if (address == CPU_STATE + DR6) {
      store<u64>(address, (value & DR6_WRITABLE) | DR6_ONES);
      return STATUS_OK;
    }
    const before = areBreakpointsEnabled();
    store<u64>(address, (value & DR7_WRITABLE) | DR7_ONES);
    return before || areBreakpointsEnabled() ? forgetPages() : STATUS_OK;
  }
  store<u64>(address, value);
  return areBreakpointsEnabled() ? forgetPages() : STATUS_OK;
}

/** Pages with a breakpoint may be neither in a TLB nor in the jump cache. */
function forgetPages(): i32 {
  flushTlb(0);
  return STATUS_JUMP;
}

function checkAccess(n: i32): i32 {
  if (n == 4 || n == 5) {
    if (load<u64>(CPU_STATE + CR4) & CR4_DE) return raiseUD();
  } else if (n < 0 || n > 7) {
    return raiseUD();
  }
  // General detect: any access to a debug register. The processor clears GD when it enters the handler.
  if (load<u64>(CPU_STATE + DR7) & DR7_GD) return raiseDebug(DR6_BD);
  return STATUS_OK;
}

/** DR4 and DR5 are DR6 and DR7 under other names. */
// @ts-ignore: decorator
@inline
function addressOf(n: i32): usize {
  const offset = n < 4 ? DR + (n << 3) : n & 1 ? DR7 : DR6;
  return CPU_STATE + offset;
}
