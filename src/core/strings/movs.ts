// MOVS. SDM 2 "MOVS/MOVSB/MOVSW/MOVSD/MOVSQ—Move Data From String to String".
import { STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { noteRamWrite } from "../memory/code-map";
import { faulted, hostForRead, hostForWrite } from "../memory/linear-memory";
import { SEGMENT_ES, elementAddress, runLength } from "./addresses";
import { loadElement, readElement, replicate, storeElement, writeElement } from "./elements";
import { movePlainRun } from "./plain-runs";
import {
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

/** MOVS; see exports.ts for the parameters. */
export function stringMovs(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  if (movePlainRun(bytes, repeat, addressBits, segment)) return STATUS_OK;
  const mask = addressMask(addressBits);
  const backward = isBackward();
  const step: i64 = backward ? -bytes : bytes;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const from = sourceOffset(mask);
    const to = destinationOffset(mask);
    const source = elementAddress(segment, from, bytes, false);
    if (faulted()) return STATUS_FAULT;

    let done: u64 = 0;
    if (left > 1 && mayRun()) {
      done = runLength(segment, from, source, bytes, backward, mask, left);
      if (done > 1) {
        const sourceHost = hostForRead(source);
        if (faulted()) return STATUS_FAULT;
        const target = elementAddress(SEGMENT_ES, to, bytes, true);
        if (faulted()) return STATUS_FAULT;
        done = sourceHost ? runLength(SEGMENT_ES, to, target, bytes, backward, mask, done) : 0;
        if (done > 1) {
          const targetHost = hostForWrite(target);
          if (faulted()) return STATUS_FAULT;
          if (targetHost) moveRun(sourceHost, targetHost, <usize>done, bytes, backward);
          else done = 0;
        }
      }
    }
    let more: bool;
    if (done > 1) {
      more = spendBytes(<i64>done * bytes);
    } else {
      const value = readElement(source, bytes);
      if (faulted()) return STATUS_FAULT;
      const target = elementAddress(SEGMENT_ES, to, bytes, true);
      if (faulted()) return STATUS_FAULT;
      writeElement(target, bytes, value);
      if (faulted()) return STATUS_FAULT;
      done = 1;
      more = spendElement();
    }
    advanceSource(step * <i64>done, mask);
    advanceDestination(step * <i64>done, mask);
    countDown(repeat, done, mask);
    left -= done;
    if (!more && left) return again();
  }
  return STATUS_OK;
}

/** Moves `count` elements that lie on one host page each. The addresses are those of the first element. */
function moveRun(source: usize, target: usize, count: usize, bytes: i32, backward: bool): void {
  const size = count * bytes;
  if (backward) moveBackward(source, target, count, bytes, size);
  else moveForward(source, target, count, bytes, size);
  noteRamWrite(backward ? target - size + bytes : target, <i32>size);
}

function moveBackward(source: usize, target: usize, count: usize, bytes: i32, size: usize): void {
  const lowSource = source - size + bytes;
  const lowTarget = target - size + bytes;
  // An element is read after a higher one was written over it: one by one.
  if (lowTarget < lowSource && lowSource - lowTarget < size) moveOneByOne(source, target, count, bytes, -bytes);
  else memory.copy(lowTarget, lowSource, size);
}

function moveForward(source: usize, target: usize, count: usize, bytes: i32, size: usize): void {
  const distance = target - source;
  // Where the target begins inside of the source, what was written is read again. A difference that is negative wraps to a large one.
  if (distance == 0 || distance >= size) memory.copy(target, source, size);
  else if (distance >= <usize>bytes) replicate(target, distance, size);
  else moveOneByOne(source, target, count, bytes, bytes);
}

function moveOneByOne(source: usize, target: usize, count: usize, bytes: i32, step: i32): void {
  for (let i: usize = 0; i < count; i++) {
    storeElement(target, bytes, loadElement(source, bytes));
    source += step;
    target += step;
  }
}
