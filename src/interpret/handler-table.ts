import type { RestoredCode, SavedCode } from "../cpu/saved-code.ts";
import { isCalledByRegions } from "../cpu/stepped-instructions.ts";
import { FORMS } from "../decode/form-table.ts";
import { FIRST_SHAPE_HANDLER } from "../decode/record-writer.ts";
import { type HandlerShape, ShapeTable } from "../decode/shape.ts";
import { invariant } from "../layout/invariant.ts";
import * as record from "../layout/record.ts";
import type { Fusion } from "./block-decoder.ts";
import { buildHandlerModule } from "./handler-module.ts";
import { HotHandlers } from "./hot-handlers.ts";
import type { SavedHandlers } from "./interpreter-cache.ts";
import type { InterpreterParts } from "./interpreter-parts.ts";
import { buildRunModule } from "./run-module-builder.ts";

/** Rooms in the handler table; a machine meets a few thousand shapes at most. */
const TABLE_SIZE = 16384;
/** Fewer handlers are not worth a module of their own in the cache. */
const LEAST_NEW_SHAPES = 16;
/** A guest that uses more of what there is gets no more kept. */
const MOST_KEPT_SHAPES = 4000;
/** When there are more in the cache, they become one. */
const MOST_KEPT_MODULES = 8;

/** The functions that run records. */
export interface RunExports extends WebAssembly.Exports {
  run(pc: number): number;
  dispatch(): number;
  /** With a translator only. */
  vacant(): number;
}

/**
 * The functions that execute records: the loop with the handlers of the hot set in it, and a table of all others, which are
 * compiled when code that needs them is first decoded.
 */
