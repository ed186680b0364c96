// Accesses to physical addresses outside of RAM, in aligned pieces of 1, 2 or 4 bytes.
import { CPU_STATE } from "../../layout/memory-map";
import { COUNT_DEVICE_ACCESS } from "../../layout/cpu-state";
import { deviceRead, deviceWrite } from "../host";

/** Nothing answers from here on. */
const DEVICE_LIMIT: u64 = 0x100000000;

/** Reads `bytes` bytes of one page to a host address. */
export function readDevice(physical: u64, bytes: i32, target: usize): void {
  if (physical >= DEVICE_LIMIT) {
    memory.fill(target, 0xff, bytes);
    return;
  }
  let address = <u32>physical;
  while (bytes > 0) {
    const piece = pieceAt(address, bytes);
    countAccess();
    const value = deviceRead(address, piece);
    if (piece == 4) store<i32>(target, value);
    else if (piece == 2) store<i16>(target, <i16>value);
    else store<i8>(target, <i8>value);
    address += piece;
    target += piece;
    bytes -= piece;
  }
}

/** Writes `bytes` bytes of one page from a host address. */
export function writeDevice(physical: u64, bytes: i32, source: usize): void {
  if (physical >= DEVICE_LIMIT) return;
  let address = <u32>physical;
  while (bytes > 0) {
    const piece = pieceAt(address, bytes);
    countAccess();
    if (piece == 4) deviceWrite(address, 4, load<i32>(source));
    else if (piece == 2) deviceWrite(address, 2, load<u16>(source));
    else deviceWrite(address, 1, load<u8>(source));
    address += piece;
    source += piece;
    bytes -= piece;
  }
}

// @ts-ignore: decorator
@inline
function pieceAt(address: u32, bytes: i32): i32 {
  if (!(address & 3) && bytes >= 4) return 4;
  return !(address & 1) && bytes >= 2 ? 2 : 1;
}

// @ts-ignore: decorator
@inline
function countAccess(): void {
  store<i64>(CPU_STATE + COUNT_DEVICE_ACCESS, load<i64>(CPU_STATE + COUNT_DEVICE_ACCESS) + 1);
}
