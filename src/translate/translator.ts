import type { CodeTicket, HotPlace, RegionTranslator, TranslatorHost } from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import { TLB_BASE, X87_FCW } from "../layout/cpu-state.ts";
import { CPU_STATE, TLB_BANK_USER } from "../layout/memory-map.ts";
import { ControlFlow } from "./control-flow.ts";
import type { RegionBlock, RegionInstruction } from "./region-code.ts";
import { RegionMemory } from "./region-memory.ts";
import { buildRegionModule, type RegionSource } from "./region-module.ts";
import { keepsX87FromInlining } from "./region-record.ts";
import { RegionScanner, type ScannedRegion } from "./region-scanner.ts";
import { isControlPlain, StateUse } from "./region-state.ts";
import { ShapeUse } from "./shape-use.ts";
import { hasTightLoop } from "./tight-loops.ts";

/** Live regions; when there are more, all code is forgotten and the hot part of it comes back. */
const MOST_REGIONS = 6000;
/** Regions that are compiled together: a module costs as much as several small functions. */
const BATCH_REGIONS = 12;
/**
 * Bytes of a region's code that V8 counts as executed, for each byte of it, before it is worth optimising. V8's optimising compiler takes
 * 0.4 us a byte; what its other compiler makes executes some 100 bytes in a nanosecond, and V8 counts what is jumped over, too. So by
 * then a region has run about as long as optimising it takes.
 */
const OPTIMISED_AFTER = 100_000;
/** Runs of the engine after which regions are compiled that wait for others. */
const BATCH_RUNS = 64;

type RegionFunction = (caller: number) => number;

/** A region that waits to be compiled. */
interface Waiting {
  readonly source: RegionSource;
  readonly ticket: CodeTicket;
}

