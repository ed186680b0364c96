// INS and OUTS. SDM 2 "INS/INSB/INSW/INSD—Input from Port to String", "OUTS/OUTSB/OUTSW/OUTSD—Output String to Port".
// One element at a time: each is a port access.
import { CPU_STATE } from "../../layout/memory-map";
import { RDX, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { prepareWrite } from "../memory/access";
import { faulted } from "../memory/linear-memory";
import { checkPort, portIn, portOut } from "../system/ports";
import { SEGMENT_ES, elementAddress } from "./addresses";
import { readElement, writeElement } from "./elements";
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
  sourceOffset,
  spendElement,
} from "./registers";

/** INS; see exports.ts for the parameters. `bits` is 8, 16 or 32. */
export function stringIns(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const port: i32 = load<u16>(CPU_STATE + RDX);
  if (checkPort(port, bytes) != STATUS_OK) return STATUS_FAULT;
  const mask = addressMask(addressBits);
  const step: i64 = isBackward() ? -bytes : bytes;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const target = elementAddress(SEGMENT_ES, destinationOffset(mask), bytes, true);
    // Reading a port has effects, so the write must be known not to fault.
    if (faulted() || !prepareWrite(target, bytes)) return STATUS_FAULT;
    const value = portIn(port, bytes);
    writeElement(target, bytes, <u64>(<u32>value));
    advanceDestination(step, mask);
    countDown(repeat, 1, mask);
    left--;
    if (!spendElement() && left) return again();
  }
  return STATUS_OK;
}

/** OUTS; see exports.ts for the parameters. `bits` is 8, 16 or 32. */
export function stringOuts(bits: i32, repeat: i32, addressBits: i32, segment: i32): i32 {
  const bytes = bits >> 3;
  const port: i32 = load<u16>(CPU_STATE + RDX);
  if (checkPort(port, bytes) != STATUS_OK) return STATUS_FAULT;
  const mask = addressMask(addressBits);
  const step: i64 = isBackward() ? -bytes : bytes;
  let left = iterations(repeat, mask);
  beginCall();
  while (left) {
    const source = elementAddress(segment, sourceOffset(mask), bytes, false);
    if (faulted()) return STATUS_FAULT;
    const value = readElement(source, bytes);
    if (faulted()) return STATUS_FAULT;
    portOut(port, bytes, <i32>value);
    advanceSource(step, mask);
    countDown(repeat, 1, mask);
    left--;
    if (!spendElement() && left) return again();
  }
  return STATUS_OK;
}
