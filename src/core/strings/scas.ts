// SCAS. SDM 2 "SCAS/SCASB/SCASW/SCASD—Scan String".
import { CPU_STATE } from "../../layout/memory-map";
import { RAX, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { faulted, hostForRead } from "../memory/linear-memory";
import { SEGMENT_ES, elementAddress, runLength } from "./addresses";
import { scanRun, setComparisonFlags } from "./compare";
import { loadElement, readElement } from "./elements";
import {
  REPEAT_EQUAL,
  REPEAT_NONE,
  addressMask,
  again,
  advanceDestination,
  beginCall,
  countDown,
  destinationOffset,
  isBackward,
  iterations,
  mayRun,
  spendBytes,
  spendElement,
} from "./registers";

/**
 * SCAS; see exports.ts for the parameters. The flags are written when the
 * instruction ends: SDM 2 "REP" has them restored when a fault interrupts it.
 */
export function stringScas(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const mask = addressMask(addressBits);
  const backward = isBackward();
  const step: i64 = backward ? -bytes : bytes;
  const value = loadElement(CPU_STATE + RAX, bytes);
  const whileEqual = repeat == REPEAT_EQUAL;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const to = destinationOffset(mask);
    const target = elementAddress(SEGMENT_ES, to, bytes, false);
    if (faulted()) return STATUS_FAULT;

    let element: u64 = 0;
    let done: u64 = 0;
    let more: bool;
    const run = left > 1 && mayRun() ? runLength(SEGMENT_ES, to, target, bytes, backward, mask, left) : 0;
    const host = run > 1 ? hostForRead(target) : 0;
    if (host) {
      done = scanRun(host, <usize>run, <isize>step, bytes, value, whileEqual);
      element = loadElement(host + <usize>(step * <i64>(done - 1)), bytes);
      more = spendBytes(<i64>done * bytes);
    } else {
      // Of hostForRead or of the read itself.
      if (faulted()) return STATUS_FAULT;
      element = readElement(target, bytes);
      if (faulted()) return STATUS_FAULT;
      done = 1;
      more = spendElement();
    }
    advanceDestination(step * <i64>done, mask);
    countDown(repeat, done, mask);
    left -= done;
    if (!left || repeat == REPEAT_NONE || (element == value) != whileEqual) {
      setComparisonFlags(value, element, bytes);
      return STATUS_OK;
    }
    if (!more) return again();
  }
  return STATUS_OK;
}
