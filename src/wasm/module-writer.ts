import type { AssembledFunction } from "./code-emitter.ts";
import { ByteWriter } from "./encoding.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import { type FunctionType, VALUE_TYPE_BYTE, type ValueType } from "./value-type.ts";

export type { FunctionType, ValueType } from "./value-type.ts";

export interface FunctionRef {
  readonly index: number;
  readonly name: string;
  readonly type: FunctionType;
  /** Stands for the index in a function that is linked later. */
  readonly symbol?: number;
}

/** A table's index. */
export type TableRef = number;

export interface GlobalRef {
  readonly index: number;
  readonly type: ValueType;
}

export interface MemoryLimits {
  readonly initialPages: number;
  readonly maximumPages?: number;
  readonly shared?: boolean;
}

export interface TableLimits {
  readonly initial: number;
  readonly maximum?: number | undefined;
}

const FUNCTION = 0;
const TABLE = 1;
const MEMORY = 2;
const GLOBAL = 3;

/** The functions of a module, which are numbered with the imported ones first. */
interface DeclaredFunction {
  readonly ref: FunctionRef;
  body: AssembledFunction | undefined;
}

function writeLimits(out: ByteWriter, initial: number, maximum: number | undefined, shared: boolean): void {
  if (shared && maximum === undefined) throw new TypeError("wasm: a shared memory needs a maximum");
  out.u8((maximum === undefined ? 0 : 1) | (shared ? 2 : 0));
  out.u32(initial);
  if (maximum !== undefined) out.u32(maximum);
}

/** A vector: its length, then its elements. */
class VectorWriter {
  readonly out = new ByteWriter();
  count = 0;

  /** Where to write the next element. */
  next(): ByteWriter {
    this.count++;
    return this.out;
  }

  writeSection(out: ByteWriter, id: number): void {
    if (this.count === 0) return;
    const section = new ByteWriter(this.out.length + 5);
    section.u32(this.count);
    section.rawRange(this.out.bytes, 0, this.out.length);
    out.section(id, section);
  }
}

/** Writes a module. Imports come first: functions before declared functions, tables before added tables. */
export class ModuleWriter {
  private readonly typeIndices = new Map<string, number>();
  private readonly knownTypes = new Map<FunctionType, number>();
  private readonly types = new VectorWriter();
  private readonly imports = new VectorWriter();
  private readonly tables = new VectorWriter();
  private readonly exports = new VectorWriter();
  private readonly elements = new VectorWriter();
  private readonly importedFunctions: FunctionRef[] = [];
  private readonly functions: DeclaredFunction[] = [];
  private tableCount = 0;
  private importedTableCount = 0;
  private globalCount = 0;

  importMemory(module: string, name: string, limits: MemoryLimits): void {
    const out = this.import(module, name, MEMORY);
    writeLimits(out, limits.initialPages, limits.maximumPages, limits.shared ?? false);
  }

  importTable(module: string, name: string, limits: TableLimits): TableRef {
    if (this.tableCount > this.importedTableCount)
      throw new Error("wasm: a table is imported after one was added");
    const out = this.import(module, name, TABLE);
    out.u8(VALUE_TYPE_BYTE.funcref);
    writeLimits(out, limits.initial, limits.maximum, false);
    this.importedTableCount++;
    return this.tableCount++;
  }

  importFunction(module: string, name: string, type: FunctionType): FunctionRef {
    if (this.functions.length > 0) throw new Error("wasm: a function is imported after one was declared");
    const out = this.import(module, name, FUNCTION);
    out.u32(this.typeIndex(type));
    const ref = { index: this.importedFunctions.length, name, type };
    this.importedFunctions.push(ref);
    return ref;
  }

  /** Imports an immutable global. */
  importGlobal(module: string, name: string, type: ValueType): GlobalRef {
    const out = this.import(module, name, GLOBAL);
    out.u8(VALUE_TYPE_BYTE[type]);
    out.u8(0);
    return { index: this.globalCount++, type };
  }

  /** The function may be called, and put into tables, before it is defined. */
  declareFunction(name: string, type: FunctionType): FunctionRef {
    const ref = { index: this.importedFunctions.length + this.functions.length, name, type };
    this.functions.push({ ref, body: undefined });
    return ref;
  }

  defineFunction(ref: FunctionRef, builder: FunctionBuilder): void {
    if (this.typeIndex(builder.type) !== this.typeIndex(ref.type)) {
      throw new TypeError(`wasm: ${ref.name} is declared with another type than its builder has`);
    }
    const assembled = builder.emitter.assemble((type) => this.typeIndex(type));
    if (assembled.links.length > 0) throw new Error(`wasm: ${ref.name} is still to be linked`);
    this.defineLinked(ref, assembled);
  }

