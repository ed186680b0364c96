import type { OpcodeIndex } from "../decode/form-table.ts";
import type { RecordWriter } from "../decode/record-writer.ts";
import type { ShapeTable } from "../decode/shape.ts";
import type { CoreExports } from "./core-exports.ts";

/** Code of one page that a region was made from: page offsets. */
export interface CodeRange {
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
  /** Records that stand for the bytes `start .. end - 1` of a page: a write there makes them stale. */
  trackRecords(page: number, range: CodeRange, records: number, recordsEnd: number): void;
  /** Forgets all decoded and translated code. */
  flushAll(): void;
  /** Whether a region is entered at a page offset already. */
  hasRegion(page: number, offset: number): boolean;
  /** From now on `handler` executes the 64-bit code at a page offset. The region is void when any of its ranges is written. */
  installRegion(page: number, offset: number, handler: number, ranges: readonly CodeRange[]): void;
}

/** What a translator works on. */
export interface TranslatorHost {
  readonly memory: WebAssembly.Memory;
  readonly pages: { readonly initialPages: number; readonly maximumPages: number; readonly shared: boolean };
  readonly core: CoreExports & WebAssembly.Exports;
  /** The functions that handlers share. */
  readonly run: WebAssembly.Exports;
  readonly handlers: WebAssembly.Table;
  readonly shapes: ShapeTable;
  readonly regions: RegionStore;
}

/** Makes regions of hot code. */
export interface RegionTranslator {
  /** 64-bit code at a guest physical page and offset has become hot. */
  translate(page: number, offset: number): void;
  /** A region is void: its handler is free. */
  regionDropped(handler: number): void;
  /** All regions are void. */
  allRegionsDropped(): void;
  readonly statistics: Readonly<Record<string, number>>;
}
