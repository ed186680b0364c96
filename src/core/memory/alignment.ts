// Alignment checks at CPL 3. SDM 3A "Alignment Check Exception (#AC)".
//
// Of instructions that take 16 bytes at any address the manual leaves it to the processor what is checked (SDM 2A
// "Exceptions Type 4"), and of FXSAVE and FXRSTOR whether anything is; here and on AMD's processors
// the former want 16 bytes, and the latter 4 (or it is the #GP of what they always want, 16).
import { CPU_STATE, TLB_BANK_USER_ALIGNED } from "../../layout/memory-map";
import { TLB_BASE } from "../../layout/cpu-state";
import { raiseWithCode, VECTOR_AC } from "../processor/faults";

/** Whether accesses are checked now. */
// @ts-ignore: decorator
@inline
export function checksAlignment(): bool {
  return load<usize>(CPU_STATE + TLB_BASE) == TLB_BANK_USER_ALIGNED;
}

// @ts-ignore: decorator
@inline
function isCanonical48(va: u64): bool {
  return <u64>(<i64>(va << 16) >> 16) == va;
}

/** Whether an access of `bytes` bytes may go on; sets #AC if it may not. A non-canonical first or last byte has its own fault. */
export function isAligned(va: u64, bytes: i32): bool {
  if (!checksAlignment()) return true;
  // Ten bytes are an x87 operand, which wants 8; 32 bytes want 16.
  const alignment: u64 = bytes == 10 ? 8 : min(bytes, 16);
  if ((va & (alignment - 1)) == 0 || !isCanonical48(va) || !isCanonical48(va + bytes - 1)) return true;
  raiseWithCode(VECTOR_AC, 0);
  return false;
}
