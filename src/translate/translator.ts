import type { HotPlace, RegionTranslator, TranslatorHost } from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";
import { helperType } from "../lower/helper-type.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import { ControlFlow } from "./control-flow.ts";
import { REGION_TYPE } from "./region-builder.ts";
import type { RegionInstruction, RegionPage } from "./region-code.ts";
import { RegionMemory } from "./region-memory.ts";
import { buildRegionModule, type RegionSource } from "./region-module.ts";
import { isRegisterFree, RegionRecord } from "./region-record.ts";
import { RegionScanner, type ScannedRegion } from "./region-scanner.ts";
import { RegionState, StateUse } from "./region-state.ts";

/** Live regions; when there are more, all code is forgotten and the hot part of it comes back. */
const MOST_REGIONS = 6000;

/** Translates hot code into regions: WebAssembly functions that the interpreter runs like handlers. */
export class Translator implements RegionTranslator {
  readonly #host: TranslatorHost;
  readonly #scanner: RegionScanner;
  readonly #places: RegionMemory;
  readonly #memory: DataView;
  readonly #translatable = new Map<HandlerShape, boolean>();
  readonly #freeHandlers: number[] = [];
  readonly #handlers: number[] = [];
  /** Pages of the live regions that lie on several, by handler. */
  readonly #pages = new Map<number, readonly RegionPage[]>();
  /** Some handler is vacant that link slots may still name. */
  #hasDangling = false;
  #live = 0;
  #made = 0;
  #instructions = 0;
  #bytes = 0;
  #refused = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#memory = new DataView(host.memory.buffer);
    this.#places = new RegionMemory(host.memory.buffer, host.regions);
    this.#scanner = new RegionScanner(host, (shape, instruction) => this.#isTranslatable(shape, instruction));
  }

  get statistics(): Readonly<Record<string, number>> {
    return {
      regionsMade: this.#made,
      regionsLive: this.#live,
      regionInstructions: this.#instructions,
      regionBytes: this.#bytes,
      regionsRefused: this.#refused,
    };
  }

  translate(place: HotPlace): void {
    const { regions } = this.#host;
    if (regions.hasRegion(place.page, place.offset)) return;
    if (this.#live >= MOST_REGIONS || this.#places.isFull) regions.flushAll();
    const source = this.#prepare(place);
    if (source === undefined) {
      this.#refused++;
      return;
    }
    this.#compile(source);
    const { handler } = source.places;
    const { scanned } = source;
    this.#live++;
    this.#made++;
    this.#instructions += scanned.instructions;
    if (scanned.code.pages.length > 1) this.#pages.set(handler, scanned.code.pages);
    regions.installRegion(handler, scanned.ranges);
  }

  regionDropped(handler: number): void {
    this.#live--;
    this.#free(handler);
  }

  allRegionsDropped(): void {
    this.#freeHandlers.length = 0;
    for (const handler of this.#handlers) this.#free(handler);
    this.#live = 0;
    this.#places.forgetAll();
  }

  #prepare(place: HotPlace): RegionSource | undefined {
    const scanned = this.#scanner.scan(place);
    if (scanned === undefined || !isWorthwhile(scanned)) return undefined;
    const flow = new ControlFlow(scanned.code);
    const handler = this.#takeHandler();
    const places = this.#places.placesFor(handler, flow);
    if (places === undefined) {
      this.#freeHandlers.push(handler);
      return undefined;
    }
    const name = `region_${place.page.toString(16)}_${place.offset.toString(16)}`;
    return { name, scanned, flow, places };
  }

  /** Puts a function in place of the region's that leads on, and lets go of the module. */
  #free(handler: number): void {
    this.#host.handlers.set(handler, this.#host.run.vacant);
    this.#pages.delete(handler);
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

  #compile(source: RegionSource): void {
    const host = this.#host;
    const bytes = buildRegionModule([source], host);
    this.#bytes += bytes.length;
    new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: {
        memory: host.memory,
        handlers: host.handlers,
        validate: (handler: number) => (this.#validate(handler, source.places.validation) ? 1 : 0),
      },
      core: host.core,
      run: host.run,
    });
  }

  /** Whether the pages of a region are where they were when it was made; noted in its slot for this address space. */
  #validate(handler: number, slot: number): boolean {
    const pages = this.#pages.get(handler);
    if (pages === undefined) return false;
    for (const { delta, page } of pages) if (this.#host.pageAt(delta) !== page) return false;
    this.#memory.setBigInt64(slot, this.#host.entryTag(), true);
    return true;
  }

  /** Whether an instruction needs nothing but registers, memory and helpers that leave registers alone. Found out by trying. */
  #isTranslatable(shape: HandlerShape, instruction: RegionInstruction): boolean {
    const known = this.#translatable.get(shape);
    if (known !== undefined) return known;
    // ENTER stores several times and loads in between: it cannot begin anew after a part.
    let translatable = shape.instruction.mnemonic !== "enter";
    const b = new FunctionBuilder(REGION_TYPE);
    const use = new StateUse();
    const nothing = (): void => {};
    const context = new RegionRecord({
      b,
      memory: this.#memory,
      instruction,
      state: new RegionState(b, use, undefined),
      use,
      exits: { resume: nothing, status: nothing, jumpTo: nothing, takeJump: nothing },
      helper: (name) => {
        if (!isRegisterFree(name)) translatable = false;
        return { index: 0, name, type: helperType(name) };
      },
    });
    buildRecord(context, shape, new FlagState(context, new VectorValues(b)));
    this.#translatable.set(shape, translatable);
    return translatable;
  }
}

/** A region that leaves at once costs more than it saves. */
function isWorthwhile({ code }: ScannedRegion): boolean {
  const entry = code.blocks.get(code.entry)!;
  return entry.instructions.length > 0 && !entry.instructions[0]!.interpreted;
}
