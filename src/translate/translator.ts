import type {
  CodeRange,
  CodeTicket,
  CompiledPlaces,
  HotPlace,
  KnownRegion,
  RegionTranslator,
  TranslatorHost,
  Warmth,
} from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import { TLB_BASE, X87_FCW } from "../layout/cpu-state.ts";
import {
  CPU_STATE,
  LINK_SLOT_BYTES,
  LINK_SLOTS,
  REGION_CELL_BYTES,
  REGION_CELLS,
  TLB_BANK_USER,
} from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { buildRegion } from "./built-region.ts";
import type { CachedRegion } from "./cached-region.ts";
import { CodeReader } from "./code-reader.ts";
import { ControlFlow } from "./control-flow.ts";
import { type PlacedRecords, RecordPlacer } from "./kept-records.ts";
import { KnownRegions } from "./known-regions.ts";
import {
  type Position,
  type RegionBlock,
  type RegionInstruction,
  type RegionPage,
  rangesOf,
} from "./region-code.ts";
import { RegionMemory, type RegionTables } from "./region-memory.ts";
import { buildRegionModule } from "./region-module.ts";
import { type PooledRegion, RegionPool } from "./region-pool.ts";
import { keepsX87FromInlining } from "./region-record.ts";
import { RegionScanner, type ScannedRegion } from "./region-scanner.ts";
import { isControlPlain } from "./region-state.ts";
import {
  CELL_DISPATCH_TABLE,
  CELL_HANDLER,
  CELL_IMMEDIATE,
  CELL_KIND_BITS,
  CELL_PAGES,
  CELL_RECORD,
} from "./region-symbols.ts";
import { ShapeUse } from "./shape-use.ts";
import { StateUse } from "./state-use.ts";
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
/** The same of a region that an earlier run had, where the optimised code is kept: later runs gain from it, too. */
const OPTIMISED_AGAIN_AFTER = 5_000;
/** The same where regions are made for later runs, and in a run that has lasted for long. */
const OPTIMISED_SOON_AFTER = 100;
/** Runs of the engine after which regions are compiled that wait for others. */
const BATCH_RUNS = 64;
/** Handlers of regions that are gone, of which links are told at once: that takes all links away. */
const MOST_VACANT = 64;

/** Modes in which the same code becomes another region: a program's page tables, and the usual x87 control word. */
const MODE_USER = 1;
const MODE_X87_PLAIN = 2;

type RegionFunction = (caller: number) => number;

/** The code of a region, and what the cache keeps of it. */
interface RegionToPlace {
  readonly built: CachedRegion["built"];
  readonly kept: KnownRegion | undefined;
}

/** A region that has no place yet. */
interface NewRegion extends PlacedRecords {
  /** The first is the one of the entry. */
  readonly pages: readonly RegionPage[];
  /** The blocks that indirect jumps go to by number; undefined when it has none. */
  readonly dispatched: readonly Position[] | undefined;
  /** It was built before. */
  readonly isKnown: boolean;
  toPlace(): RegionToPlace;
}

/** A region that waits to be compiled. */
interface Waiting {
  readonly handler: number;
  readonly region: NewRegion;
  readonly tables: RegionTables;
  readonly ticket: CodeTicket;
}

