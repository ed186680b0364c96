import type { RestoredCode, SavedCode } from "../cpu/saved-code.ts";
import { isCalledByRegions } from "../cpu/stepped-instructions.ts";
import { FORMS } from "../decode/form-table.ts";
import { FIRST_SHAPE_HANDLER } from "../decode/record-writer.ts";
import { type HandlerShape, ShapeTable } from "../decode/shape.ts";
import { invariant } from "../layout/invariant.ts";
import * as record from "../layout/record.ts";
import type { Fusion } from "./block-cache.ts";
import { buildHandlerModule } from "./handler-module.ts";
import { HotHandlers } from "./hot-handlers.ts";
import type { InterpreterParts } from "./interpreter-parts.ts";
import { buildRunModule } from "./run-module-builder.ts";

/** Rooms in the handler table; a machine meets a few thousand shapes at most. */
const TABLE_SIZE = 16384;

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
  #compiled = 0;
  #modules = 0;

  /** @param hotMark Counts of a taken jump after which it leaves with EXIT_HOT. */
  constructor(parts: InterpreterParts, hotMark: number | undefined) {
    this.#parts = parts;
    this.#hotMark = hotMark;
    this.#u16 = new Uint16Array(parts.memory.buffer);
    this.#available = new Set(Object.keys(parts.core));
    const restored = parts.code?.key === parts.codeKey ? restoreShapes(parts.code) : undefined;
    const code = restored === undefined ? undefined : parts.code;
    this.restored = code;
    this.shapes = restored ?? new ShapeTable(FIRST_SHAPE_HANDLER);
    const { observe, pages } = parts;
    this.#hot = new HotHandlers(this.shapes, observe === undefined, code?.inlineShapes);
    this.#runModule =
      code?.runModule ??
      buildRunModule(this.#hot.inline, pages, this.#available, observe !== undefined, hotMark);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(this.#runModule), {
      env: { memory: parts.memory, handlers: this.table, observe: (pc: number) => this.#observe(pc) },
      core: parts.core,
    });
    this.run = instance.exports as RunExports;
    if (code === undefined) return;
    this.#instantiate(code.handlerModule);
    this.#compiled = this.shapes.shapes.length;
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
    this.#instantiate(buildHandlerModule(pending, this.#parts.pages, this.#available, this.#hotMark));
    meter?.leave();
  }

  /** Whether a shape's handler is called, by the loop or by regions. */
  #isInTable(shape: HandlerShape): boolean {
    return (
      !this.#hot.isInline(shape.id) ||
      (this.#parts.createTranslator !== undefined && isCalledByRegions(shape))
    );
  }

  /** Puts handlers into the table. */
  #instantiate(module: Uint8Array<ArrayBuffer>): void {
    new WebAssembly.Instance(new WebAssembly.Module(module), {
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

/** The table that saved code was made with; undefined where it is not such as this version makes. */
function restoreShapes(code: RestoredCode | undefined): ShapeTable | undefined {
  if (code === undefined || !(code.nextHandler <= TABLE_SIZE && code.inlineShapes * 2 <= code.shapes.length))
    return undefined;
  const shapes = new ShapeTable(FIRST_SHAPE_HANDLER);
  try {
    shapes.restore(code.shapes, code.nextHandler, FORMS);
    return shapes;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
