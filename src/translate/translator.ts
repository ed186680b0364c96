import type { CodeTicket, HotPlace, RegionTranslator, TranslatorHost } from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import { TLB_BASE, X87_FCW } from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE, LINK_SLOT_BYTES, TLB_BANK_USER } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { type BuiltRegion, buildRegion, type RegionSource } from "./built-region.ts";
import {
  type CachedRegion,
  codeAt,
  decodeRegion,
  encodeRegion,
  findAddresses,
  isSameCode,
  isSameRegion,
  regionKey,
} from "./cached-region.ts";
import { ControlFlow } from "./control-flow.ts";
import type { Position, RegionBlock, RegionInstruction } from "./region-code.ts";
import { RegionMemory, type RegionPlaces } from "./region-memory.ts";
import { buildRegionModule, type ModuleRegion } from "./region-module.ts";
import { keepsX87FromInlining } from "./region-record.ts";
import { RegionScanner, type ScannedRegion } from "./region-scanner.ts";
import { isControlPlain, StateUse } from "./region-state.ts";
import {
  SYMBOL_DISPATCH_TABLE,
  SYMBOL_DISPLACEMENT,
  SYMBOL_HANDLER,
  SYMBOL_IMMEDIATE,
  SYMBOL_PAGES,
  SYMBOL_RECORD,
} from "./region-symbols.ts";
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
/** With a cache: share of the time that may go into building regions of code that is only warm. */
const STUDY_SHARE = 0.05;
/** What is put by of that for later, in ms: a guest that has idled for long is not to be slow then. */
const MOST_STUDY_MS = 200;
/** Runs of the engine after which regions are compiled that wait for others. */
const BATCH_RUNS = 64;

type RegionFunction = (caller: number) => number;

/** Modes in which the same code becomes another region: a program's page tables, and the usual x87 control word. */
const MODE_USER = 1;
const MODE_X87_PLAIN = 2;

/** A region that waits to be compiled. */
interface Waiting {
  readonly name: string;
  readonly handler: number;
  readonly scanned: ScannedRegion;
  readonly places: RegionPlaces;
  readonly ticket: CodeTicket;
  built(): CachedRegion["built"];
}

/** A region that has no place yet. */
interface NewRegion {
  readonly scanned: ScannedRegion;
  /** The blocks that indirect jumps go to by number; undefined when it has none. */
  readonly dispatched: readonly Position[] | undefined;
  built(): CachedRegion["built"];
}

