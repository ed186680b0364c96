import type { CoreExports } from "../cpu/core-exports.ts";
import * as cpu from "../layout/cpu-state.ts";
import {
  CPU_STATE,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_COUNT,
  PAGE_BYTES,
} from "../layout/memory-map.ts";

/** What the jump cache has led to this often is among the targets that an indirect jump may have. */
const RECENT_COUNT = 8;

/** Address of the jump cache's entry for a linear address. */
export function jumpCacheEntry(linear: bigint): number {
  const index = Number((linear ^ (linear >> 14n)) & BigInt(JUMP_CACHE_ENTRIES - 1));
  return JUMP_CACHE + index * JUMP_CACHE_ENTRY_BYTES;
}

/** What is known of the code around RIP_BASE, for a translator. */
export class CodeSurroundings {
  readonly #core: CoreExports;
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;

  constructor(core: CoreExports, buffer: ArrayBufferLike) {
    this.#core = core;
    this.#i32 = new Int32Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /** Physical page of the linear page `delta` pages further on, if it is in RAM and code may be executed there. */
  pageAt(delta: number): number | undefined {
    const page = this.#core.regionPageAt(BigInt.asIntN(64, this.#ripBase + BigInt(delta * PAGE_BYTES)));
    return page < 0 ? undefined : page;
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
