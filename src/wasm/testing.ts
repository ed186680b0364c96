import { FunctionBuilder } from "./function-builder.ts";
import { ModuleWriter } from "./module-writer.ts";
import type { FunctionType, ValueType } from "./value-type.ts";

/** What tests need of the host's `WebAssembly`. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
  readonly Memory: new (limits: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

// biome-ignore lint/suspicious/noExplicitAny: what a test calls takes and returns whatever it was built to.
export type TestFunction = (...args: any[]) => any;

/** For tests: a module under construction with one page of memory, and its functions run at once. */
export class TestModule {
  readonly writer = new ModuleWriter();
  private instance: Record<string, unknown> | undefined;
  private readonly memory = new WebAssembly.Memory({ initial: 1 });

  constructor() {
    this.writer.importMemory("test", "memory", { initialPages: 1 });
  }

  get bytes(): DataView {
    return new DataView(this.memory.buffer);
  }

  add(name: string, params: ValueType[], results: ValueType[], build: (f: FunctionBuilder) => void): this {
    const type: FunctionType = { params, results };
    const ref = this.writer.declareFunction(name, type);
    const builder = new FunctionBuilder(type);
    build(builder);
    this.writer.defineFunction(ref, builder);
    this.writer.exportFunction(name, ref);
    return this;
  }

  run(name: string): TestFunction {
    this.instance ??= new WebAssembly.Instance(new WebAssembly.Module(this.writer.finish()), {
      test: { memory: this.memory },
    }).exports;
    return this.instance[name] as TestFunction;
  }
}

/** For tests: one function, ready to be called. */
export function testFunction(
  params: ValueType[],
  results: ValueType[],
  build: (f: FunctionBuilder) => void,
): TestFunction {
  return new TestModule().add("f", params, results, build).run("f");
}