export class HandlerTable {
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: TABLE_SIZE });
  readonly shapes: ShapeTable;
  readonly run: RunExports;
  /** What was given to be restored, if it is such as this version makes. */
  readonly restored: RestoredCode | undefined;
  readonly #parts: InterpreterParts;
  readonly #hotMark: number | undefined;
  readonly #hot: HotHandlers;
  readonly #available: ReadonlySet<string>;
  readonly #u16: Uint16Array;
  readonly #runModule: Uint8Array<ArrayBuffer>;
  /** What came from the cache. */
  readonly #kept: SavedHandlers | undefined;
  #compiled = 0;
  #modules = 0;

  /** @param hotMark Counts of a taken jump after which it leaves with EXIT_HOT. */
  constructor(parts: InterpreterParts, hotMark: number | undefined) {
    this.#parts = parts;
    this.#hotMark = hotMark;
    this.#u16 = new Uint16Array(parts.memory.buffer);
    this.#available = new Set(Object.keys(parts.core));
    const code = parts.code?.key === parts.codeKey ? parts.code : undefined;
    const kept = keptHandlers(parts, hotMark);
    const known: KnownHandlers | undefined = code === undefined ? kept : handlersOf(code, kept);
    const shapes = known === undefined ? undefined : restoreShapes(known);
    const usable = shapes === undefined ? undefined : known;
    this.restored = usable === undefined ? undefined : code;
    this.#kept = usable === undefined ? undefined : kept;
    this.shapes = shapes ?? new ShapeTable(FIRST_SHAPE_HANDLER);
    const { observe, pages } = parts;
    this.#hot = new HotHandlers(this.shapes, observe === undefined, usable?.inlineShapes);
    this.#runModule =
      usable?.runModule ??
      buildRunModule(this.#hot.inline, pages, this.#available, observe !== undefined, hotMark);
    const instance = new WebAssembly.Instance(this.#compileAgain(this.#runModule), {
      env: { memory: parts.memory, handlers: this.table, observe: (pc: number) => this.#observe(pc) },
      core: parts.core,
    });
    this.run = instance.exports as RunExports;
    parts.cache?.saveAtEnd(() => this.#saveHandlers());
    if (usable === undefined) return;
    for (const module of usable.handlerModules) this.#instantiate(this.#compileAgain(module));
    this.#compiled = usable.compiledShapes ?? this.shapes.shapes.length;
    this.compilePending();
  }

  /** Modules of handlers that have been compiled. */
  get modules(): number {
    return this.#modules;
  }

  get fusion(): Fusion {
    return this.#hot;
  }

  /** For a snapshot: what `restored` gives again. */
  save(): Pick<SavedCode, "shapes" | "inlineShapes" | "nextHandler" | "runModule" | "handlerModule"> {
    const called = this.shapes.shapes.filter((shape) => this.#isInTable(shape));
    return {
      shapes: this.shapes.save(),
      inlineShapes: this.#hot.inlineShapes,
      nextHandler: this.shapes.nextId,
      runModule: this.#runModule,
      handlerModule: buildHandlerModule(called, this.#parts.pages, this.#available, this.#hotMark),
    };
  }

  /** For the cache: all handlers, if this run has needed some that it does not have. */
  #saveHandlers(): SavedHandlers | undefined {
    const { codeKey, pages } = this.#parts;
    if (codeKey === undefined || this.restored !== undefined) return undefined;
    const all = this.shapes.shapes;
    const known = (this.#kept?.shapes.length ?? 0) / 2;
    if (all.length - known < LEAST_NEW_SHAPES || all.length > MOST_KEPT_SHAPES) return undefined;
    const modules = this.#kept?.handlerModules ?? [];
    const merges = modules.length >= MOST_KEPT_MODULES;
    const shapes = all.slice(merges ? 0 : known).filter((shape) => this.#isInTable(shape));
    const added = buildHandlerModule(shapes, pages, this.#available, this.#hotMark);
    return {
      key: keyOfHandlers(codeKey, this.#hotMark),
      shapes: this.shapes.save(),
      inlineShapes: this.#hot.inlineShapes,
      // Numbers behind belong to regions.
      nextHandler: Math.max(all.at(-1)!.id + 1, this.#hot.end),
      runModule: this.#runModule,
      handlerModules: merges ? [added] : [...modules, added],
    };
  }

  /** Compiles handlers for the shapes that decoding has added. */
  compilePending(): void {
    const all = this.shapes.shapes;
    if (this.#compiled === all.length) return;
    const pending = all.slice(this.#compiled).filter((shape) => this.#isInTable(shape));
    this.#compiled = all.length;
    if (pending.length === 0) return;
    invariant(this.shapes.nextId <= TABLE_SIZE, "the handler table has room for every shape");
    const meter = this.#parts.meter;
    meter?.enter(meter.kind("translation/handlers of the interpreter"));
    const module = buildHandlerModule(pending, this.#parts.pages, this.#available, this.#hotMark);
    this.#instantiate(new WebAssembly.Module(module));
    meter?.leave();
  }

  /** Whether a shape's handler is called, by the loop or by regions. */
  #isInTable(shape: HandlerShape): boolean {
    return (
      !this.#hot.isInline(shape.id) ||
      (this.#parts.createTranslator !== undefined && isCalledByRegions(shape))
    );
  }

  /** Compiles a module that other runs have too. */
  #compileAgain(wireBytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
    return this.#parts.cache?.compile(wireBytes) ?? new WebAssembly.Module(wireBytes);
  }

  /** Puts handlers into the table. */
  #instantiate(module: WebAssembly.Module): void {
    new WebAssembly.Instance(module, {
      env: { memory: this.#parts.memory, handlers: this.table },
      core: this.#parts.core,
      run: this.run,
    });
    this.#modules++;
  }

  #observe(pc: number): void {
    const shape = this.shapes.at(this.#u16[(pc + record.HANDLER) >> 1]!);
    if (shape !== undefined) this.#parts.observe?.(shape);
  }
}

function keptHandlers(
  { cache, codeKey }: InterpreterParts,
  hotMark: number | undefined,
): SavedHandlers | undefined {
  return codeKey === undefined ? undefined : cache?.handlers(keyOfHandlers(codeKey, hotMark));
}

const keyOfHandlers = (codeKey: string, hotMark: number | undefined): string => `${codeKey} ${hotMark}`;

/** What a machine begins with. */
type KnownHandlers = Omit<SavedHandlers, "key"> & {
  /** How many of the shapes are in the modules; all when absent. */
  readonly compiledShapes?: number;
};

/**
 * The handlers that saved code needs. A machine that began with the cache's has those with the same numbers: then the cache's modules are
 * taken, for which there is machine code, unless building what they lack takes longer than that saves.
 */
function handlersOf(code: RestoredCode, kept: SavedHandlers | undefined): KnownHandlers {
  const alone = { ...code, handlerModules: [code.handlerModule] };
  if (kept === undefined || kept.inlineShapes !== code.inlineShapes) return alone;
  const common = Math.min(code.shapes.length, kept.shapes.length);
  for (let i = 0; i < common; i++) if (code.shapes[i] !== kept.shapes[i]) return alone;
  if (code.shapes.length / 2 - kept.shapes.length / 2 >= LEAST_NEW_SHAPES) return alone;
  const { shapes, nextHandler } = code.shapes.length > common ? code : kept;
  return { ...kept, shapes, nextHandler, compiledShapes: kept.shapes.length / 2 };
}

/** The table that was saved; undefined where it is not such as this version makes. */
function restoreShapes({
  nextHandler,
  inlineShapes,
  shapes: rows,
}: Pick<SavedCode, "nextHandler" | "inlineShapes" | "shapes">): ShapeTable | undefined {
  if (!(nextHandler <= TABLE_SIZE && inlineShapes * 2 <= rows.length)) return undefined;
  const shapes = new ShapeTable(FIRST_SHAPE_HANDLER);
  try {
    shapes.restore(rows, nextHandler, FORMS);
    return shapes;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
