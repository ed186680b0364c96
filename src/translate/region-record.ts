import type { HelperName } from "../isa/helpers.ts";
import * as record from "../layout/record.ts";
import type { FieldLoad, RecordContext, RegisterBits } from "../lower/record-context.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import { inlineFloat } from "./inline-float.ts";
import type { RegionInstruction } from "./region-code.ts";
import type { RegionState } from "./region-state.ts";

/** How the code of a region leaves an instruction; provided by the builder of the region. */
export interface RegionExits {
  /** To the interpreter, at the instruction, with the state before it. */
  resume(): void;
  /** After a helper's status. */
  status(status: Expr): void;
  /** To an offset in the code segment; the instruction counts. */
  jumpTo(rip: Expr): void;
  /** Along the instruction's relative target. */
  takeJump(): void;
}

/** Lowering for a region: the record's fields are constants, the state is in locals. */
export class RegionRecord implements RecordContext {
  readonly b: FunctionBuilder;
  readonly defersFlags = true;
  readonly miss: () => void;
  readonly #memory: DataView;
  readonly #instruction: RegionInstruction;
  readonly #state: RegionState;
  readonly #exits: RegionExits;
  readonly #helper: (name: HelperName) => FunctionRef;

  constructor(parts: {
    b: FunctionBuilder;
    memory: DataView;
    instruction: RegionInstruction;
    state: RegionState;
    exits: RegionExits;
    helper: (name: HelperName) => FunctionRef;
  }) {
    this.b = parts.b;
    this.#memory = parts.memory;
    this.#instruction = parts.instruction;
    this.#state = parts.state;
    this.#exits = parts.exits;
    this.#helper = parts.helper;
    this.miss = () => this.#exits.resume();
  }

  helper(name: HelperName): FunctionRef {
    return this.#helper(name);
  }

  field(load: FieldLoad, offset: number): Expr {
    const at = this.#instruction.record + offset;
    switch (load) {
      case "i32.load8_u":
        return this.b.i32(this.#memory.getUint8(at));
      case "i32.load16_u":
        return this.b.i32(this.#memory.getUint16(at, true));
      case "i32.load":
        // The interpreter links jumps and counts them in their records: only the target's offset is constant there.
        return this.b.i32(
          offset === record.LINK && this.#instruction.target !== undefined
            ? 0
            : this.#memory.getInt32(at, true),
        );
      case "i64.load":
        return this.b.i64(this.#memory.getBigInt64(at, true));
      case "i64.load32_s":
        return this.b.i64(BigInt(this.#memory.getInt32(at, true)));
    }
  }

  loadState(bits: RegisterBits, offset: Expr): Expr {
    return this.#state.load(bits, offset);
  }

  storeState(bits: RegisterBits, offset: Expr, value: Expr): void {
    this.#state.store(bits, offset, value);
  }

  inlineHelper(name: HelperName, args: readonly Expr[]): Expr | undefined {
    return inlineFloat(this.b, name, args, this.#helper);
  }

  beforeHelper(name: HelperName): void {
    // One that faults leaves the flags in memory as they are.
    if (writesFlags(name)) this.#state.storeFlags();
  }

  afterHelper(name: HelperName): void {
    if (writesFlags(name)) this.#state.reloadFlags();
  }

  fault(): void {
    this.#exits.resume();
  }

  stackFault(): void {
    this.#exits.resume();
  }

  raise(): void {
    this.#exits.resume();
  }

  status(status: Expr): void {
    this.#exits.status(status);
  }

  jumpTo(rip: Expr): void {
    this.#exits.jumpTo(rip);
  }

  jumpRelative(): void {
    this.#exits.takeJump();
  }

  branch(condition: Expr): void {
    this.b.if(condition, () => this.jumpRelative());
  }
}

const FLAG_WRITERS: ReadonlySet<string> = new Set(["f32CompareFlags", "f64CompareFlags", "x87CompareFlags"]);

function writesFlags(name: HelperName): boolean {
  return FLAG_WRITERS.has(name);
}

/** Helpers that look at no general register, vector register or flag in memory, and change none but flags. */
export function isRegisterFree(name: HelperName): boolean {
  return /^(f16|f32|f64|i32To|i64To|x87|multiply|divide|commitSse|mmx|pdep|pext|crc32|compareStrings|aes)/.test(
    name,
  );
}