/** Translates hot code into regions: WebAssembly functions that the interpreter runs like handlers. */
export class Translator implements RegionTranslator {
  readonly #host: TranslatorHost;
  readonly #scanner: RegionScanner;
  readonly #places: RegionMemory;
  readonly #memory: DataView;
  readonly #bytes: Uint8Array;
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
  #bytesMade = 0;
  #refused = 0;
  #cached = 0;
  /** What is left for code that is only warm, in ms, as of a time. Below zero where what is hot has taken more. */
  #studyMs = 0;
  #studyAtMs: number;
  /** What was asked for last, and is going to be translated. */
  #known: { readonly page: number; readonly cached: CachedRegion } | undefined;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#studyAtMs = this.#nowMs();
    this.#memory = new DataView(host.memory.buffer);
    this.#bytes = new Uint8Array(host.memory.buffer);
    this.#places = new RegionMemory(host.memory.buffer, host.regions);
    this.#scanner = new RegionScanner(
      host,
      (shape, instruction) => this.#useOf(shape, instruction).isTranslatable,
    );
  }

  get statistics(): Readonly<Record<string, number>> {
    return {
      regionsMade: this.#made,
      regionsFromCache: this.#cached,
      regionsLive: this.#live,
      regionModules: this.#modules,
      regionInstructions: this.#instructions,
      regionBytes: this.#bytesMade,
      regionsRefused: this.#refused,
    };
  }

  wants(place: HotPlace): boolean {
    const cached = this.#findCached(place, this.#mode());
    this.#known = cached === undefined ? undefined : { page: place.page, cached };
    return cached !== undefined || this.#hasTimeToStudy();
  }

  #hasTimeToStudy(): boolean {
    const now = this.#nowMs();
    this.#studyMs = Math.min(MOST_STUDY_MS, this.#studyMs + STUDY_SHARE * (now - this.#studyAtMs));
    this.#studyAtMs = now;
    return this.#studyMs > 0;
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
    const { scanned, dispatched, built } = region;
    const places = this.#places.placesFor(dispatched, scanned.code.pages);
    if (places === undefined) {
      this.#refused++;
      return;
    }
    const handler = this.#takeHandler();
    const ticket = regions.expectRegion(handler, scanned.ranges);
    this.#live++;
    const name = `region_${place.page.toString(16)}_${place.offset.toString(16)}`;
    this.#waiting.push({ name, handler, scanned, places, ticket, built });
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
    const functions = this.#compile(ready);
    for (const [i, { handler, scanned, ticket }] of ready.entries()) {
      this.#host.handlers.set(handler, functions[i]!);
      this.#made++;
      this.#instructions += scanned.instructions.length;
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

  #mode(): number {
    const isUser = this.#memory.getInt32(CPU_STATE + TLB_BASE, true) === TLB_BANK_USER;
    const isPlain = isControlPlain(this.#memory.getInt32(CPU_STATE + X87_FCW, true));
    return (isUser ? MODE_USER : 0) | (isPlain ? MODE_X87_PLAIN : 0);
  }

  #nowMs(): number {
    return this.#host.cache?.nowMs() ?? 0;
  }

  /** What the cache has of the code at a place. */
  #findCached(place: HotPlace, mode: number): CachedRegion | undefined {
    const { cache } = this.#host;
    if (cache === undefined) return undefined;
    const pageAt = (delta: number): number | undefined =>
      delta === 0 ? place.page : this.#host.pageAt(delta);
    for (const bytes of cache.find(regionKey(this.#bytes, place.page, place.offset, mode))) {
      const cached = decodeRegion(bytes);
      if (cached.offset !== place.offset || cached.mode !== mode) continue;
      if (!cached.choice.deltas.every((delta) => pageAt(delta) !== undefined)) continue;
      const code = codeAt(this.#bytes, cached.spans, pageAt);
      if (code !== undefined && isSameCode(cached, code)) return cached;
    }
    return undefined;
  }

  /** A region of which the cache has what it is built to. */
  #fromCache(place: HotPlace, mode: number): NewRegion | undefined {
    const known = this.#known;
    this.#known = undefined;
    const isKnown = known?.page === place.page && known.cached.offset === place.offset;
    const cached = isKnown ? known.cached : this.#findCached(place, mode);
    if (cached === undefined) return undefined;
    const scanned = this.#scanner.scan(place, cached.choice);
    if (scanned === undefined || !isSameRegion(cached, scanned)) return undefined;
    this.#cached++;
    return { scanned, dispatched: cached.dispatched, built: () => cached.built };
  }

  #fresh(place: HotPlace, mode: number): NewRegion | undefined {
    const scanned = this.#scanner.scan(place);
    if (scanned === undefined || !isWorthwhile(scanned)) return undefined;
    const { code } = scanned;
    const flow = new ControlFlow(code);
    const source = { code, flow, use: this.#use(scanned, flow, mode), memory: this.#memory };
    const dispatched = flow.hasIndirectTargets ? flow.dispatched : undefined;
    return { scanned, dispatched, built: () => this.#build(source, scanned, dispatched, mode) };
  }

  #build(
    source: RegionSource,
    scanned: ScannedRegion,
    dispatched: CachedRegion["dispatched"],
    mode: number,
  ): BuiltRegion {
    const began = this.#nowMs();
    const built = buildRegion(source);
    this.#studyMs -= this.#nowMs() - began;
    const { cache } = this.#host;
    if (cache === undefined) return built;
    const { choice, spans } = scanned;
    const { entry: offset, pages } = scanned.code;
    const pageAt = (wanted: number): number | undefined => pages.find(({ delta }) => delta === wanted)?.page;
    const guestCode = codeAt(this.#bytes, spans, pageAt);
    invariant(guestCode !== undefined, "a region lies on its pages");
    const addresses = findAddresses(guestCode, scanned, built.addresses);
    for (const at of addresses) guestCode.fill(0, at, at + 4);
    const region = { offset, mode, choice, spans, addresses, guestCode, dispatched, built };
    cache.add(regionKey(this.#bytes, pages[0]!.page, offset, mode), encodeRegion(region));
    return built;
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

  #compile(waiting: readonly Waiting[]): RegionFunction[] {
    const host = this.#host;
    const bytes = buildRegionModule(
      waiting.map((region) => this.#placed(region)),
      host.pages,
    );
    this.#bytesMade += bytes.length;
    this.#modules++;
    const { compile = (code) => new WebAssembly.Module(code) } = host;
    const module = compile(bytes, (OPTIMISED_AFTER * bytes.length) / waiting.length);
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory: host.memory, handlers: host.handlers },
      core: host.core,
      run: host.run,
    });
    return waiting.map((_, i) => exports[`${i}`] as RegionFunction);
  }

  /** A region with its place in memory. */
  #placed({ name, scanned, places, ...region }: Waiting): ModuleRegion {
    const built = region.built();
    const slots = this.#places.takeSlots(built.slots);
    const { instructions } = scanned;
    const placeOf = (kind: number, index: number): number => {
      if (kind === SYMBOL_RECORD) return instructions[index]!.firstRecord;
      if (kind === SYMBOL_HANDLER) return instructions[index]!.shape.id;
      if (kind === SYMBOL_IMMEDIATE)
        return this.#memory.getInt32(instructions[index]!.record + record.IMMEDIATE, true);
      if (kind === SYMBOL_DISPLACEMENT)
        return this.#memory.getInt32(instructions[index]!.record + record.DISPLACEMENT, true);
      if (kind === SYMBOL_PAGES) return places.pages;
      if (kind === SYMBOL_DISPATCH_TABLE) return places.dispatchTable;
      return slots + index * LINK_SLOT_BYTES;
    };
    return { name, built, placeOf };
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
