// The part of the WebAssembly JavaScript interface that Ringfence uses. Node.js and browsers both have it, but TypeScript
// declares it only together with the DOM.

declare namespace WebAssembly {
  type ExportValue = ExportFunction | Global | Memory | Table;
  // biome-ignore lint/suspicious/noExplicitAny: the signature of an export is known only to its module.
  type ExportFunction = (...parameters: any[]) => any;
  type Exports = Record<string, ExportValue>;
  // biome-ignore lint/complexity/noBannedTypes: an import may be any callable.
  type ImportValue = Function | Global | Memory | Table | number;
  type Imports = Record<string, Record<string, ImportValue>>;
  type ValueType = "i32" | "i64" | "f32" | "f64" | "externref" | "anyfunc";
  type Bytes = ArrayBuffer | ArrayBufferView<ArrayBuffer>;

  interface MemoryDescriptor {
    /** In pages of 64 KiB. */
    initial: number;
    maximum?: number;
    shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    grow(deltaPages: number): number;
  }

  class Module {
    constructor(bytes: Bytes);
    static exports(module: Module): { kind: "function" | "global" | "memory" | "table"; name: string }[];
    static imports(
      module: Module,
    ): { kind: "function" | "global" | "memory" | "table"; module: string; name: string }[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }

  class Table {
    constructor(descriptor: { element: "anyfunc" | "externref"; initial: number; maximum?: number });
    readonly length: number;
    get(index: number): ExportFunction | null;
    set(index: number, value: ExportFunction | null): void;
    grow(delta: number): number;
  }

  class Global {
    constructor(descriptor: { value: ValueType; mutable?: boolean }, initial?: number | bigint);
    // biome-ignore lint/suspicious/noExplicitAny: number or bigint, by the global's type.
    value: any;
  }

  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}

  function compile(bytes: Bytes): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
  function instantiate(bytes: Bytes, imports?: Imports): Promise<{ module: Module; instance: Instance }>;
  function validate(bytes: Bytes): boolean;
}