  /** Defines a function by code that was assembled and linked before. */
  defineLinked(ref: FunctionRef, body: AssembledFunction): void {
    const declared = this.functions[ref.index - this.importedFunctions.length];
    if (declared?.ref !== ref) throw new Error(`wasm: ${ref.name} is not a declared function of this module`);
    if (declared.body !== undefined) throw new Error(`wasm: ${ref.name} is defined twice`);
    declared.body = body;
  }

  /** The type is the module's first, which code that was assembled elsewhere relies on. */
  declareFirstType(type: FunctionType): void {
    if (this.typeIndex(type) !== 0) throw new Error("wasm: the module has another first type");
  }

  addTable(limits: TableLimits): TableRef {
    const out = this.tables.next();
    out.u8(VALUE_TYPE_BYTE.funcref);
    writeLimits(out, limits.initial, limits.maximum, false);
    return this.tableCount++;
  }

  /** Functions that are put into the table, from `offset` on, when the module is instantiated. */
  addElements(table: TableRef, offset: number, functions: readonly FunctionRef[]): void {
    const out = this.elements.next();
    if (table === 0) out.u8(0);
    else {
      out.u8(2);
      out.u32(table);
    }
    out.u8(0x41);
    out.s32(offset);
    out.u8(0x0b);
    if (table !== 0) out.u8(0);
    out.u32(functions.length);
    for (const ref of functions) out.u32(ref.index);
  }

  exportFunction(name: string, ref: FunctionRef): void {
    this.export(name, FUNCTION, ref.index);
  }

  exportTable(name: string, table: TableRef): void {
    this.export(name, TABLE, table);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(4096);
    out.rawBytes(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
    // The code comes first because writing it may still add types.
    const code = new VectorWriter();
    const functionTypes = new VectorWriter();
    for (const { ref, body } of this.functions) {
      if (body === undefined) throw new Error(`wasm: ${ref.name} is declared and not defined`);
      functionTypes.next().u32(this.typeIndex(ref.type));
      code.next().u32(body.body.length);
      code.out.rawBytes(body.body);
    }
    this.types.writeSection(out, 1);
    this.imports.writeSection(out, 2);
    functionTypes.writeSection(out, 3);
    this.tables.writeSection(out, 4);
    this.exports.writeSection(out, 7);
    this.elements.writeSection(out, 9);
    this.writeBranchHints(out);
    code.writeSection(out, 10);
    this.writeNames(out);
    return out.toBytes();
  }

  private import(module: string, name: string, kind: number): ByteWriter {
    const out = this.imports.next();
    out.string(module);
    out.string(name);
    out.u8(kind);
    return out;
  }

  private export(name: string, kind: number, index: number): void {
    const out = this.exports.next();
    out.string(name);
    out.u8(kind);
    out.u32(index);
  }

  private typeIndex(type: FunctionType): number {
    const known = this.knownTypes.get(type);
    if (known !== undefined) return known;
    const key = `${type.params.join(" ")}|${type.results.join(" ")}`;
    let index = this.typeIndices.get(key);
    if (index === undefined) {
      index = this.types.count;
      this.typeIndices.set(key, index);
      const out = this.types.next();
      out.u8(0x60);
      out.u32(type.params.length);
      for (const parameter of type.params) out.u8(VALUE_TYPE_BYTE[parameter]);
      out.u32(type.results.length);
      for (const result of type.results) out.u8(VALUE_TYPE_BYTE[result]);
    }
    this.knownTypes.set(type, index);
    return index;
  }

  /** The branch hinting proposal's custom section, which stands before the code. */
  private writeBranchHints(out: ByteWriter): void {
    const section = new ByteWriter();
    section.string("metadata.code.branch_hint");
    const hinted = this.functions.filter(({ body }) => body !== undefined && body.hints.length > 0);
    if (hinted.length === 0) return;
    section.u32(hinted.length);
    for (const { ref, body } of hinted) {
      section.u32(ref.index);
      section.u32(body?.hints.length ?? 0);
      for (const hint of body?.hints ?? []) {
        section.u32(hint.offset);
        section.u8(1);
        section.u8(hint.likely ? 1 : 0);
      }
    }
    out.section(0, section);
  }

  /** The name section (core specification, appendix "Custom Sections"), with names of functions only. */
  private writeNames(out: ByteWriter): void {
    const refs = [...this.importedFunctions, ...this.functions.map(({ ref }) => ref)];
    if (refs.length === 0) return;
    const names = new ByteWriter();
    names.u32(refs.length);
    for (const ref of refs) {
      names.u32(ref.index);
      names.string(ref.name);
    }
    const section = new ByteWriter();
    section.string("name");
    section.section(1, names);
    out.section(0, section);
  }
}
