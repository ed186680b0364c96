import type { CoreExports } from "../cpu/core-exports.ts";
import { instantiateCore } from "../cpu/core-instance.ts";
import { CPU_MODELS, extensionsOf } from "../cpu/cpu-model.ts";
import { cpuid } from "../cpu/cpuid.ts";
import type { FeatureName } from "../cpu/cpuid-tables.ts";
import type { Meter } from "../cpu/meter.ts";
import type { ProcessorSurroundings } from "../cpu/processor.ts";
import type {
  CompileRegions,
  RegionCache,
  RegionTranslator,
  TranslatorHost,
} from "../cpu/region-translator.ts";
import type { RestoredCode } from "../cpu/saved-code.ts";
import { StateView } from "../cpu/state-view.ts";
import { VirtualProcessor } from "../cpu/virtual-processor.ts";
import { formsWithin } from "../decode/form-table.ts";
import { APIC_BUS_HZ } from "../devices/local-apic/apic-timer.ts";
import type { HeatMarks } from "../interpret/heat.ts";
import { Interpreter } from "../interpret/interpreter.ts";
import type { InterpreterCache } from "../interpret/interpreter-cache.ts";
import type { InterpreterParts } from "../interpret/interpreter-parts.ts";
import * as cpu from "../layout/cpu-state.ts";
import { Translator } from "../translate/translator.ts";
import { TSC_HZ } from "./machine-time.ts";
import { meterCore, meterEngine, meterSurroundings, meterTranslator } from "./metering.ts";
import { TierCounter } from "./tier-counter.ts";

const WASM_PAGE_BYTES = 65536;
/** Times a jump is taken before what it leads to is translated. */
const HOT_COUNT = 100_000;
/** The same with a cache: in a run that has lasted for long, where the cache knows what it is translated to, and where it has that compiled. */
const LASTING_COUNT = 25_000;
const WARM_COUNT = 10_000;
const COMPILED_COUNT = 2_000;

/** CR4 bits that exist with a feature. */
const CONTROL_4_BITS: readonly (readonly [FeatureName, bigint])[] = [
  ["umip", 11n],
  ["pcid", 17n],
  ["fsgsbase", 16n],
  ["xsave", 18n],
  ["smep", 20n],
  ["smap", 21n],
  ["pku", 22n],
];

/** `auto` interprets, and translates what is hot; `translator` translates all it can before it runs, for tests. */
export type EngineName = "interpreter" | "auto" | "translator";

/** What a processor is made from. */
export interface ProcessorRequest {
  /** The compiled src/core. */
  readonly coreModule: WebAssembly.Module;
  readonly ramBytes: number;
  readonly deterministic: boolean;
  readonly surroundings: ProcessorSurroundings;
  /** The one memory (layout/memory-map.ts). */
  readonly memory: WebAssembly.Memory;
  readonly engine?: EngineName;
  /** Times a jump is taken before what it leads to is translated; the usual number when absent. */
  readonly hotCount?: number | undefined;
  /** Compiles modules of translated code; the host's usual compiler when absent. */
  readonly compileRegions?: CompileRegions | undefined;
  /** Opens the cache of regions of a version, which names all that a region's code depends on besides the guest's; none when absent. */
  readonly openRegionCache?: ((version: string) => RegionCache) | undefined;
  /** What is kept of the interpreter from one run to the next; nothing when absent. */
  readonly interpreterCache?: InterpreterCache | undefined;
  /** With a cache of regions: translate and optimise what runs more than once in a while, though it pays in later runs only. */
  readonly learns?: boolean | undefined;
  /** What CPUID announces; instructions of what it does not are #UD. The default model when absent. */
  readonly features?: ReadonlySet<FeatureName>;
  /** Times everything that is not the guest's own code; costs time itself. */
  readonly meter?: Meter | undefined;
  /** Names the version of all that generates code; absent: decoded code is neither saved nor restored. */
  readonly codeVersion?: string | undefined;
  /** Of the processor whose state this one takes over. */
  readonly code?: RestoredCode | undefined;
  /** For profiles: see `InterpreterParts.observe`. */
  readonly observe?: InterpreterParts["observe"];
}

/** How often the guest asked for MSRs that do not exist since the last reset, and the index of the last of them. */
export interface UnknownMsrs {
  readonly reads: number;
  readonly writes: number;
  readonly last: number;
}

/** A processor and the parts behind it, for statistics and traces. */
export interface ProcessorParts {
  readonly processor: VirtualProcessor;
  readonly engine: Interpreter;
  readonly state: StateView;
  readonly core: CoreExports;
  /** With a meter: how many instructions were translated ones. */
  readonly tiers: TierCounter | undefined;
  readonly unknownMsrs: () => UnknownMsrs;
}

