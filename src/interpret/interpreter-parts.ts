import type { CoreExports } from "../cpu/core-exports.ts";
import type { Meter } from "../cpu/meter.ts";
import type { RegionTranslator, TranslatorHost } from "../cpu/region-translator.ts";
import type { RestoredCode } from "../cpu/saved-code.ts";
import type { StateView } from "../cpu/state-view.ts";
import type { OpcodeIndex } from "../decode/form-table.ts";
import type { HandlerShape } from "../decode/shape.ts";
import type { MemoryPages } from "./handler-module.ts";
import type { HeatMarks } from "./heat.ts";
import type { InterpreterCache } from "./interpreter-cache.ts";

/** What the interpreter is made of besides its own modules. */
export interface InterpreterParts {
  readonly memory: WebAssembly.Memory;
  readonly pages: MemoryPages;
  readonly core: CoreExports & WebAssembly.Exports;
  readonly state: StateView;
  /** What the processor can decode; everything unless said otherwise. */
  readonly forms?: OpcodeIndex | undefined;
  /** Makes the translator of hot code, if there is to be one. */
  readonly createTranslator?: ((host: TranslatorHost) => RegionTranslator) | undefined;
  /** When there is a translator: taken jumps after which it is asked about a place. */
  readonly heatMarks?: HeatMarks | undefined;
  /** Code is translated whenever it is looked up, hot or not. For tests. */
  readonly eager?: boolean | undefined;
  /** Times what is not the guest's own code, for `--stats`. */
  readonly meter?: Meter | undefined;
  /** Names all that decoded and generated code depends on; absent: it is neither saved nor restored. */
  readonly codeKey?: string | undefined;
  /** Where handlers and their machine code are kept from one run to the next; nowhere when absent. */
  readonly cache?: InterpreterCache | undefined;
  /** What a processor had decoded and generated whose state this one takes over. */
  readonly code?: RestoredCode | undefined;
  /** For profiles: called with the shape of every instruction before it is executed. Very slow; no handler is inline then. */
  readonly observe?: ((shape: HandlerShape) => void) | undefined;
}

/** Counters of the interpreter, for --stats. */
export interface InterpreterStatistics {
  readonly lookups: number;
  readonly links: number;
  readonly crossings: number;
  readonly decodedBlocks: number;
  readonly invalidatedBlocks: number;
  readonly restoredBlocks: number;
  readonly recordFlushes: number;
  readonly handlerModules: number;
  readonly handlerShapes: number;
}
