import { Value, WideValue } from "../isa/lowering/value.ts";
import type { Bits } from "../isa/ops.ts";
import { TLB_BASE } from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { SCRATCH, TLB_ADDEND, TLB_TAG, TLB_WRITE } from "../layout/memory-map.ts";
import { type Expr, type LateNumber, lanesOf } from "../wasm/function-builder.ts";
import type { OpName } from "../wasm/opcodes.ts";
import type { HostAddress, RecordContext } from "./record-context.ts";
import { tlbEntry } from "./tlb-entry.ts";

/** Memory that is read now and written later by the same instruction. */
export interface Modification {
  readonly value: Value;
  readonly host: HostAddress;
  readonly bits: MemoryBits;
}

export type MemoryBits = 8 | 16 | 32 | 64 | 128;

const LOADS: Record<MemoryBits, OpName> = {
  8: "i32.load8_u",
  16: "i32.load16_u",
  32: "i32.load",
  64: "i64.load",
  128: "v128.load",
};
const STORES: Record<MemoryBits, OpName> = {
  8: "i32.store8",
  16: "i32.store16",
  32: "i32.store",
  64: "i64.store",
  128: "v128.store",
};

/**
 * Guest memory through the software TLBs (layout/memory-map.ts): the hit is
 * inline, a miss calls the slow path of src/core. `fault` builds the code that
 * leaves with the fault the slow path has set.
 */
export class MemoryAccess {
  readonly #context: RecordContext;
  readonly #fault: () => void;

  constructor(context: RecordContext, fault: () => void) {
    this.#context = context;
    this.#fault = fault;
  }

