// Accesses of vector instructions to some elements only: the others are not touched, and do not fault.
// EFLAGS.AC asks nothing of them, as on AMD's processors.
// SDM 2 "VMASKMOV—Conditional SIMD Packed Loads and Stores", "VPGATHERDD".
import { STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { faulted } from "../processor/faults";
import { readLinear32, readLinear64, writeLinear32, writeLinear64 } from "./linear-memory";
import { locateRange } from "./split-access";
import { currentBank } from "./translate";

const VALUES: usize = memory.data(32, 8);

/** An element of 4 or 8 bytes; 0 when it is not wanted. A fault is set, and shows there. */
export function loadElement(va: u64, bytes: i32, wanted: i32): u64 {
  if (!wanted) return 0;
  return bytes == 8 ? readLinear64(va) : <u64>readLinear32(va);
}

/** Stores the elements of 4 or 8 bytes that `mask` has bits for; all of them, or none when one faults. */
export function storeElements(va: u64, a: u64, b: u64, c: u64, d: u64, bytes: i32, mask: i32): i32 {
  const count = 32 / bytes;
  for (let i = 0; i < count; i++) {
    if ((mask >> i) & 1 && !locateRange(currentBank(), va + <u64>(i * bytes), bytes, true)) return STATUS_FAULT;
  }
  store<u64>(VALUES, a);
  store<u64>(VALUES, b, 8);
  store<u64>(VALUES, c, 16);
  store<u64>(VALUES, d, 24);
  for (let i = 0; i < count; i++) {
    if (!((mask >> i) & 1)) continue;
    const at = i * bytes;
    if (bytes == 8) writeLinear64(va + <u64>at, load<u64>(VALUES + <usize>at));
    else writeLinear32(va + <u64>at, load<u32>(VALUES + <usize>at));
    if (faulted()) return STATUS_FAULT;
  }
  return STATUS_OK;
}
