// LODS. SDM 2 "LODS/LODSB/LODSW/LODSD/LODSQ—Load String".
import { CPU_STATE } from "../../layout/memory-map";
import { RAX, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { faulted, hostForRead } from "../memory/linear-memory";
import { elementAddress, runLength } from "./addresses";
import { loadElement, readElement } from "./elements";
import {
  addressMask,
  again,
  advanceSource,
  beginCall,
  countDown,
  isBackward,
  iterations,
  mayRun,
  sourceOffset,
  spendBytes,
  spendElement,
} from "./registers";

/** LODS; see exports.ts for the parameters. */
export function stringLods(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const mask = addressMask(addressBits);
  const backward = isBackward();
  const step: i64 = backward ? -bytes : bytes;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const from = sourceOffset(mask);
    const source = elementAddress(segment, from, bytes, false);
    if (faulted()) return STATUS_FAULT;

    let done: u64 = 0;
    let more = true;
    if (left > 1 && mayRun()) {
      done = runLength(segment, from, source, bytes, backward, mask, left);
      if (done > 1) {
        const host = hostForRead(source);
        if (faulted()) return STATUS_FAULT;
        // Of a run in RAM only the last element can be seen afterwards.
        if (host) loadAccumulator(loadElement(host + <usize>(step * <i64>(done - 1)), bytes), bytes);
        else done = 0;
      }
    }
    if (done > 1) {
      more = spendBytes(<i64>done * bytes);
    } else {
      const value = readElement(source, bytes);
      if (faulted()) return STATUS_FAULT;
      loadAccumulator(value, bytes);
      done = 1;
      more = spendElement();
    }
    advanceSource(step * <i64>done, mask);
    countDown(repeat, done, mask);
    left -= done;
    if (!more && left) return again();
  }
  return STATUS_OK;
}

/** AL, AX, EAX (which clears the upper half) or RAX. */
function loadAccumulator(value: u64, bytes: i32): void {
  if (bytes == 1) store<u8>(CPU_STATE + RAX, <u8>value);
  else if (bytes == 2) store<u16>(CPU_STATE + RAX, <u16>value);
  else store<u64>(CPU_STATE + RAX, value);
}
