// STOS. SDM 2 "STOS/STOSB/STOSW/STOSD/STOSQ—Store String".
import { CPU_STATE } from "../../layout/memory-map";
import { RAX, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { noteRamWrite } from "../memory/code-map";
import { faulted, hostForWrite } from "../memory/linear-memory";
import { SEGMENT_ES, elementAddress, runLength } from "./addresses";
import { replicate, storeElement, writeElement } from "./elements";
import { fillPlainRun } from "./plain-runs";
import {
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

/** STOS; see exports.ts for the parameters. */
export function stringStos(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const value = load<u64>(CPU_STATE + RAX);
  if (fillPlainRun(bytes, repeat, addressBits, value)) return STATUS_OK;
  const mask = addressMask(addressBits);
  const backward = isBackward();
  const step: i64 = backward ? -bytes : bytes;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const to = destinationOffset(mask);
    const target = elementAddress(SEGMENT_ES, to, bytes, true);
    if (faulted()) return STATUS_FAULT;

    let done: u64 = 0;
    if (left > 1 && mayRun()) {
      done = runLength(SEGMENT_ES, to, target, bytes, backward, mask, left);
      if (done > 1) {
        const host = hostForWrite(target);
        if (faulted()) return STATUS_FAULT;
        if (host) fillRun(backward ? host - (<usize>done - 1) * bytes : host, <usize>done, bytes, value);
        else done = 0;
      }
    }
    let more: bool;
    if (done > 1) {
      more = spendBytes(<i64>done * bytes);
    } else {
      writeElement(target, bytes, value);
      if (faulted()) return STATUS_FAULT;
      done = 1;
      more = spendElement();
    }
    advanceDestination(step * <i64>done, mask);
    countDown(repeat, done, mask);
    left -= done;
    if (!more && left) return again();
  }
  return STATUS_OK;
}

/**
 * Stores `count` elements from a host address upward. Pages of code are no exception: how far a call gets, and so how
 * many instructions are counted, must not depend on what an engine has decoded.
 */
function fillRun(host: usize, count: usize, bytes: i32, value: u64): void {
  const size = count * bytes;
  if (bytes == 1 || value == 0) {
    memory.fill(host, <u8>value, size);
  } else {
    storeElement(host, bytes, value);
    replicate(host + bytes, bytes, size - bytes);
  }
  noteRamWrite(host, <i32>size);
}
