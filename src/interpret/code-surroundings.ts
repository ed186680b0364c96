import type { CoreExports } from "../cpu/core-exports.ts";
import * as cpu from "../layout/cpu-state.ts";
import {
  CPU_STATE,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_COUNT,
  PAGE_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FLAG_EXECUTABLE,
  TLB_FLAGS,
} from "../layout/memory-map.ts";

/** What the jump cache has led to this often is among the targets that an indirect jump may have. */
const RECENT_COUNT = 8;

/** Address of the jump cache's entry for a linear address. */
export function jumpCacheEntry(linear: bigint): number {
  const index = Number((linear ^ (linear >> 14n)) & BigInt(JUMP_CACHE_ENTRIES - 1));
  return JUMP_CACHE + index * JUMP_CACHE_ENTRY_BYTES;
}

/** What TLB and jump cache know of the code around RIP_BASE, for a translator. Nothing is asked of the guest's page tables. */
export class CodeSurroundings {
  readonly #core: CoreExports;
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;

  constructor(core: CoreExports, buffer: ArrayBufferLike) {
    this.#core = core;
    this.#i32 = new Int32Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /** Physical page of the linear page `delta` pages further on, if the TLB knows that code in RAM may be executed there. */
  pageAt(delta: number): number | undefined {
    const linear = BigInt.asIntN(64, this.#ripBase + BigInt(delta * PAGE_BYTES));
    const index = Number(((linear >> 12n) ^ (linear >> 24n)) & BigInt(TLB_ENTRIES - 1));
    const entry = (this.#i32[(CPU_STATE + cpu.TLB_BASE) >> 2]! + index * TLB_ENTRY_BYTES) >> 3;
    if (this.#i64[entry] !== linear) return undefined;
    if ((this.#i32[2 * entry + TLB_FLAGS / 4]! & TLB_FLAG_EXECUTABLE) === 0) return undefined;
    if (this.#core.mustStep(linear) !== 0) return undefined;
    const physical = Number(this.#core.translateExecute(linear));
    const ramBytes = this.#i32[(CPU_STATE + cpu.RAM_BYTES) >> 2]! >>> 0;
    return physical >= 0 && physical < ramBytes ? physical >>> 12 : undefined;
  }

  /** RIP_BASE XOR the mode key: the page and address space that the running code is in. */
  entryTag(): bigint {
    return this.#ripBase ^ this.#i64[(CPU_STATE + cpu.MODE_KEY) >> 3]!;
  }

  /** Offsets in the page that the jump cache has led to some times, in whichever address space. */
  recentTargets(): number[] {
    const found: number[] = [];
    for (let offset = 0; offset < PAGE_BYTES; offset++) {
      const linear = BigInt.asIntN(64, this.#ripBase + BigInt(offset));
      const entry = jumpCacheEntry(linear);
      const isSame = BigInt.asUintN(48, this.#i64[entry >> 3]! ^ linear) === 0n;
      const count = this.#i32[(entry + JUMP_COUNT) >> 2]!;
      // A negative count is that of code which was hot before.
      if (isSame && (count < 0 || count >= RECENT_COUNT)) found.push(offset);
    }
    return found;
  }

  get #ripBase(): bigint {
    return this.#i64[(CPU_STATE + cpu.RIP_BASE) >> 3]!;
  }
}
