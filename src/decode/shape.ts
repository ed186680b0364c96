import type { Instruction } from "../isa/instruction.ts";
import type { CompiledForm } from "./form-table.ts";
import { resolveBits } from "./operand-spec.ts";

/** Which register field of a record holds an operand's register. */
export type RegisterSlot = "a" | "b" | "c" | "d";

/** An operand as a handler sees it: which field of the record, what width. */
export type OperandShape =
  | { readonly kind: "general"; readonly bits: 8 | 16 | 32 | 64; readonly slot: RegisterSlot }
  | { readonly kind: "memory"; readonly bits: 8 | 16 | 32 | 64 | 80 | 128 }
  /** Memory of `bits` bits that stands where a vector register could. */
  | { readonly kind: "vectorMemory"; readonly bits: 8 | 16 | 32 | 64 | 128 | 256 }
  | { readonly kind: "xmm"; readonly slot: RegisterSlot }
  /** A vector register of a VEX form: so many of its bits take part, and a write clears the others. */
  | { readonly kind: "ymm"; readonly bits: 128 | 256; readonly slot: RegisterSlot }
  | { readonly kind: "mm"; readonly slot: RegisterSlot }
  | { readonly kind: "number"; readonly slot: RegisterSlot }
  | { readonly kind: "immediate"; readonly bits: 8 | 16 | 32 | 64 }
  | { readonly kind: "immediate2" }
  | { readonly kind: "relative" }
  | { readonly kind: "address" };

/**
 * What one handler of the interpreter executes: an instruction with its
 * operand kinds and widths fixed. Forms that differ only in encoding share it.
 */
export interface HandlerShape {
  readonly id: number;
  /** For humans, profiles and the list of hot handlers, such as `add.32 general,immediate`. */
  readonly name: string;
  readonly instruction: Instruction;
  readonly operandBits: 8 | 16 | 32 | 64;
  readonly code64: boolean;
  readonly privileged: boolean;
  readonly operands: readonly OperandShape[];
  readonly hasMemory: boolean;
  /** Some operand is relative to the next instruction: a jump, of which LOOP and JRCXZ count in rCX. */
  readonly usesCounter: boolean;
  /** Encoded with a VEX prefix. */
  readonly vex: boolean;
}

const SLOTS: readonly RegisterSlot[] = ["a", "b", "c", "d"];
/** Gathers need the third for their prefixes. */
const GATHER_SLOTS: readonly RegisterSlot[] = ["a", "b", "d"];

function shapeOperands(form: CompiledForm, operandBits: number, memory: boolean): OperandShape[] {
  let nextSlot = 0;
  let immediates = 0;
  return form.operands.map((operand): OperandShape => {
    const slot = () => (form.vsib ? GATHER_SLOTS : SLOTS)[nextSlot++]!;
    const bits = resolveBits(operand.bits, operandBits) as 8 | 16 | 32 | 64;
    if (operand.class === "relative") return { kind: "relative" };
    if (operand.class === "immediate")
      return immediates++ === 0 ? { kind: "immediate", bits } : { kind: "immediate2" };
    if (operand.class === "number") return { kind: "number", slot: slot() };
    const { source } = operand;
    const inMemory =
      source === "moffs" || source === "rdi" || (source === "rm" && memory && operand.allows !== "register");
    if (inMemory) {
      if (operand.class === "address") return { kind: "address" };
      const memoryBits = resolveBits(operand.memoryBits, operandBits);
      if (operand.class === "xmm") return { kind: "vectorMemory", bits: memoryBits as 128 };
      return { kind: "memory", bits: memoryBits as 64 };
    }
    if (operand.class === "xmm" && form.vex !== undefined)
      return { kind: "ymm", bits: operand.bits === 256 ? 256 : 128, slot: slot() };
    if (operand.class === "xmm") return { kind: "xmm", slot: slot() };
    if (operand.class === "mm") return { kind: "mm", slot: slot() };
    return { kind: "general", bits, slot: slot() };
  });
}

/** Operand size that counts for the semantics: where no operand follows the prefixes, the first operand's width. */
function effectiveOperandBits(form: CompiledForm, operandBits: number): 8 | 16 | 32 | 64 {
  if (form.variableSize || form.form.size !== undefined) return operandBits as 32;
  const first = form.operands[0]!;
  const bits = resolveBits(first.bits, operandBits);
  return bits <= 64 && first.class === "general" ? (bits as 32) : 32;
}

const describe = (o: OperandShape): string => ("bits" in o ? `${o.kind}${o.bits}` : o.kind);

/** All shapes met so far, numbered in the order in which they were first asked for. */
export class ShapeTable {
  readonly shapes: HandlerShape[] = [];
  readonly #byName = new Map<string, HandlerShape>();
  readonly #byForm = new Map<number, HandlerShape>();
  #nextId: number;
  /** Numbers below the next one that belong to nothing, rising. */
  #vacant: number[] = [];

