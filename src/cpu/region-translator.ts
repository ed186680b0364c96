import type { OpcodeIndex } from "../decode/form-table.ts";
import type { RecordWriter } from "../decode/record-writer.ts";
import type { ShapeTable } from "../decode/shape.ts";
import type { CoreExports } from "./core-exports.ts";

/** Code of one guest physical page that a region was made from: page offsets. */
export interface CodeRange {
  readonly page: number;
  readonly start: number;
  readonly end: number;
}

/** Decoded code as the engine that runs regions keeps it. */
export interface RegionStore {
  readonly writer: RecordWriter;
  /** What the processor can decode. */
  readonly forms: OpcodeIndex;
  /** Room for `count` records, or 0 when there is none just now. */
  allocateRecords(count: number): number;
  /** Records that stand for a range of code: a write there makes them stale. */
  trackRecords(range: CodeRange, records: number, recordsEnd: number): void;
  /** Forgets all decoded and translated code. */
  flushAll(): void;
  /** Whether a region is entered at a page offset already. */
  hasRegion(page: number, offset: number): boolean;
  /**
   * A region is being made of some ranges of code, which begins with the first of them and will be executed by `handler`.
   * It is void as soon as any of the ranges is written.
   */
  expectRegion(handler: number, ranges: readonly CodeRange[]): CodeTicket;
}

/** Code that a region is being made of. */
export interface CodeTicket {
  readonly isVoid: boolean;
  /** From now on the region's handler executes the 64-bit code there. */
  install(): void;
}

/** Compiles a module of regions, whose functions are worth optimising when each has executed about `budget` bytes of its code. */
export type CompileRegions = (bytes: Uint8Array<ArrayBuffer>, budget: number) => WebAssembly.Module;

/** Regions that were compiled together, in this run or another, for places that are theirs for good. */
export interface CompiledRegions {
  /** The module, with what the host's compiler has made of it; undefined where it cannot be had any more. */
  load(): WebAssembly.Module | undefined;
  /** None of it is going to be used for some time. */
  release(): void;
}

/** Where a region's slots and cells are that it was compiled for, as addresses. */
export interface CompiledPlaces {
  readonly slots: number;
  readonly cells: number;
}

/** A region that was built before, in this run or another. */
export interface KnownRegion {
  /** Bytes that only the translator understands; undefined where they have been damaged. */
  read(): Uint8Array | undefined;
  /** False where it is certainly not compiled: answered without reading. */
  readonly mayBeCompiled: boolean;
  /** The module that has it as a function, its number there, and for which places; undefined when it is not compiled. */
  readonly compiled:
    | ({ readonly module: CompiledRegions; readonly index: number } & CompiledPlaces)
    | undefined;
}

/** A region in a module that was compiled in this run. */
export interface NewlyCompiled extends CompiledPlaces {
  /** Undefined where it was not kept. */
  readonly region: KnownRegion | undefined;
  /** Bytes that its slots and its cells take. */
  readonly slotBytes: number;
  readonly cellBytes: number;
}

/** Regions that were built before, in this run or another. */
export interface RegionCache {
  /** What was added by a number, the newest first. Several regions may have the same. */
  find(key: number): Iterable<KnownRegion>;
  /** Undefined where it is not kept. */
  add(key: number, region: Uint8Array<ArrayBuffer>): KnownRegion | undefined;
  /** Whether the host's compiler's code is kept for other runs. */
  readonly keepsCode: boolean;
  /** From these addresses on no slots and cells are taken by regions that were compiled in other runs. */
  readonly freePlaces: CompiledPlaces;
  /** Regions have been compiled, in the order of the module's functions. Those that are kept and were not compiled before are from now on. */
  addCompiled(
    bytes: Uint8Array<ArrayBuffer>,
    module: WebAssembly.Module,
    regions: readonly NewlyCompiled[],
  ): CompiledRegions;
  /** All places that were taken in this run are free again. */
  forgetCompiled(): void;
  /** The host's clock. */
  nowMs(): number;
}

/** What a translator works on. */
export interface TranslatorHost {
  readonly memory: WebAssembly.Memory;
  readonly pages: { readonly initialPages: number; readonly maximumPages: number; readonly shared: boolean };
  readonly core: CoreExports & WebAssembly.Exports;
  /** The functions that handlers share. */
  readonly run: WebAssembly.Exports & { readonly vacant: () => number };
  readonly handlers: WebAssembly.Table;
  readonly shapes: ShapeTable;
  readonly regions: RegionStore;
  /**
   * Physical page of the linear page `delta` pages from the one that RIP_BASE is for, if code may be executed there and
   * asking changes nothing in the guest's page tables.
   */
  pageAt(delta: number): number | undefined;
  /** Whether some jump has led to code at an offset of a guest physical page: what no jump has led to is left out of regions. */
  hasBeenReached(page: number, offset: number): boolean;
  /** The host's usual compiler when absent. */
  readonly compile?: CompileRegions | undefined;
  readonly cache?: RegionCache | undefined;
  /** Regions are made for later runs: they are optimised soon. */
  readonly learns?: boolean | undefined;
}

/** A place in 64-bit code that has become hot, and what is known of its surroundings. */
export interface HotPlace {
  /** Guest physical page, and offset in it. */
  readonly page: number;
  readonly offset: number;
  /** Offsets in the page that jumps found by the jump cache lately. */
  recentTargets(): readonly number[];
}

/**
 * How warm a place has become that is not hot, in this order: asked whether it is wanted when the region would cost little; when the cache has it or
 * there is time to make it for the next run; and when a run that has lasted for long will gain from it.
 */
export const WARMTHS = ["tepid", "warm", "nearly hot"] as const;
export type Warmth = (typeof WARMTHS)[number];

/** Makes regions of hot code. */
export interface RegionTranslator {
  /** Whether the region that begins at a place is to be made before it is hot. */
  wants(place: HotPlace, warmth: Warmth): boolean;
  translate(place: HotPlace): void;
  /** The engine is about to run: regions that wait to be compiled with others may have waited long enough. */
  runStarts(): void;
  /** Compiles what waits. */
  compileWaiting(): void;
  /** A region is void: its handler is free. */
  regionDropped(handler: number): void;
  /** All regions are void. */
  allRegionsDropped(): void;
  readonly statistics: Readonly<Record<string, number>>;
}