/** Translates hot code into regions: WebAssembly functions that the interpreter runs like handlers. */
export class Translator implements RegionTranslator {
  readonly #host: TranslatorHost;
  readonly #scanner: RegionScanner;
  readonly #placer: RecordPlacer;
  readonly #places: RegionMemory;
  readonly #memory: DataView;
  readonly #known: KnownRegions;
  readonly #shapes = new Map<HandlerShape, ShapeUse>();
  readonly #pool: RegionPool;
  /** Regions in use, by their handlers. */
  readonly #used = new Map<number, PooledRegion>();
  readonly #freeHandlers: number[] = [];
  readonly #handlers: number[] = [];
  /** Handlers that are vacant, and that link slots may still name. */
  #dangling: number[] = [];
  #waiting: Waiting[] = [];
  #runsWaited = 0;
  #live = 0;
  #made = 0;
  #modules = 0;
  #instructions = 0;
  #bytesMade = 0;
  #refused = 0;
  #cached = 0;
  #pooled = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#known = new KnownRegions(host);
    this.#memory = new DataView(host.memory.buffer);
    this.#places = new RegionMemory(
      host.memory.buffer,
      host.regions,
      () => host.cache?.freePlaces ?? { slots: LINK_SLOTS, cells: REGION_CELLS },
    );
    this.#pool = new RegionPool((module) => {
      const loaded = module.load();
      return loaded === undefined ? undefined : this.#instantiate(loaded);
    });
    const reader = new CodeReader(host);
    this.#placer = new RecordPlacer(host.memory.buffer, host.regions, host.shapes, reader);
    this.#scanner = new RegionScanner(
      host,
      reader,
      (shape, instruction) => this.#useOf(shape, instruction).isTranslatable,
    );
  }

  get statistics(): Readonly<Record<string, number>> {
    return {
      regionsMade: this.#made,
      regionsFromCache: this.#cached,
      regionsCompiledBefore: this.#pooled,
      regionsLive: this.#live,
      regionModules: this.#modules,
      regionInstructions: this.#instructions,
      regionBytes: this.#bytesMade,
      regionsRefused: this.#refused,
    };
  }

  wants(place: HotPlace, warmth: Warmth): boolean {
    return this.#known.wants(place, this.#mode(), warmth);
  }

  translate(place: HotPlace): void {
    const { regions } = this.#host;
    if (regions.hasRegion(place.page, place.offset)) return;
    if (this.#live >= MOST_REGIONS || this.#places.isFull) regions.flushAll();
    const mode = this.#mode();
    const known = this.#fromCache(place, mode);
    const region = known ?? this.#fresh(place, mode);
    if (region === undefined) {
      this.#refused++;
      return;
    }
    const { dispatched, pages } = region;
    const tables = this.#places.tablesFor(dispatched, pages);
    if (tables === undefined) {
      this.#refused++;
      return;
    }
    const handler = this.#takeHandler();
    const ticket = regions.expectRegion(handler, this.#track(region));
    this.#live++;
    const waiting = { handler, region, tables, ticket };
    if (known !== undefined && this.#installCompiled(waiting)) return;
    this.#waiting.push(waiting);
    if (this.#waiting.length >= BATCH_REGIONS) this.compileWaiting();
  }

  /** Lets the records go stale with their code; where that lies, from the entry block on. */
  #track({ described, pages }: NewRegion): CodeRange[] {
    return described.flatMap(({ start, end, records, recordsEnd }) => {
      const ranges = rangesOf(start, end, pages);
      for (const range of ranges) this.#host.regions.trackRecords(range, records, recordsEnd);
      return ranges;
    });
  }

  /** Installs a region as it was compiled before; false where that cannot be. */
  #installCompiled(waiting: Waiting): boolean {
    const { built, kept } = waiting.region.toPlace();
    const compiled = kept?.compiled;
    if (compiled === undefined || waiting.ticket.isVoid) return false;
    const pooled = this.#pool.take(compiled);
    if (pooled === undefined) return false;
    this.#pooled++;
    this.#used.set(waiting.handler, pooled);
    this.#prepare(waiting, built, compiled);
    this.#install(waiting, pooled.run);
    return true;
  }

  #install({ handler, region, ticket }: Waiting, run: RegionFunction): void {
    this.#host.handlers.set(handler, run);
    this.#made++;
    this.#instructions += region.instructions.length;
    ticket.install();
  }

  runStarts(): void {
    if (this.#waiting.length > 0 && ++this.#runsWaited >= BATCH_RUNS) this.compileWaiting();
  }

  compileWaiting(): void {
    const ready = this.#waiting.filter(({ ticket }) => !ticket.isVoid);
    this.#waiting = [];
    this.#runsWaited = 0;
    if (ready.length === 0) return;
    this.#compile(ready);
  }

  regionDropped(handler: number): void {
    this.#live--;
    this.#used.get(handler)?.release();
    this.#used.delete(handler);
    this.#vacate(handler);
    this.#dangling.push(handler);
  }

  allRegionsDropped(): void {
    for (const handler of this.#handlers) this.#vacate(handler);
    this.#freeHandlers.length = 0;
    this.#freeHandlers.push(...this.#handlers);
    this.#dangling = [];
    this.#live = 0;
    this.#waiting = [];
    this.#used.clear();
    this.#pool.clear();
    this.#host.cache?.forgetCompiled();
    this.#places.forgetAll();
  }

  #mode(): number {
    const isUser = this.#memory.getInt32(CPU_STATE + TLB_BASE, true) === TLB_BANK_USER;
    const isPlain = isControlPlain(this.#memory.getInt32(CPU_STATE + X87_FCW, true));
    return (isUser ? MODE_USER : 0) | (isPlain ? MODE_X87_PLAIN : 0);
  }

  /** A region of which the cache has what it is built to. */
  #fromCache(place: HotPlace, mode: number): NewRegion | undefined {
    const found = this.#known.find(place, mode);
    if (found === undefined) return undefined;
    const { kept, cached } = found;
    const { deltas, spans, dispatched, records, built } = cached;
    const pages = deltas.map((delta) => ({
      delta,
      page: delta === 0 ? place.page : this.#host.pageAt(delta)!,
    }));
    const placed = this.#placer.place(records, spans, pages);
    if (placed === undefined) return undefined;
    this.#cached++;
    return { ...placed, pages, dispatched, isKnown: true, toPlace: () => ({ built, kept }) };
  }

  #fresh(place: HotPlace, mode: number): NewRegion | undefined {
    const scanned = this.#scanner.scan(place);
    if (scanned === undefined || !isWorthwhile(scanned)) return undefined;
    const { code } = scanned;
    const flow = new ControlFlow(code);
    const source = { code, flow, use: this.#use(scanned, flow, mode), memory: this.#memory };
    const dispatched = flow.hasIndirectTargets ? flow.dispatched : undefined;
    const toPlace = (): RegionToPlace =>
      this.#known.build(() => buildRegion(source), scanned, dispatched, mode);
    return { ...scanned, pages: code.pages, dispatched, isKnown: false, toPlace };
  }

  /** What a region needs of the processor's state. */
  #use({ code }: ScannedRegion, flow: ControlFlow, mode: number): StateUse {
    const use = new StateUse();
    const helpers = new Set<HelperName>();
    const note = ({ instructions, end }: RegionBlock): void => {
      for (const instruction of instructions) {
        if (instruction.interpreted) continue;
        this.#useOf(instruction.shape, instruction).addTo(use, helpers, this.#memory, instruction);
      }
      if (end.kind === "call" && end.body !== undefined) note(end.body);
    };
    for (const block of code.blocks.values()) note(block);
    // The kernel's functions may run with one bank and with another; a program's do not.
    use.tlbBank = (mode & MODE_USER) !== 0 && !use.changesTlbBank ? TLB_BANK_USER : 0;
    use.inlinesX87 = use.usesX87 && ![...helpers].some(keepsX87FromInlining) && (mode & MODE_X87_PLAIN) !== 0;
    const computesFloats = use.floatLanes.size > 0 || use.usesHostFloat || use.inlinesX87;
    use.staysInMemory = !computesFloats && !hasTightLoop(flow);
    return use;
  }

  /** Puts a function in place of the region's that leads on, and lets go of the module. */
  #vacate(handler: number): void {
    this.#host.handlers.set(handler, this.#host.run.vacant);
  }

  #takeHandler(): number {
    if (this.#dangling.length >= MOST_VACANT) {
      this.#places.unlinkAll();
      this.#freeHandlers.push(...this.#dangling);
      this.#dangling = [];
    }
    const free = this.#freeHandlers.pop();
    if (free !== undefined) return free;
    const handler = this.#host.shapes.reserveIds(1);
    this.#handlers.push(handler);
    return handler;
  }

  /** Compiles and installs regions together. */
  #compile(waiting: readonly Waiting[]): void {
    const { cache, pages, compile = (code) => new WebAssembly.Module(code) } = this.#host;
    const placed = waiting.map((one) => {
      const { built, kept } = one.region.toPlace();
      const places = this.#places.takePlaces(built.slots, built.cells.length);
      this.#prepare(one, built, places);
      return { name: nameOf(one.region), built, kept, places };
    });
    const bytes = buildRegionModule(placed, pages.shared);
    this.#bytesMade += bytes.length;
    this.#modules++;
    const module = compile(bytes, (this.#optimisedAfter(waiting) * bytes.length) / waiting.length);
    const exports = this.#instantiate(module);
    const regions = placed.map(({ built, kept, places }) => ({
      region: kept,
      ...places,
      slotBytes: built.slots * LINK_SLOT_BYTES,
      cellBytes: built.cells.length * REGION_CELL_BYTES,
    }));
    const added = cache?.addCompiled(bytes, module, regions);
    const compiled = placed.map(({ kept }, i) => {
      const known = kept?.compiled;
      return known !== undefined && known.module === added && known.index === i ? known : undefined;
    });
    // Of a module that nobody asks for again, the pool would keep what is never let go of.
    if (added !== undefined && compiled.some((one) => one !== undefined)) this.#pool.add(added, exports);
    for (const [i, one] of waiting.entries()) {
      const pooled = compiled[i] && this.#pool.take(compiled[i]);
      if (pooled !== undefined) this.#used.set(one.handler, pooled);
      this.#install(one, exports[`${i}`] as RegionFunction);
    }
  }

  #optimisedAfter(waiting: readonly Waiting[]): number {
    if (this.#host.cache?.keepsCode !== true) return OPTIMISED_AFTER;
    if (this.#host.learns === true || this.#known.runLasts) return OPTIMISED_SOON_AFTER;
    const known = waiting.filter(({ region }) => region.isKnown).length / waiting.length;
    return OPTIMISED_AFTER + (OPTIMISED_AGAIN_AFTER - OPTIMISED_AFTER) * known;
  }

  #instantiate(module: WebAssembly.Module): WebAssembly.Exports {
    const { memory, handlers, core, run } = this.#host;
    return new WebAssembly.Instance(module, { env: { memory, handlers }, core, run }).exports;
  }

  /** Puts into a region's cells what its code finds there. */
  #prepare(
    { region, tables }: Waiting,
    { slots, cells }: RegionToPlace["built"],
    places: CompiledPlaces,
  ): void {
    const { instructions } = region;
    const contents = cells.map((cell) => {
      const [kind, index] = [cell & ((1 << CELL_KIND_BITS) - 1), cell >> CELL_KIND_BITS];
      if (kind === CELL_PAGES) return tables.pages;
      if (kind === CELL_DISPATCH_TABLE) return tables.dispatchTable;
      const { firstRecord, record: at, shape } = instructions[index]!;
      if (kind === CELL_RECORD) return firstRecord;
      if (kind === CELL_HANDLER) return shape.id;
      return this.#memory.getInt32(
        at + (kind === CELL_IMMEDIATE ? record.IMMEDIATE : record.DISPLACEMENT),
        true,
      );
    });
    this.#places.prepare(places, slots, contents);
  }

  #useOf(shape: HandlerShape, instruction: RegionInstruction): ShapeUse {
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    const use = new ShapeUse(shape, instruction, this.#memory);
    this.#shapes.set(shape, use);
    return use;
  }
}

/** For profiles. */
function nameOf({ described, pages }: NewRegion): string {
  return `region_${pages[0]!.page.toString(16)}_${described[0]!.start.toString(16)}`;
}

/** A region that leaves at once costs more than it saves. */
function isWorthwhile({ code }: ScannedRegion): boolean {
  const entry = code.blocks.get(code.entry)!;
  const first = entry.instructions[0];
  return first !== undefined && (!first.interpreted || first.stepped || first.transfers);
}
