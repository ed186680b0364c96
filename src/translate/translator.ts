import type { RegionTranslator, TranslatorHost } from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";
import { helperType } from "../lower/helper-type.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import { type FunctionRef, ModuleWriter } from "../wasm/module-writer.ts";
import { DISPATCH_TYPE, LEAVE_STATUS_TYPE, Region } from "./region-builder.ts";
import type { RegionInstruction } from "./region-code.ts";
import { isRegisterFree, RegionRecord } from "./region-record.ts";
import { RegionScanner, type ScannedRegion } from "./region-scanner.ts";
import { RegionState, StateUse } from "./region-state.ts";

const HANDLER_TYPE = { params: ["i32"], results: ["i32"] } as const;
/** Live regions; when there are more, all code is forgotten and the hot part of it comes back. */
const MOST_REGIONS = 6000;

/** Translates hot code into regions: WebAssembly functions that the interpreter runs like handlers. */
export class Translator implements RegionTranslator {
  readonly #host: TranslatorHost;
  readonly #scanner: RegionScanner;
  readonly #memory: DataView;
  readonly #translatable = new Map<HandlerShape, boolean>();
  readonly #freeHandlers: number[] = [];
  readonly #handlers: number[] = [];
  #live = 0;
  #made = 0;
  #instructions = 0;
  #bytes = 0;
  #refused = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#memory = new DataView(host.memory.buffer);
    this.#scanner = new RegionScanner(host.memory.buffer, host.shapes, host.regions, (shape, instruction) =>
      this.#isTranslatable(shape, instruction),
    );
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

  translate(page: number, offset: number): void {
    if (this.#host.regions.hasRegion(page, offset)) return;
    if (this.#live >= MOST_REGIONS) this.#host.regions.flushAll();
    const region = this.#scanner.scan(page, offset);
    if (region === undefined || !isWorthwhile(region)) {
      this.#refused++;
      return;
    }
    const handler = this.#freeHandlers.pop() ?? this.#newHandler();
    this.#compile(region, handler, `region_${page.toString(16)}_${offset.toString(16)}`);
    this.#live++;
    this.#made++;
    this.#instructions += region.instructions;
    this.#host.regions.installRegion(page, offset, handler, region.ranges);
  }

  regionDropped(handler: number): void {
    this.#live--;
    this.#free(handler);
  }

  allRegionsDropped(): void {
    this.#freeHandlers.length = 0;
    for (const handler of this.#handlers) this.#free(handler);
    this.#live = 0;
  }

  /** Lets go of the handler's function, so that its module can be collected. */
  #free(handler: number): void {
    this.#host.handlers.set(handler, null);
    this.#freeHandlers.push(handler);
  }

  #newHandler(): number {
    const handler = this.#host.shapes.reserveIds(1);
    this.#handlers.push(handler);
    return handler;
  }

  #compile(scanned: ScannedRegion, handler: number, name: string): void {
    const host = this.#host;
    const module = new ModuleWriter();
    module.importMemory("env", "memory", host.pages);
    const table = module.importTable("env", "handlers", { initial: 0 });
    const region = new Region(scanned.code, this.#memory);
    const helpers = new Map<string, FunctionRef>();
    for (const helper of region.helpers)
      helpers.set(helper, module.importFunction("core", helper, helperType(helper)));
    const dispatch = module.importFunction("run", "dispatch", DISPATCH_TYPE);
    const leaveStatus = module.importFunction("run", "leaveStatus", LEAVE_STATUS_TYPE);
    const ref = module.declareFunction(name, HANDLER_TYPE);
    module.defineFunction(
      ref,
      region.build({ helper: (helper) => helpers.get(helper)!, dispatch, leaveStatus }),
    );
    module.addElements(table, handler, [ref]);
    const bytes = module.finish();
    this.#bytes += bytes.length;
    new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: host.memory, handlers: host.handlers },
      core: host.core,
      run: host.run,
    });
  }

  /** Whether an instruction needs nothing but registers, memory and helpers that leave registers alone. Found out by trying. */
  #isTranslatable(shape: HandlerShape, instruction: RegionInstruction): boolean {
    const known = this.#translatable.get(shape);
    if (known !== undefined) return known;
    // ENTER stores several times and loads in between: it cannot begin anew after a part.
    let translatable = shape.instruction.mnemonic !== "enter";
    const b = new FunctionBuilder(HANDLER_TYPE);
    const state = new RegionState(b, new StateUse(), undefined);
    const nothing = (): void => {};
    const context = new RegionRecord({
      b,
      memory: this.#memory,
      instruction,
      state,
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
