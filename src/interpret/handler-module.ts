import type { HandlerShape } from "../decode/shape.ts";
import { HELPERS, type HelperName } from "../isa/helpers.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import { buildRecord } from "../lower/build-record.ts";
import { helperType } from "../lower/helper-type.ts";
import { type Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import { type FunctionRef, ModuleWriter } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import { InterpretedRecord } from "./interpreted-record.ts";
import { type HandlerContext, SHARED_FUNCTIONS, type SharedFunction } from "./shared-functions.ts";

export const HANDLER_TYPE: FunctionType = { params: ["i32"], results: ["i32"] };

/** 64 KiB pages of the one memory. */
export interface MemoryPages {
  readonly initialPages: number;
  readonly maximumPages: number;
  readonly shared: boolean;
}

/** The functions that a module of handlers may import, and which of them it does. */
export interface Imports {
  helper(name: HelperName): FunctionRef;
  shared(name: SharedFunction): FunctionRef;
}

/** Imports every helper and shared function: simple, and cheap beside compiling. */
export function importEverything(module: ModuleWriter, available: ReadonlySet<string>): Imports {
  const helpers = new Map<string, FunctionRef>();
  for (const name of Object.keys(HELPERS) as HelperName[]) {
    if (available.has(name)) helpers.set(name, module.importFunction("core", name, helperType(name)));
  }
  const shared = new Map<string, FunctionRef>();
  for (const [name, type] of Object.entries(SHARED_FUNCTIONS))
    shared.set(name, module.importFunction("run", name, type));
  const get = (map: Map<string, FunctionRef>, name: string): FunctionRef => {
    const ref = map.get(name);
    if (ref === undefined) throw new Error(`internal error (please report): no function ${name} in src/core`);
    return ref;
  };
  return { helper: (name) => get(helpers, name), shared: (name) => get(shared, name) };
}

/** A handler as a function of its own: record in, next record or 0 out. */
export function buildHandlerFunction(
  shape: HandlerShape,
  imports: Imports,
  hotCount: number | undefined,
): FunctionBuilder {
  const b = new FunctionBuilder(HANDLER_TYPE);
  const pc = b.parameter(0);
  const next = (bytes: number) => b.return(b.op("i32.add", pc, b.i32(bytes)));
  const leave = (record: Expr) => b.return(record);
  const context: HandlerContext = { b, pc, ...imports, hotCount, next, goTo: leave, leave };
  if (buildRecord(new InterpretedRecord(context, shape, 0), shape).left) b.unreachable();
  else next(RECORD_BYTES);
  return b;
}

/** Builds a module with one function for each shape, put into the handler table at the shapes' ids. */
export function buildHandlerModule(
  shapes: readonly HandlerShape[],
  pages: MemoryPages,
  available: ReadonlySet<string>,
  hotCount: number | undefined,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", pages);
  const table = module.importTable("env", "handlers", { initial: 0 });
  const imports = importEverything(module, available);
  for (const shape of shapes) {
    const ref = module.declareFunction(shape.name, HANDLER_TYPE);
    module.defineFunction(ref, buildHandlerFunction(shape, imports, hotCount));
    module.addElements(table, shape.id, [ref]);
  }
  return module.finish();
}