  load(bits: MemoryBits, address: Expr): Value {
    const host = this.#host(bits, address, 0, "readSlow");
    const vector = bits === 128 ? this.#context.loadVector?.(host) : undefined;
    return new Value(bits as Bits, vector ?? this.#context.b.load(LOADS[bits], host.base, host.offset));
  }

  /** 256 bits as two vectors. */
  load256(address: Expr): WideValue {
    const { b } = this.#context;
    const host = this.#host(256, address, 0, "readSlow");
    const at = (offset: number) => new Value(128, b.load("v128.load", host.base, plus(host, offset)));
    return new WideValue(at(0), at(16));
  }

  /** All or nothing, like any store. */
  store256(address: Expr, value: WideValue): void {
    const { b } = this.#context;
    const [low, high] = [b.bind(value.low.e), b.bind(value.high.e)];
    const known = this.#context.hostAddress?.(address, 32, true);
    if (known !== undefined) {
      b.store("v128.store", known.base, low, known.offset);
      return b.store("v128.store", known.base, high, plus(known, 16));
    }
    const va = b.bind(address);
    const entry = this.#entry(va, TLB_WRITE);
    b.if(
      this.#misses(va, entry, 256),
      () => {
        this.#context.beforeHelper("writeSlow256");
        const quarters = [low, high].flatMap((half) =>
          [0, 1].map((lane) => b.opImm("i64x2.extract_lane", lane, half)),
        );
        b.if(b.op("i32.eqz", b.call(this.#context.helper("writeSlow256"), va, ...quarters)!), this.#fault);
      },
      () => {
        const host = b.bind(this.#translated(va, entry));
        b.store("v128.store", host, low);
        b.store("v128.store", host, high, 16);
      },
      "unlikely",
    );
  }

  store(address: Expr, value: Value): void {
    if (value instanceof WideValue) return this.store256(address, value);
    const { b } = this.#context;
    const bits = value.bits as MemoryBits;
    const stored = b.bind(value.e);
    const known = this.#context.hostAddress?.(address, bits / 8, true, stored);
    if (known !== undefined) return this.#storeAt(known, stored, bits);
    const va = b.bind(address);
    const entry = this.#entry(va, TLB_WRITE);
    b.if(
      this.#misses(va, entry, bits),
      () => {
        this.#context.beforeHelper("writeSlow");
        const done = this.#slowStore(va, stored, bits);
        b.if(b.op("i32.eqz", done), this.#fault);
      },
      () => b.store(STORES[bits], this.#translated(va, entry), stored),
      "unlikely",
    );
  }

  #storeAt(host: HostAddress, value: Expr, bits: MemoryBits): void {
    const { b } = this.#context;
    const halves = bits === 128 && b.bindsParts ? lanesOf(value) : undefined;
    if (halves === undefined) return b.store(STORES[bits], host.base, value, host.offset);
    for (const [i, half] of halves.entries())
      b.store("f64.store", host.base, b.op("f64.reinterpret_i64", half), plus(host, 8 * i));
  }

  /** Checks for writing and reads; `finish` stores. Nothing in between may fault. */
  modify(bits: MemoryBits, address: Expr): Modification {
    const host = this.#host(bits, address, TLB_WRITE, "modifySlow");
    const { b } = this.#context;
    const kept = { base: b.bind(host.base), offset: host.offset };
    const value = b.load(LOADS[bits], kept.base, kept.offset);
    return { value: new Value(bits as Bits, value), host: kept, bits };
  }

  finish(modification: Modification, value: Value): void {
    const { b } = this.#context;
    invariant(value.bits === modification.bits, "a modified operand keeps its width");
    const { base, offset } = modification.host;
    b.store(STORES[modification.bits], base, value.e, offset);
    if (this.#context.hostAddress !== undefined) return;
    b.if(
      b.op("i32.eq", base, b.i32(SCRATCH)),
      () => void b.call(this.#context.helper("commitWrite")),
      undefined,
      "unlikely",
    );
  }

  #slowStore(va: Expr, value: Expr, bits: MemoryBits): Expr {
    const { b } = this.#context;
    if (bits === 128) {
      const low = b.opImm("i64x2.extract_lane", 0, value);
      const high = b.opImm("i64x2.extract_lane", 1, value);
      return b.call(this.#context.helper("writeSlow128"), va, low, high)!;
    }
    const wide = bits === 64 ? value : b.op("i64.extend_i32_u", value);
    return b.call(this.#context.helper("writeSlow"), va, b.i32(bits / 8), wide)!;
  }

  #host(bits: MemoryBits | 256, address: Expr, table: number, slow: "readSlow" | "modifySlow"): HostAddress {
    const { b } = this.#context;
    const known = this.#context.hostAddress?.(address, bits / 8, table === TLB_WRITE);
    if (known !== undefined) return known;
    const va = b.bind(address);
    const entry = this.#entry(va, table);
    const host = b.variable("i32");
    b.if(
      this.#misses(va, entry, bits),
      () => {
        this.#context.beforeHelper(slow);
        b.set(host, b.call(this.#context.helper(slow), va, b.i32(bits / 8))!);
        b.if(b.op("i32.eqz", b.getLazy(host)), this.#fault);
      },
      () => b.set(host, this.#translated(va, entry)),
      "unlikely",
    );
    return { base: b.getLazy(host), offset: 0 };
  }

  /** Address of the TLB entry for a linear address, without the write table's offset. */
  #entry(va: Expr, table: number): { at: Expr; table: number } {
    const { b } = this.#context;
    const base = this.#context.loadState(32, b.i32(TLB_BASE));
    return { at: b.bind(tlbEntry(b, base, va)), table };
  }

  /** The entry is for another page, or the access goes beyond the page's end. */
  #misses(va: Expr, entry: { at: Expr; table: number }, bits: MemoryBits | 256): Expr {
    const { b } = this.#context;
    const tag = b.load("i64.load", entry.at, entry.table + TLB_TAG);
    return b.op("i64.gt_u", b.op("i64.sub", va, tag), b.i64(BigInt(4096 - bits / 8)));
  }

  #translated(va: Expr, entry: { at: Expr; table: number }): Expr {
    const { b } = this.#context;
    const addend = b.load("i32.load", entry.at, entry.table + TLB_ADDEND);
    return b.op("i32.add", b.op("i32.wrap_i64", va), addend);
  }
}

function plus({ offset }: HostAddress, bytes: number): number | LateNumber {
  return typeof offset === "number" ? offset + bytes : () => offset() + bytes;
}
