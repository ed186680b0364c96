import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import { invariant } from "../layout/invariant.ts";
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

/** Imports what is asked for, when it is first asked for. The module may not declare functions before that. */
function importOnDemand(module: ModuleWriter, available: ReadonlySet<string>): Imports {
  const imported = new Map<string, FunctionRef>();
  const get = (from: "core" | "run", name: string, type: FunctionType): FunctionRef => {
    const known = imported.get(name);
    if (known !== undefined) return known;
    const ref = module.importFunction(from, name, type);
    imported.set(name, ref);
    return ref;
  };
  return {
    helper: (name) => {
      invariant(available.has(name), `src/core has a function ${name}`);
      return get("core", name, helperType(name));
    },
    shared: (name) => get("run", name, SHARED_FUNCTIONS[name]),
  };
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
  const imports = importOnDemand(module, available);
  const handlers = shapes.map((shape) => ({ shape, code: buildHandlerFunction(shape, imports, hotCount) }));
  for (const { shape, code } of handlers) {
    const ref = module.declareFunction(shape.name, HANDLER_TYPE);
    module.defineFunction(ref, code);
    module.addElements(table, shape.id, [ref]);
  }
  return module.finish();
}
