import { expect, test } from "vitest";
import { FunctionBuilder } from "./function-builder.ts";
import { ModuleWriter } from "./module-writer.ts";
import { dumpModule } from "./text-dump.ts";

function sample(): Uint8Array {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", { initialPages: 1, maximumPages: 4, shared: true });
  const host = module.importFunction("env", "host", { params: ["i64"], results: [] });
  const base = module.importGlobal("env", "base", "i32");
  const table = module.addTable({ initial: 2 });
  const type = { params: ["i32", "f64"], results: ["v128"] } as const;
  const ref = module.declareFunction("sample", type);
  const f = new FunctionBuilder(type);
  f.call(host, f.i64(-1n << 40n));
  f.loop((again) => {
    f.if(
      f.op("f64.lt", f.parameter(1), f.f64(-0)),
      () => f.br(again),
      () => f.store("i32.store16", f.global(base), f.parameter(0), 12),
      "unlikely",
    );
    f.block((out) => f.brTable(f.parameter(0), [again, out], out));
  });
  f.callIndirect(table, host.type, f.i32(1), f.i64(3n));
  f.memoryFill(f.i32(0), f.i32(0), f.i32(8));
  f.atomicFence();
  const lanes = f.v128(Uint8Array.from({ length: 16 }, (_, i) => i));
  f.return(
    f.opImm(
      "i8x16.shuffle",
      Uint8Array.from({ length: 16 }, (_, i) => 31 - i),
      lanes,
      lanes,
    ),
  );
  module.defineFunction(ref, f);
  module.addElements(table, 1, [host]);
  module.exportFunction("go", ref);
  return module.finish();
}

test("a module is read back as text", () => {
  expect(dumpModule(sample())).toBe(`(module
  (type 0 (func (param i64)))
  (type 1 (func (param i32 f64) (result v128)))
  (import "env" "memory" (memory 1 4 shared))
  (import "env" "host" (func $host (type 0) (param i64)))
  (import "env" "base" (global 0 i32))
  (table 0 2 funcref)
  (export "go" (func $sample))
  (elem (table 0) (i32.const 1) func $host)
  (func $sample (;1;) (type 1) (param i32 f64) (result v128)
    i64.const -1099511627776
    call $host
    loop
      local.get 1
      f64.const -0
      f64.lt
      if ;; unlikely
        br 1
      else
        global.get 0
        local.get 0
        i32.store16 offset=12
      end
      block
        local.get 0
        br_table 1 0 0
      end
    end
    i64.const 3
    i32.const 1
    call_indirect 0 (type 0)
    i32.const 0
    i32.const 0
    i32.const 8
    memory.fill
    atomic.fence
    v128.const i8x16 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 0x9 0xa 0xb 0xc 0xd 0xe 0xf
    v128.const i8x16 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 0x9 0xa 0xb 0xc 0xd 0xe 0xf
    i8x16.shuffle 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16
    return
    unreachable
  )
)
`);
});

test("offsets are those of the module's bytes", () => {
  const bytes = sample();
  const line = dumpModule(bytes, { offsets: true })
    .split("\n")
    .find((text) => text.includes("i64.const 3")) as string;
  const offset = Number.parseInt((/\(;([0-9a-f]+);\)/.exec(line) as RegExpExecArray)[1] as string, 16);
  expect([...bytes.subarray(offset, offset + 2)]).toEqual([0x42, 3]);
});

test("what is no module is refused", () => {
  expect(() => dumpModule(new Uint8Array(8))).toThrow("no module");
  expect(() => dumpModule(sample().subarray(0, 60))).toThrow(RangeError);
});