  /** @param firstId Number of the first shape; lower ones are the engine's own. */
  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** The number that the next shape gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Takes `count` numbers for handlers that are no shapes; returns the first. */
  reserveIds(count: number): number {
    if (this.#vacant.length >= count && this.#vacant[count - 1] === this.#vacant[0]! + count - 1)
      return this.#vacant.splice(0, count)[0]!;
    const first = this.#nextId;
    this.#nextId += count;
    return first;
  }

  /** The shape of a form under an operand size, in 64-bit code or not, with or without a memory operand. */
  shapeOf(form: CompiledForm, operandBits: number, code64: boolean, memory: boolean): HandlerShape {
    const key = shapeKey(form, operandBits, code64, memory);
    const known = this.#byForm.get(key);
    if (known) return known;
    const bits = effectiveOperandBits(form, operandBits);
    const operands = shapeOperands(form, operandBits, memory);
    const privileged = form.form.privileged === true;
    const { instruction } = form;
    const name = shapeName(form, bits, code64, operands);
    let shape = this.#byName.get(name);
    // Two instructions of one mnemonic (BT on registers and on memory) may look alike by name alone.
    if (shape !== undefined && shape.instruction !== instruction)
      shape = this.#byName.get(`${name} #${form.number}`);
    if (shape === undefined) {
      const unique = this.#byName.has(name) ? `${name} #${form.number}` : name;
      shape = {
        id: this.#nextId++,
        name: unique,
        instruction,
        operandBits: bits,
        code64,
        privileged,
        operands,
        hasMemory: operands.some(
          (o) => o.kind === "memory" || o.kind === "vectorMemory" || o.kind === "address",
        ),
        usesCounter: operands.some((o) => o.kind === "relative"),
        vex: form.vex !== undefined,
      };
      this.shapes.push(shape);
      this.#byName.set(unique, shape);
    }
    this.#byForm.set(key, shape);
    return shape;
  }

  /** The shape with a number. */
  at(id: number): HandlerShape | undefined {
    const first = this.shapes[0]?.id ?? 0;
    const direct = this.shapes[id - first];
    return direct?.id === id ? direct : this.shapes.find((shape) => shape.id === id);
  }

  /** All shapes in their order: number of the shape, and what `shapeOf` was asked for. */
  save(): Int32Array {
    const rows = new Map<HandlerShape, number>();
    for (const [key, shape] of this.#byForm) if (!rows.has(shape)) rows.set(shape, key);
    return Int32Array.from(this.shapes.flatMap((shape) => [shape.id, rows.get(shape)!]));
  }

  /**
   * Adds the shapes of a table that `save` was asked of, with their numbers. Nothing may have been added yet.
   *
   * @param nextId The other table's next number.
   * @throws {RangeError} When the rows are not such as `save` gives.
   */
  restore(rows: Int32Array, nextId: number, forms: readonly CompiledForm[]): void {
    let free = this.#nextId;
    for (let i = 0; i + 1 < rows.length; i += 2) {
      const [id, key] = [rows[i]!, rows[i + 1]!];
      if (id < free || id >= nextId) throw new RangeError("no shape of this table");
      while (free < id) this.#vacant.push(free++);
      this.#nextId = id;
      const shape = this.byKey(key, forms);
      if (shape.id !== id) throw new RangeError("two shapes of this table are one");
      free = id + 1;
    }
    while (free < nextId) this.#vacant.push(free++);
    this.#nextId = nextId;
  }

  /**
   * The shape that `shapeOf` gave for what `shapeKey` has made a number of.
   *
   * @param forms All there are.
   * @throws {RangeError} When there is no such form.
   */
  byKey(key: number, forms: readonly CompiledForm[]): HandlerShape {
    const known = this.#byForm.get(key);
    if (known !== undefined) return known;
    const form = forms[key >> 5];
    if (form === undefined) throw new RangeError("no shape of this table");
    return this.shapeOf(form, 64 >> ((key >> 2) & 7), (key & 2) !== 0, (key & 1) !== 0);
  }

  byName(name: string): HandlerShape | undefined {
    return this.#byName.get(name);
  }

  /** Adds the shapes of 64-bit code with the given names, in the given order. Names that no form yields are left out. */
  addByName(names: readonly string[], forms: readonly CompiledForm[]): void {
    const mnemonics = new Set(names.map((name) => name.slice(0, name.indexOf("."))));
    const found = new Map<string, () => void>();
    for (const form of forms) {
      if (!mnemonics.has(form.instruction.mnemonic)) continue;
      for (const operandBits of [8, 16, 32, 64]) {
        for (const memory of [false, true]) {
          if (memory ? !form.allowsMemory : !form.allowsRegister) continue;
          const bits = effectiveOperandBits(form, operandBits);
          const name = shapeName(form, bits, true, shapeOperands(form, operandBits, memory));
          if (!found.has(name)) found.set(name, () => void this.shapeOf(form, operandBits, true, memory));
        }
      }
    }
    for (const name of names) found.get(name)?.();
  }
}

/** What `shapeOf` is asked for, as a number that is the same in each run of one version. */
export function shapeKey(form: CompiledForm, operandBits: number, code64: boolean, memory: boolean): number {
  return ((form.number * 8 + Math.clz32(operandBits) - 25) * 2 + (code64 ? 1 : 0)) * 2 + (memory ? 1 : 0);
}

function shapeName(
  form: CompiledForm,
  bits: number,
  code64: boolean,
  operands: readonly OperandShape[],
): string {
  return (
    `${form.instruction.mnemonic}.${bits} ${operands.map(describe).join(",")}` +
    `${code64 ? "" : " legacy"}${form.form.privileged ? " privileged" : ""}`
  );
}
