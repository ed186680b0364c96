// The memory images of FNSTENV, FLDENV, FNSAVE and FRSTOR.
// AMD64 Architecture Programmer's Manual, volume 2, "Media and x87 Processor State".
import { STATUS_OK, X87_FCS, X87_FCW, X87_FDP, X87_FDS, X87_FIP, X87_FOP } from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { ALL_EXCEPTIONS } from "../kernel/exception-flags";
import {
  setControlWord,
  x87SetStatus,
  x87SetTagWord,
  x87StoreControl,
  x87StoreStatus,
  x87TagWord,
} from "./control";
import { register, updateSummary } from "./unit";

const REGISTER_BYTES: usize = 10;

function environmentBytes(bits: i32): usize {
  return bits == 16 ? 14 : 28;
}

/** A member of the environment; the 32-bit images fill the upper half of 16-bit members with ones. */
function put(address: usize, bits: i32, n: usize, value: i32): void {
  if (bits == 16) store<u16>(address + 2 * n, <u16>value);
  else store<u32>(address + 4 * n, <u32>value | 0xffff0000);
}

function get(address: usize, bits: i32, n: usize): i32 {
  return bits == 16 ? <i32>load<u16>(address + 2 * n) : load<i32>(address + 4 * n);
}

/** Writes 14 (16-bit) or 28 bytes. After they are in guest memory, call `x87FinishEnvironment`. */
export function x87WriteEnvironment(address: usize, bits: i32, protectedMode: i32): void {
  put(address, bits, 0, x87StoreControl());
  put(address, bits, 1, x87StoreStatus());
  put(address, bits, 2, x87TagWord());
  const opcode = load<i32>(CPU_STATE + X87_FOP);
  const instruction = load<i32>(CPU_STATE + X87_FIP);
  const operand = load<i32>(CPU_STATE + X87_FDP);
  const codeSelector = load<i32>(CPU_STATE + X87_FCS) & 0xffff;
  const dataSelector = load<i32>(CPU_STATE + X87_FDS);
  if (protectedMode != 0) {
    if (bits == 16) {
      put(address, bits, 3, instruction);
      put(address, bits, 4, codeSelector);
      put(address, bits, 5, operand);
      put(address, bits, 6, dataSelector);
    } else {
      store<i32>(address, instruction, 12);
      store<i32>(address, codeSelector | (opcode << 16), 16);
      store<i32>(address, operand, 20);
      put(address, bits, 6, dataSelector);
    }
    return;
  }
  // Real mode images hold linear addresses, the upper bits apart from the lower 16.
  const linearInstruction = instruction + (codeSelector << 4);
  const linearOperand = operand + ((dataSelector & 0xffff) << 4);
  if (bits == 16) {
    put(address, bits, 3, linearInstruction);
    put(address, bits, 4, (((linearInstruction >> 16) & 15) << 12) | opcode);
    put(address, bits, 5, linearOperand);
    put(address, bits, 6, ((linearOperand >> 16) & 15) << 12);
  } else {
    put(address, bits, 3, linearInstruction & 0xffff);
    store<i32>(address, (((linearInstruction >> 16) & 0xffff) << 12) | opcode, 16);
    put(address, bits, 5, linearOperand & 0xffff);
    store<i32>(address, ((linearOperand >> 16) & 0xffff) << 12, 24);
  }
}

/** What FNSTENV does after its write: all exceptions are masked. */
export function x87FinishEnvironment(): i32 {
  store<i32>(CPU_STATE + X87_FCW, x87StoreControl() | ALL_EXCEPTIONS);
  updateSummary();
  return STATUS_OK;
}

/** FLDENV from 14 or 28 bytes. */
export function x87ReadEnvironment(address: usize, bits: i32, protectedMode: i32): i32 {
  setControlWord(get(address, bits, 0));
  x87SetStatus(get(address, bits, 1));
  x87SetTagWord(get(address, bits, 2));
  let instruction = <u32>get(address, bits, 3);
  const second = get(address, bits, 4);
  let operand = <u32>get(address, bits, 5);
  const last = get(address, bits, 6);
  if (protectedMode != 0) {
    store<i32>(CPU_STATE + X87_FCS, second & 0xffff);
    store<i32>(CPU_STATE + X87_FDS, last & 0xffff);
    // The 16-bit image has no place for the opcode.
    store<i32>(CPU_STATE + X87_FOP, bits == 16 ? 0 : (second >> 16) & 0x7ff);
  } else {
    instruction = (instruction & 0xffff) | (((<u32>second >> 12) & 0xffff) << 16);
    operand = (operand & 0xffff) | (((<u32>last >> 12) & 0xffff) << 16);
    store<i32>(CPU_STATE + X87_FCS, 0);
    store<i32>(CPU_STATE + X87_FDS, 0);
    store<i32>(CPU_STATE + X87_FOP, second & 0x7ff);
  }
  store<u64>(CPU_STATE + X87_FIP, <u64>instruction);
  store<u64>(CPU_STATE + X87_FDP, <u64>operand);
  return STATUS_OK;
}

/** Writes 94 (16-bit) or 108 bytes: the environment, then ST(0)..ST(7). After they are in guest memory, FNSAVE is `x87Initialise`. */
export function x87WriteState(address: usize, bits: i32, protectedMode: i32): void {
  x87WriteEnvironment(address, bits, protectedMode);
  let to = address + environmentBytes(bits);
  for (let i = 0; i < 8; i++) {
    store<u64>(to, load<u64>(register(i)));
    store<u16>(to, load<u16>(register(i), 8), 8);
    to += REGISTER_BYTES;
  }
}

/** FRSTOR from 94 or 108 bytes. */
export function x87ReadState(address: usize, bits: i32, protectedMode: i32): i32 {
  x87ReadEnvironment(address, bits, protectedMode);
  let from = address + environmentBytes(bits);
  for (let i = 0; i < 8; i++) {
    store<u64>(register(i), load<u64>(from));
    store<u16>(register(i), load<u16>(from, 8), 8);
    from += REGISTER_BYTES;
  }
  return STATUS_OK;
}
