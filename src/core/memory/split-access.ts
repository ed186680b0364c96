// Accesses that no single host address serves: across a page boundary, to a device, to a page of code.
// First the range is located as a whole, so that a fault comes before any byte moves.
import { CPU_STATE, PAGE_BYTES } from "../../layout/memory-map";
import { CODE_BITS } from "../../layout/cpu-state";
import { noteRamWrite } from "./code-map";
import { readDevice, writeDevice } from "./device-access";
import { raiseNonCanonical } from "../processor/faults";
import { DEVICE, NOWHERE, devicePhysical, isCanonical, translateRead, translateWrite } from "./translate";

// The located range: its part on the first page, and its part on the second if there is one.
let firstBytes: i32 = 0;
let firstHost: usize = 0;
let firstPhysical: u64 = 0;
let secondBytes: i32 = 0;
let secondHost: usize = 0;
let secondPhysical: u64 = 0;

/** Whether `bytes` bytes at an address lie on one page. */
// @ts-ignore: decorator
@inline
export function onOnePage(va: u64, bytes: i32): bool {
  return <i32>(va & (PAGE_BYTES - 1)) + bytes <= PAGE_BYTES;
}

/** Translates up to a page's worth of bytes. Returns false with the fault set. */
export function locateRange(bank: usize, va: u64, bytes: i32, write: bool): bool {
  firstBytes = min(bytes, PAGE_BYTES - <i32>(va & (PAGE_BYTES - 1)));
  secondBytes = bytes - firstBytes;
  let next = va + firstBytes;
  // Outside of 64-bit code, linear addresses wrap at 4 GiB.
  if (load<i32>(CPU_STATE + CODE_BITS) != 64) next &= 0xffffffff;
  // Canonical as a whole, or no translation is tried.
  if (secondBytes && !isCanonical(next)) {
    raiseNonCanonical();
    return false;
  }
  firstHost = write ? translateWrite(bank, va) : translateRead(bank, va);
  if (firstHost == NOWHERE) return false;
  firstPhysical = devicePhysical;
  if (!secondBytes) return true;
  secondHost = write ? translateWrite(bank, next) : translateRead(bank, next);
  secondPhysical = devicePhysical;
  return secondHost != NOWHERE;
}

/** Reads the located range to a host address. */
export function gather(target: usize): void {
  readPart(firstHost, firstPhysical, firstBytes, target);
  if (secondBytes) readPart(secondHost, secondPhysical, secondBytes, target + firstBytes);
}

/** Writes the located range from a host address. */
export function scatter(source: usize): void {
  writePart(firstHost, firstPhysical, firstBytes, source);
  if (secondBytes) writePart(secondHost, secondPhysical, secondBytes, source + firstBytes);
}

function readPart(host: usize, physical: u64, bytes: i32, target: usize): void {
  if (host == DEVICE) readDevice(physical, bytes, target);
  else memory.copy(target, host, bytes);
}

function writePart(host: usize, physical: u64, bytes: i32, source: usize): void {
  if (host == DEVICE) {
    writeDevice(physical, bytes, source);
    return;
  }
  memory.copy(host, source, bytes);
  noteRamWrite(host, bytes);
}
