// CMPS. SDM 2 "CMPS/CMPSB/CMPSW/CMPSD/CMPSQ—Compare String Operands".
import { STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { faulted, hostForRead } from "../memory/linear-memory";
import { SEGMENT_ES, elementAddress, runLength } from "./addresses";
import { compareRun, setComparisonFlags } from "./compare";
import { loadElement, readElement } from "./elements";
import {
  REPEAT_EQUAL,
  REPEAT_NONE,
  addressMask,
  again,
  advanceDestination,
  advanceSource,
  beginCall,
  countDown,
  destinationOffset,
  isBackward,
  iterations,
  mayRun,
  sourceOffset,
  spendBytes,
  spendElement,
} from "./registers";

/** CMPS; see exports.ts for the parameters. When the flags are written: as in SCAS. */
export function stringCmps(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const mask = addressMask(addressBits);
  const backward = isBackward();
  const step: i64 = backward ? -bytes : bytes;
  const whileEqual = repeat == REPEAT_EQUAL;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const from = sourceOffset(mask);
    const to = destinationOffset(mask);
    const source = elementAddress(segment, from, bytes, false);
    if (faulted()) return STATUS_FAULT;

    let first: u64 = 0;
    let second: u64 = 0;
    let done: u64 = 0;
    let more = true;
    let run = left > 1 && mayRun() ? runLength(segment, from, source, bytes, backward, mask, left) : 0;
    if (run > 1) {
      const sourceHost = hostForRead(source);
      if (faulted()) return STATUS_FAULT;
      const target = elementAddress(SEGMENT_ES, to, bytes, false);
      if (faulted()) return STATUS_FAULT;
      run = runLength(SEGMENT_ES, to, target, bytes, backward, mask, run);
      const targetHost = sourceHost && run > 1 ? hostForRead(target) : 0;
      if (faulted()) return STATUS_FAULT;
      if (targetHost) {
        done = compareRun(sourceHost, targetHost, <usize>run, <isize>step, bytes, whileEqual);
        const last = <usize>(step * <i64>(done - 1));
        first = loadElement(sourceHost + last, bytes);
        second = loadElement(targetHost + last, bytes);
        more = spendBytes(<i64>done * bytes);
      }
    }
    if (!done) {
      first = readElement(source, bytes);
      if (faulted()) return STATUS_FAULT;
      const target = elementAddress(SEGMENT_ES, to, bytes, false);
      if (faulted()) return STATUS_FAULT;
      second = readElement(target, bytes);
      if (faulted()) return STATUS_FAULT;
      done = 1;
      more = spendElement();
    }
    advanceSource(step * <i64>done, mask);
    advanceDestination(step * <i64>done, mask);
    countDown(repeat, done, mask);
    left -= done;
    if (!left || repeat == REPEAT_NONE || (first == second) != whileEqual) {
      setComparisonFlags(first, second, bytes);
      return STATUS_OK;
    }
    if (!more) return again();
  }
  return STATUS_OK;
}
