import { expect, test } from "vitest";
import { FunctionBuilder } from "./function-builder.ts";
import { type FunctionRef, type FunctionType, ModuleWriter } from "./module-writer.ts";

const UNARY: FunctionType = { params: ["i32"], results: ["i32"] };
const BINARY: FunctionType = { params: ["i32", "i32"], results: ["i32"] };

function define(module: ModuleWriter, ref: FunctionRef, build: (f: FunctionBuilder) => void): void {
  const f = new FunctionBuilder(ref.type);
  build(f);
  module.defineFunction(ref, f);
}

// biome-ignore lint/suspicious/noExplicitAny: an export is whatever the test built.
function instantiate(module: ModuleWriter, imports: WebAssembly.Imports = {}): Record<string, any> {
  return new WebAssembly.Instance(new WebAssembly.Module(module.finish()), imports).exports;
}

test("a shared memory is imported and written", () => {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", { initialPages: 1, maximumPages: 10, shared: true });
  const ref = module.declareFunction("f", { params: ["i64"], results: [] });
  define(module, ref, (f) => f.store("i64.store", f.i32(16), f.parameter(0)));
  module.exportFunction("f", ref);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 10, shared: true });
  instantiate(module, { env: { memory } })["f"](-5n);
  expect(new BigInt64Array(memory.buffer)[2]).toBe(-5n);
});

test("a shared memory without a maximum is refused", () => {
  expect(() => new ModuleWriter().importMemory("env", "memory", { initialPages: 1, shared: true })).toThrow(
    TypeError,
  );
});

test("functions call each other before both are defined", () => {
  const module = new ModuleWriter();
  const isEven = module.declareFunction("isEven", UNARY);
  const isOdd = module.declareFunction("isOdd", UNARY);
  define(module, isEven, (f) => {
    f.if(f.op("i32.eqz", f.parameter(0)), () => f.return(f.i32(1)));
    f.returnCall(isOdd, f.op("i32.sub", f.parameter(0), f.i32(1)));
  });
  define(module, isOdd, (f) => {
    f.if(f.op("i32.eqz", f.parameter(0)), () => f.return(f.i32(0)));
    f.returnCall(isEven, f.op("i32.sub", f.parameter(0), f.i32(1)));
  });
  module.exportFunction("isEven", isEven);
  // Tail calls leave no frames behind, or a million of them would overflow the stack.
  expect(instantiate(module)["isEven"](1_000_001)).toBe(0);
});

test("imported functions and globals are used", () => {
  const module = new ModuleWriter();
  const host = module.importFunction("env", "host", BINARY);
  const base = module.importGlobal("env", "base", "i32");
  const ref = module.declareFunction("f", UNARY);
  define(module, ref, (f) => {
    const result = f.call(host, f.parameter(0), f.global(base));
    f.return(f.op("i32.add", result!, f.i32(1)));
  });
  module.exportFunction("f", ref);
  const env = { host: (a: number, b: number) => a * b, base: 7 };
  expect(instantiate(module, { env })["f"](6)).toBe(43);
});

test("a function returns several results", () => {
  const module = new ModuleWriter();
  const pair = module.declareFunction("pair", { params: ["i32"], results: ["i32", "i64"] });
  define(module, pair, (f) => f.return(f.op("i32.add", f.parameter(0), f.i32(1)), f.i64(10n)));
  const ref = module.declareFunction("f", UNARY);
  define(module, ref, (f) => {
    const [first, second] = f.callMulti(pair, f.parameter(0));
    f.return(f.op("i32.sub", f.op("i32.wrap_i64", second!), first!));
  });
  module.exportFunction("f", ref);
  expect(instantiate(module)["f"](3)).toBe(6);
});

test("functions are called through an imported table and through an added one", () => {
  const module = new ModuleWriter();
  const imported = module.importTable("env", "table", { initial: 10 });
  const added = module.addTable({ initial: 4, maximum: 4 });
  const double = module.declareFunction("double", UNARY);
  define(module, double, (f) => f.return(f.op("i32.shl", f.parameter(0), f.i32(1))));
  const negate = module.declareFunction("negate", UNARY);
  define(module, negate, (f) => f.return(f.op("i32.sub", f.i32(0), f.parameter(0))));
  module.addElements(imported, 5, [double]);
  module.addElements(added, 2, [negate, double]);
  const through = module.declareFunction("through", BINARY);
  define(module, through, (f) => {
    const doubled = f.callIndirect(imported, UNARY, f.i32(5), f.parameter(1));
    f.returnCallIndirect(added, UNARY, f.parameter(0), doubled!);
  });
  module.exportFunction("through", through);
  module.exportTable("added", added);
  const table = new WebAssembly.Table({ initial: 10, element: "anyfunc" });
  const exports = instantiate(module, { env: { table } });
  expect([exports["through"](2, 21), exports["through"](3, 21)]).toEqual([-42, 84]);
  expect(() => exports["through"](0, 21)).toThrow(WebAssembly.RuntimeError);
  expect(table.get(5)?.(4)).toBe(8);
  expect(exports["added"].get(2)(4)).toBe(-4);
});

test("functions have their names, and branches their hints, in custom sections", () => {
  const module = new ModuleWriter();
  const ref = module.declareFunction("répète", UNARY);
  define(module, ref, (f) => {
    f.if(f.parameter(0), () => f.unreachable(), undefined, "unlikely");
    f.return(f.i32(1));
  });
  module.exportFunction("f", ref);
  const compiled = new WebAssembly.Module(module.finish());
  // The types of Node.js lack this function.
  const { customSections } = WebAssembly.Module as unknown as {
    customSections(module: WebAssembly.Module, name: string): ArrayBuffer[];
  };
  expect(customSections(compiled, "name")).toHaveLength(1);
  const [hints] = customSections(compiled, "metadata.code.branch_hint");
  // One function, number 0, one hint: at offset 3 (after the empty locals and local.get), unlikely.
  expect([...new Uint8Array(hints!)]).toEqual([1, 0, 1, 3, 1, 0]);
});

test("equal types are written once", () => {
  const module = new ModuleWriter();
  for (let i = 0; i < 100; i++) {
    const ref = module.declareFunction("f", { params: ["i64", "v128"], results: [] });
    define(module, ref, () => {});
  }
  expect([...module.finish().subarray(8, 16)]).toEqual([1, 6, 1, 0x60, 2, 0x7e, 0x7b, 0]);
});

test("what is declared must be defined once, with its type", () => {
  const module = new ModuleWriter();
  const ref = module.declareFunction("lost", UNARY);
  expect(() => module.finish()).toThrow("lost is declared and not defined");
  expect(() => module.defineFunction(ref, new FunctionBuilder(BINARY))).toThrow("another type");
  define(module, ref, (f) => f.return(f.i32(0)));
  expect(() => define(module, ref, () => {})).toThrow("defined twice");
  expect(() => module.importFunction("a", "b", UNARY)).toThrow("imported after");
});
