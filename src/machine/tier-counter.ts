import type { RegionStore } from "../cpu/region-translator.ts";
import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE, REGION_COUNTERS } from "../layout/memory-map.ts";
import { INDEX } from "../layout/record.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import { ModuleWriter } from "../wasm/module-writer.ts";

const HANDLER_TYPE = { params: ["i32"], results: ["i32"] } as const;
/** i64: instructions executed in regions. */
const TRANSLATED = REGION_COUNTERS;
/** i32: 1 inside of a region. */
const INSIDE = REGION_COUNTERS + 8;

/**
 * Counts the instructions that regions execute, exactly: each region's entry
 * in the handler table is wrapped in a function that compares the budget before
 * and behind it. Regions that lead on to others count as one with them.
 */
export class TierCounter {
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  readonly #translated: BigInt64Array;

  constructor(
    memory: WebAssembly.Memory,
    pages: { initialPages: number; maximumPages: number; shared: boolean },
  ) {
    this.#memory = memory;
    this.#module = new WebAssembly.Module(buildWrapper(pages));
    this.#translated = new BigInt64Array(memory.buffer, TRANSLATED, 1);
  }

  get translated(): number {
    return Number(this.#translated[0]!);
  }

  /** The store as a translator sees it: regions that it installs are counted. */
  watch(regions: RegionStore, handlers: WebAssembly.Table): RegionStore {
    return {
      writer: regions.writer,
      forms: regions.forms,
      allocateRecords: (count) => regions.allocateRecords(count),
      trackRecords: (...parameters) => regions.trackRecords(...parameters),
      flushAll: () => regions.flushAll(),
      hasRegion: (page, offset) => regions.hasRegion(page, offset),
      expectRegion: (handler, ranges) => {
        const ticket = regions.expectRegion(handler, ranges);
        return {
          get isVoid() {
            return ticket.isVoid;
          },
          install: () => {
            this.#count(handlers, handler);
            ticket.install();
          },
        };
      },
    };
  }

  /** Puts a counting function before a region. */
  #count(handlers: WebAssembly.Table, handler: number): void {
    const region = handlers.get(handler);
    invariant(region !== null, "a region is in the table when it is installed");
    const { exports } = new WebAssembly.Instance(this.#module, { env: { memory: this.#memory, region } });
    handlers.set(handler, exports["counted"] as (caller: number) => number);
  }
}

function buildWrapper(pages: {
  initialPages: number;
  maximumPages: number;
  shared: boolean;
}): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", pages);
  const region = module.importFunction("env", "region", HANDLER_TYPE);
  const counted = module.declareFunction("counted", HANDLER_TYPE);
  const b = new FunctionBuilder(HANDLER_TYPE);
  const zero = b.i32(0);
  const state = (field: number) => b.load("i32.load", zero, CPU_STATE + field);
  const executed = () => b.op("i32.sub", state(cpu.BUDGET_START), state(cpu.BUDGET));
  b.if(b.load("i32.load", zero, INSIDE), () => b.returnCall(region, b.parameter(0)));
  const before = b.bind(executed());
  b.store("i32.store", zero, b.i32(1), INSIDE);
  const next = b.bind(b.call(region, b.parameter(0))!);
  b.store("i32.store", zero, zero, INSIDE);
  // A region that ends in the middle of a block has not counted the block's instructions before that.
  const partial = b.select(next, b.load("i32.load8_u", next, INDEX), zero);
  const more = b.op("i32.add", b.op("i32.sub", executed(), before), partial);
  const sum = b.op("i64.add", b.load("i64.load", zero, TRANSLATED), b.op("i64.extend_i32_s", more));
  b.store("i64.store", zero, sum, TRANSLATED);
  b.return(next);
  module.defineFunction(counted, b);
  module.exportFunction("counted", counted);
  return module.finish();
}
