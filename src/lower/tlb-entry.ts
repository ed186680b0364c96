import { TLB_ENTRIES, TLB_ENTRY_BYTES } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = 4;

/** Address of the TLB entry for a linear address in the bank at `base`, as the core computes it (src/core/memory/tlb.ts). */
export function tlbEntry(b: FunctionBuilder, base: Expr, linear: Expr): Expr {
  return b.op("i32.add", base, tlbOffset(b, linear));
}

/**
 * The same from the start of a bank on. Mixing higher bits in would spread strides of 16 MiB, but the access waits for each operation here
 * where its address comes from memory.
 */
export function tlbOffset(b: FunctionBuilder, linear: Expr): Expr {
  const low = b.op("i32.shr_u", b.op("i32.wrap_i64", linear), b.i32(PAGE_BITS - ENTRY_BITS));
  return b.op("i32.and", low, b.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES));
}
