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

/** Regions that were built before, in this run or another, as bytes that only the translator understands. */
export interface RegionCache {
  /** What was added by a number, the newest first. Several regions may have the same. */
  find(key: number): Iterable<Uint8Array>;
  add(key: number, region: Uint8Array<ArrayBuffer>): void;
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
}

/** A place in 64-bit code that has become hot, and what is known of its surroundings. */
export interface HotPlace {
  /** Guest physical page, and offset in it. */
  readonly page: number;
  readonly offset: number;
  /** Offsets in the page that jumps found by the jump cache lately. */
  recentTargets(): readonly number[];
}

/** Makes regions of hot code. */
export interface RegionTranslator {
  /** Whether the region that begins at a place is to be made although it is only warm: the cache has it, or there is time to make it for the next run. */
  wants(place: HotPlace): boolean;
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
