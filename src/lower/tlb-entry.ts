import { TLB_ENTRIES, TLB_ENTRY_BYTES } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = 4;

/** Address of the TLB entry for a linear address in the bank at `base`, as the core computes it (src/core/memory/tlb.ts). */
export function tlbEntry(b: FunctionBuilder, base: Expr, linear: Expr): Expr {
  return b.op("i32.add", base, tlbOffset(b, linear));
}

/** The same from the start of a bank on. */
export function tlbOffset(b: FunctionBuilder, linear: Expr): Expr {
  // The page number's low bits and the twelve above them, mixed so that power-of-two strides spread.
  const low = b.op("i32.shr_u", b.op("i32.wrap_i64", linear), b.i32(PAGE_BITS - ENTRY_BITS));
  const high = b.op("i32.wrap_i64", b.op("i64.shr_u", linear, b.i64(BigInt(2 * PAGE_BITS - ENTRY_BITS))));
  return b.op("i32.and", b.op("i32.xor", low, high), b.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES));
}