/** Builds a processor with the interpreter as its engine, in the state after RESET. */
export function createProcessor(request: ProcessorRequest): ProcessorParts {
  const { memory, meter } = request;
  const features = request.features ?? CPU_MODELS["default"]!;
  const cpuidContext = { apicId: 0, processors: 1, tscHz: TSC_HZ, apicTimerHz: APIC_BUS_HZ, features };
  const surroundings =
    meter === undefined ? request.surroundings : meterSurroundings(request.surroundings, meter);
  const state = new StateView(memory.buffer);
  let engine: Interpreter | undefined;
  const codeWritten = (page: number, first: number, last: number) => engine?.codeWritten(page, first, last);
  const plainCore = instantiateCore(request.coreModule, {
    memory,
    state,
    surroundings,
    cpuidContext,
    codeWritten:
      meter === undefined ? codeWritten : meter.timed("memory/writes to decoded code", codeWritten),
  });
  const core = meter === undefined ? plainCore : meterCore(plainCore, state, meter);
  state.set32(cpu.RAM_BYTES, request.ramBytes | 0);
  state.set32(cpu.DETERMINISTIC, request.deterministic ? 1 : 0);
  state.set32(cpu.FAULT_VECTOR, -1);
  const states = cpuid(0xd, 0, { ...cpuidContext, cr4Osxsave: false });
  const variants = cpuid(0xd, 1, { ...cpuidContext, cr4Osxsave: false });
  core.offerStates(BigInt(states.eax), variants.eax);
  core.withholdControl4(
    CONTROL_4_BITS.reduce((bits, [name, bit]) => (features.has(name) ? bits : bits | (1n << bit)), 0n),
  );
  core.offerPerformanceCounters(features.has("arch-perfmon") ? 1 : 0);
  core.initialiseTlb();
  const pages = memory.buffer.byteLength / WASM_PAGE_BYTES;
  const isShared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const translates = request.engine === "auto" || request.engine === "translator";
  const limits = { initialPages: pages, maximumPages: pages, shared: isShared };
  const cache =
    request.engine === "auto" && request.codeVersion !== undefined
      ? request.openRegionCache?.([request.codeVersion, isShared, ...[...features].sort()].join(" "))
      : undefined;
  const tiers = meter === undefined ? undefined : new TierCounter(memory, limits);
  engine = new Interpreter({
    memory,
    pages: limits,
    meter,
    core,
    state,
    forms: formsWithin(extensionsOf(features)),
    observe: request.observe,
    codeKey: codeKeyOf(request, features, isShared, cache !== undefined),
    code: request.code,
    cache: request.interpreterCache,
    ...(translates
      ? {
          createTranslator: (host) =>
            createTranslator(
              { ...host, compile: request.compileRegions, cache, learns: request.learns === true },
              meter,
              tiers,
            ),
          heatMarks: heatMarks(
            request.hotCount ?? (request.learns === true ? COMPILED_COUNT : HOT_COUNT),
            cache !== undefined,
          ),
          eager: request.engine === "translator",
        }
      : {}),
  });
  const driven = meter === undefined ? engine : meterEngine(engine, meter);
  const processor = new VirtualProcessor({ state, core, engine: driven, surroundings });
  processor.reset();
  const note = new Uint32Array(memory.buffer, core.unknownMsrs(), 4);
  const unknownMsrs = () => ({ last: note[0]!, reads: note[2]!, writes: note[3]! });
  return { processor, engine, state, core, tiers, unknownMsrs };
}

function heatMarks(hotCount: number, hasCache: boolean): HeatMarks {
  const marks = hasCache ? [COMPILED_COUNT, WARM_COUNT, LASTING_COUNT] : [];
  return [...marks.filter((count) => count < hotCount), hotCount];
}

/** What decoded and generated code depends on; undefined where it is not to be kept. */
function codeKeyOf(
  { codeVersion, ramBytes, engine = "interpreter", observe }: ProcessorRequest,
  features: ReadonlySet<FeatureName>,
  isShared: boolean,
  hasCache: boolean,
): string | undefined {
  if (codeVersion === undefined || observe !== undefined || engine === "translator") return undefined;
  return [codeVersion, engine, ramBytes, isShared, hasCache, ...[...features].sort()].join(" ");
}

function createTranslator(
  host: TranslatorHost,
  meter: Meter | undefined,
  tiers: TierCounter | undefined,
): RegionTranslator {
  if (meter === undefined || tiers === undefined) return new Translator(host);
  return meterTranslator(
    new Translator({ ...host, regions: tiers.watch(host.regions, host.handlers) }),
    meter,
  );
}
