// The stack in every mode. SDM 1 "Stacks", "Address-Size Attributes for Stack Accesses".
import { CPU_STATE } from "../../layout/memory-map";
import { RSP, STACK_BITS, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { isAligned } from "../memory/alignment";
import { faulted, readIn, writeIn } from "../memory/linear-memory";
import { currentBank } from "../memory/translate";
import { asStackFault } from "./faults";
import { SS } from "./segment-cache";
import { segmentAddress } from "./segments";

/** What of RSP is the stack pointer. */
// @ts-ignore: decorator
@inline
export function stackMask(bits: i32): u64 {
  return bits == 64 ? ~0 : bits == 32 ? 0xffffffff : 0xffff;
}

/** The stack pointer in the running mode. */
// @ts-ignore: decorator
@inline
export function stackPointer(): u64 {
  return load<u64>(CPU_STATE + RSP) & stackMask(load<i32>(CPU_STATE + STACK_BITS));
}

/** Writes RSP, ESP or SP by the stack's size; a 16-bit stack leaves the rest of RSP alone. */
export function setStackPointer(value: u64): void {
  const bits = load<i32>(CPU_STATE + STACK_BITS);
  if (bits == 16) store<u16>(CPU_STATE + RSP, <u16>value);
  else store<u64>(CPU_STATE + RSP, value & stackMask(bits));
}

/** Pushes a value of 16, 32 or 64 bits. RSP is unchanged when it faults. */
export function push(value: u64, bits: i32): i32 {
  const bytes = bits >> 3;
  const pointer = (load<u64>(CPU_STATE + RSP) - <u64>bytes) & stackMask(load<i32>(CPU_STATE + STACK_BITS));
  const address = stackAddress(pointer, bytes, 1);
  if (faulted() || !isAligned(address, bytes)) return STATUS_FAULT;
  const bank = currentBank();
  if (bits == 64) writeIn<u64>(bank, address, value);
  else if (bits == 32) writeIn<u32>(bank, address, <u32>value);
  else writeIn<u16>(bank, address, <u16>value);
  if (faulted()) return stackFault();
  setStackPointer(pointer);
  return STATUS_OK;
}

/** Pops a value of 16, 32 or 64 bits. When it faults, RSP is unchanged and `faulted()` tells. */
export function pop(bits: i32): u64 {
  const value = peek(0, bits);
  if (!faulted()) setStackPointer(stackPointer() + <u64>(bits >> 3));
  return value;
}

/** The value of 16, 32 or 64 bits that lies `displacement` bytes above the stack pointer. */
export function peek(displacement: i32, bits: i32): u64 {
  const pointer = (load<u64>(CPU_STATE + RSP) + <u64>displacement) & stackMask(load<i32>(CPU_STATE + STACK_BITS));
  const address = stackAddress(pointer, bits >> 3, 0);
  if (faulted() || !isAligned(address, bits >> 3)) return 0;
  const bank = currentBank();
  let value: u64;
  if (bits == 64) value = readIn<u64>(bank, address);
  else if (bits == 32) value = <u64>readIn<u32>(bank, address);
  else value = <u64>readIn<u16>(bank, address);
  if (faulted()) stackFault();
  return value;
}

// @ts-ignore: decorator
@inline
function stackAddress(pointer: u64, bytes: i32, write: i32): u64 {
  return load<i32>(CPU_STATE + STACK_BITS) == 64 ? pointer : segmentAddress(SS, pointer, bytes, write);
}

function stackFault(): i32 {
  asStackFault();
  return STATUS_FAULT;
}
