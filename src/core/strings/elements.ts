// One element of 1, 2, 4 or 8 bytes: through linear memory, or at a host address.
import {
  readLinear16,
  readLinear32,
  readLinear64,
  readLinear8,
  writeLinear16,
  writeLinear32,
  writeLinear64,
  writeLinear8,
} from "../memory/linear-memory";

/** Zero-extended; 0 with the fault set. */
export function readElement(va: u64, bytes: i32): u64 {
  if (bytes == 8) return readLinear64(va);
  if (bytes == 4) return readLinear32(va);
  return bytes == 2 ? readLinear16(va) : readLinear8(va);
}

/** On a fault nothing is written. */
export function writeElement(va: u64, bytes: i32, value: u64): void {
  if (bytes == 8) writeLinear64(va, value);
  else if (bytes == 4) writeLinear32(va, value);
  else if (bytes == 2) writeLinear16(va, value);
  else writeLinear8(va, value);
}

export function loadElement(host: usize, bytes: i32): u64 {
  if (bytes == 8) return load<u64>(host);
  if (bytes == 4) return load<u32>(host);
  return bytes == 2 ? load<u16>(host) : load<u8>(host);
}

export function storeElement(host: usize, bytes: i32, value: u64): void {
  if (bytes == 8) store<u64>(host, value);
  else if (bytes == 4) store<u32>(host, <u32>value);
  else if (bytes == 2) store<u16>(host, <u16>value);
  else store<u8>(host, <u8>value);
}

/** Fills `bytes` bytes with repetitions of the `period` bytes that stand before them. */
export function replicate(target: usize, period: usize, bytes: usize): void {
  const source = target - period;
  let done: usize = 0;
  // What stands from `source` on repeats with the period, so each copy can double the last.
  while (done < bytes) {
    const step = min(bytes - done, period + done);
    memory.copy(target + done, source, step);
    done += step;
  }
}