/** Translates hot code into regions: WebAssembly functions that the interpreter runs like handlers. */
export class Translator implements RegionTranslator {
  readonly #host: TranslatorHost;
  readonly #scanner: RegionScanner;
  readonly #places: RegionMemory;
  readonly #memory: DataView;
  readonly #shapes = new Map<HandlerShape, ShapeUse>();
  readonly #freeHandlers: number[] = [];
  readonly #handlers: number[] = [];
  /** Some handler is vacant that link slots may still name. */
  #hasDangling = false;
  #waiting: Waiting[] = [];
  #runsWaited = 0;
  #live = 0;
  #made = 0;
  #modules = 0;
  #instructions = 0;
  #bytes = 0;
  #refused = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#memory = new DataView(host.memory.buffer);
    this.#places = new RegionMemory(host.memory.buffer, host.regions);
    this.#scanner = new RegionScanner(
      host,
      (shape, instruction) => this.#useOf(shape, instruction).isTranslatable,
    );
  }

  get statistics(): Readonly<Record<string, number>> {
    return {
      regionsMade: this.#made,
      regionsLive: this.#live,
      regionModules: this.#modules,
      regionInstructions: this.#instructions,
      regionBytes: this.#bytes,
      regionsRefused: this.#refused,
    };
  }

  translate(place: HotPlace): void {
    const { regions } = this.#host;
    if (regions.hasRegion(place.page, place.offset)) return;
    if (this.#live >= MOST_REGIONS || this.#places.isFull) regions.flushAll();
    const scanned = this.#scanner.scan(place);
    if (scanned === undefined || !isWorthwhile(scanned)) {
      this.#refused++;
      return;
    }
    const source = this.#prepare(place, scanned);
    if (source === undefined) {
      this.#refused++;
      return;
    }
    const ticket = regions.expectRegion(source.places.handler, scanned.ranges);
    this.#live++;
    this.#waiting.push({ source, ticket });
    if (this.#waiting.length >= BATCH_REGIONS) this.compileWaiting();
  }

  runStarts(): void {
    if (this.#waiting.length > 0 && ++this.#runsWaited >= BATCH_RUNS) this.compileWaiting();
  }

  compileWaiting(): void {
    const ready = this.#waiting.filter(({ ticket }) => !ticket.isVoid);
    this.#waiting = [];
    this.#runsWaited = 0;
    if (ready.length === 0) return;
    const functions = this.#compile(ready.map(({ source }) => source));
    for (const [i, { source, ticket }] of ready.entries()) {
      this.#host.handlers.set(source.places.handler, functions[i]!);
      this.#made++;
      this.#instructions += source.scanned.instructions;
      ticket.install();
    }
  }

  regionDropped(handler: number): void {
    this.#live--;
    this.#free(handler);
  }

  allRegionsDropped(): void {
    this.#freeHandlers.length = 0;
    for (const handler of this.#handlers) this.#free(handler);
    this.#live = 0;
    this.#waiting = [];
    this.#places.forgetAll();
  }

  #prepare(place: HotPlace, scanned: ScannedRegion): RegionSource | undefined {
    const flow = new ControlFlow(scanned.code);
    const handler = this.#takeHandler();
    const places = this.#places.placesFor(handler, flow, scanned.code.pages);
    if (places === undefined) {
      this.#freeHandlers.push(handler);
      return undefined;
    }
    const use = new StateUse();
    const helpers = new Set<HelperName>();
    const note = ({ instructions, end }: RegionBlock): void => {
      for (const instruction of instructions) {
        if (instruction.interpreted) continue;
        this.#useOf(instruction.shape, instruction).addTo(use, helpers, this.#memory, instruction);
      }
      if (end.kind === "call" && end.body !== undefined) note(end.body);
    };
    for (const block of scanned.code.blocks.values()) note(block);
    // The kernel's functions may run with one bank and with another; a program's do not.
    const bank = this.#memory.getInt32(CPU_STATE + TLB_BASE, true);
    use.tlbBank = bank === TLB_BANK_USER && !use.changesTlbBank ? bank : 0;
    use.inlinesX87 =
      use.usesX87 &&
      ![...helpers].some(keepsX87FromInlining) &&
      isControlPlain(this.#memory.getInt32(CPU_STATE + X87_FCW, true));
    const computesFloats = use.floatLanes.size > 0 || use.usesHostFloat || use.inlinesX87;
    use.staysInMemory = !computesFloats && !hasTightLoop(flow);
    const name = `region_${place.page.toString(16)}_${place.offset.toString(16)}`;
    return { name, scanned, flow, use, helpers, places };
  }

  /** Puts a function in place of the region's that leads on, and lets go of the module. */
  #free(handler: number): void {
    this.#host.handlers.set(handler, this.#host.run.vacant);
    this.#freeHandlers.push(handler);
    this.#hasDangling = true;
  }

  #takeHandler(): number {
    if (this.#hasDangling) {
      this.#places.unlinkAll();
      this.#hasDangling = false;
    }
    const free = this.#freeHandlers.pop();
    if (free !== undefined) return free;
    const handler = this.#host.shapes.reserveIds(1);
    this.#handlers.push(handler);
    return handler;
  }

  #compile(sources: readonly RegionSource[]): RegionFunction[] {
    const host = this.#host;
    const bytes = buildRegionModule(sources, host);
    this.#bytes += bytes.length;
    this.#modules++;
    const { compile = (code) => new WebAssembly.Module(code) } = host;
    const module = compile(bytes, (OPTIMISED_AFTER * bytes.length) / sources.length);
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory: host.memory, handlers: host.handlers },
      core: host.core,
      run: host.run,
    });
    return sources.map((_, i) => exports[`${i}`] as RegionFunction);
  }

  #useOf(shape: HandlerShape, instruction: RegionInstruction): ShapeUse {
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    const use = new ShapeUse(shape, instruction, this.#memory);
    this.#shapes.set(shape, use);
    return use;
  }
}

/** A region that leaves at once costs more than it saves. */
function isWorthwhile({ code }: ScannedRegion): boolean {
  const entry = code.blocks.get(code.entry)!;
  const first = entry.instructions[0];
  return first !== undefined && (!first.interpreted || first.stepped || first.transfers);
}
