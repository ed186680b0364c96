import type { RegionFunction } from "../cpu/region-functions.ts";
import { REGION_FUNCTIONS } from "../cpu/region-functions.ts";
import type { HelperName } from "../isa/helpers.ts";
import { LINK_SLOT_BYTES } from "../layout/memory-map.ts";
import { helperType } from "../lower/helper-type.ts";
import type { Expr, FunctionBuilder, LinkedNumber } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import type { Position, RegionInstruction } from "./region-code.ts";
import { LEAVE_STATUS_TYPE, REGION_TYPE, type RegionImports, VALIDATE_TYPE } from "./region-plan.ts";

/** What a symbol stands for; its number has these in the lowest bits, and an index above them. */
export const SYMBOL_KIND_BITS = 3;
/** A link slot. */
export const SYMBOL_SLOT = 0;
/** A cell, by its place in `RegionSymbols.cells`. */
export const SYMBOL_CELL = 1;
/** A function's index in the module, by the place of its name in `RegionSymbols.functions`. */
export const SYMBOL_FUNCTION = 2;

/** What a cell has; the number of a cell has these in the lowest bits, and an index above them. */
export const CELL_KIND_BITS = 3;
/** The address of the first record of a block, by the number of the block's first instruction. */
export const CELL_RECORD = 0;
/** The handler of an instruction's shape. */
export const CELL_HANDLER = 1;
/** The address of the description of the region's other pages. */
export const CELL_PAGES = 2;
/** The address of the table for indirect jumps. */
export const CELL_DISPATCH_TABLE = 3;
/** An address in an instruction's immediate, and in its displacement: kernels are relocated. */
export const CELL_IMMEDIATE = 4;
export const CELL_DISPLACEMENT = 5;

/** Below in size, a number of an instruction is none that changes with the place of the kernel. */
const NEAR = 2 ** 30;

/**
 * Whether 32 bits of an instruction may change with the place at which a kernel lies: its addresses in the System V ABI's code model
 * "kernel" do, in the highest 2 GiB, and so do distances from there to what lies at fixed low addresses, as Linux's variables of a processor.
 */
export const changesWithPlace = (value: number | bigint): boolean =>
  (value >= -(2 ** 31) && value < -NEAR) || (value >= NEAR && value < 2 ** 31);

/** What a look-up in the TLB has found; as many as fit share a slot. */
const CELL_BYTES = 4;

/** The name of the region itself among the functions that it calls; others are `module.name`. */
export const SELF = "self";

/** An address, or distance to one, in an instruction. */
export interface InstructionAddress {
  readonly instruction: RegionInstruction;
  readonly kind: typeof CELL_IMMEDIATE | typeof CELL_DISPLACEMENT;
  /** As it stands in the instruction. */
  readonly value: number;
}

const symbol = (kind: number, index: number, addend = 0): LinkedNumber => ({
  symbol: (index << SYMBOL_KIND_BITS) | kind,
  addend,
});

/**
 * What the code of one region refers to outside it. Slots and cells have their places when the region is put into a module, and for good:
 * what differs from run to run is in the cells, so that machine code that was made of the module serves again.
 */
export class RegionSymbols {
  /** The slot that says for which address space the region's pages have been validated. */
  readonly validation = symbol(SYMBOL_SLOT, 0);
  readonly functions: string[] = [];
  readonly #addresses = new Map<number, InstructionAddress>();
  readonly #refs = new Map<string, FunctionRef>();
  readonly #slots = new Map<Position, LinkedNumber>();
  readonly #cells = new Map<number, LinkedNumber>();
  #slotCount = 1;
  #cellCount = 0;
  #cellSlot = 0;

  /** Link slots that the region takes. */
  get slotCount(): number {
    return this.#slotCount;
  }

  /** What is in each of the cells that the region takes: CELL_RECORD etc., and an index above it. */
  get cells(): readonly number[] {
    return [...this.#cells.keys()];
  }

  /** A link slot for what leads out of the region at a position. */
  slot(target: Position): LinkedNumber {
    const known = this.#slots.get(target);
    if (known !== undefined) return known;
    const slot = symbol(SYMBOL_SLOT, this.#slotCount++);
    this.#slots.set(target, slot);
    return slot;
  }

  /** Another cell of four bytes for what a look-up in the TLB has found. */
  addendCell(): LinkedNumber {
    const inSlot = this.#cellCount++ % (LINK_SLOT_BYTES / CELL_BYTES);
    if (inSlot === 0) this.#cellSlot = this.#slotCount++;
    return symbol(SYMBOL_SLOT, this.#cellSlot, inSlot * CELL_BYTES);
  }

  /** What is `offset` bytes from the first record of an instruction. */
  record(b: FunctionBuilder, { number, inBlock, recordInBlock }: RegionInstruction, offset = 0): Expr {
    return b.op("i32.add", this.#load(b, CELL_RECORD, number - inBlock), b.i32(recordInBlock + offset));
  }

  handler(b: FunctionBuilder, { number }: RegionInstruction): Expr {
    return this.#load(b, CELL_HANDLER, number);
  }

  pages(b: FunctionBuilder): Expr {
    return this.#load(b, CELL_PAGES, 0);
  }

  dispatchTable(b: FunctionBuilder): Expr {
    return this.#load(b, CELL_DISPATCH_TABLE, 0);
  }

  /** Addresses that the code takes from instructions. */
  get addresses(): readonly InstructionAddress[] {
    return [...this.#addresses.values()];
  }

  /** An address in an instruction, which is `value` now. */
  address(
    b: FunctionBuilder,
    instruction: RegionInstruction,
    kind: InstructionAddress["kind"],
    value: number,
  ): Expr {
    const cell = this.#cell(kind, instruction.number);
    this.#addresses.set(cell.symbol, { instruction, kind, value });
    return b.load("i64.load32_s", b.linked(cell));
  }

  #load(b: FunctionBuilder, kind: number, index: number): Expr {
    return b.load("i32.load", b.linked(this.#cell(kind, index)));
  }

  #cell(kind: number, index: number): LinkedNumber {
    const number = (index << CELL_KIND_BITS) | kind;
    const known = this.#cells.get(number);
    if (known !== undefined) return known;
    const cell = symbol(SYMBOL_CELL, this.#cells.size);
    this.#cells.set(number, cell);
    return cell;
  }

  imports(): RegionImports {
    return {
      self: this.#function(SELF, REGION_TYPE),
      helper: (name: HelperName) => this.#function(`core.${name}`, helperType(name)),
      link: (name: RegionFunction) => this.#function(`run.${name}`, REGION_FUNCTIONS[name]),
      leaveStatus: this.#function("run.leaveStatus", LEAVE_STATUS_TYPE),
      validate: this.#function("core.validateRegion", VALIDATE_TYPE),
    };
  }

  #function(name: string, type: FunctionType): FunctionRef {
    const known = this.#refs.get(name);
    if (known !== undefined) return known;
    const index = this.functions.push(name) - 1;
    const ref = { index, name, type, ...symbol(SYMBOL_FUNCTION, index) };
    this.#refs.set(name, ref);
    return ref;
  }
}
