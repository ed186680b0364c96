import type { CoreExports } from "../cpu/core-exports.ts";
import { instantiateCore } from "../cpu/core-instance.ts";
import type { ProcessorSurroundings } from "../cpu/processor.ts";
import { StateView } from "../cpu/state-view.ts";
import { VirtualProcessor } from "../cpu/virtual-processor.ts";
import { APIC_BUS_HZ } from "../devices/local-apic/apic-timer.ts";
import { Interpreter, type InterpreterParts } from "../interpret/interpreter.ts";
import * as cpu from "../layout/cpu-state.ts";
import { Translator } from "../translate/translator.ts";
import { TSC_HZ } from "./machine-time.ts";

const WASM_PAGE_BYTES = 65536;
/** Times a jump is taken before what it leads to is translated. */
const HOT_COUNT = 50000;

export type EngineName = "interpreter" | "auto";

/** What a processor is made from. */
export interface ProcessorRequest {
  /** The compiled src/core. */
  readonly coreModule: WebAssembly.Module;
  readonly ramBytes: number;
  readonly deterministic: boolean;
  readonly surroundings: ProcessorSurroundings;
  /** The one memory (layout/memory-map.ts). */
  readonly memory: WebAssembly.Memory;
  /** `auto` translates what is hot. */
  readonly engine?: EngineName;
  /** For profiles: see `InterpreterParts.observe`. */
  readonly observe?: InterpreterParts["observe"];
}

/** A processor and the parts behind it, for statistics and traces. */
export interface ProcessorParts {
  readonly processor: VirtualProcessor;
  readonly engine: Interpreter;
  readonly state: StateView;
  readonly core: CoreExports;
}

/** Builds a processor with the interpreter as its engine, in the state after RESET. */
export function createProcessor(request: ProcessorRequest): ProcessorParts {
  const { memory, surroundings } = request;
  const state = new StateView(memory.buffer);
  let engine: Interpreter | undefined;
  const core = instantiateCore(request.coreModule, {
    memory,
    state,
    surroundings,
    cpuidContext: { apicId: 0, processors: 1, tscHz: TSC_HZ, apicTimerHz: APIC_BUS_HZ },
    codeWritten: (page, first, last) => engine?.codeWritten(page, first, last),
  });
  state.set32(cpu.RAM_BYTES, request.ramBytes | 0);
  state.set32(cpu.DETERMINISTIC, request.deterministic ? 1 : 0);
  state.set32(cpu.FAULT_VECTOR, -1);
  core.initialiseTlb();
  const pages = memory.buffer.byteLength / WASM_PAGE_BYTES;
  const shared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  engine = new Interpreter({
    memory,
    pages: { initialPages: pages, maximumPages: pages, shared },
    core,
    state,
    observe: request.observe,
    ...(request.engine === "auto"
      ? { createTranslator: (host) => new Translator(host), hotCount: HOT_COUNT }
      : {}),
  });
  const processor = new VirtualProcessor({ state, core, engine, surroundings });
  processor.reset();
  return { processor, engine, state, core };
}
