import { invariant } from "../../layout/invariant.ts";
import { constantOf, type Expr } from "../../wasm/function-builder.ts";
import type { OpName } from "../../wasm/opcodes.ts";
import type { LaneBits, LaneOp, LaneShift } from "../ops.ts";
import { IntegerValues } from "./integer-values.ts";
import { Value, WideValue } from "./value.ts";

const SHAPES = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;

const LANE_OPS: Record<Exclude<LaneOp, "multiplyHighSigned" | "multiplyHighUnsigned">, string> = {
  add: "add",
  subtract: "sub",
  multiply: "mul",
  addSaturateSigned: "add_sat_s",
  addSaturateUnsigned: "add_sat_u",
  subtractSaturateSigned: "sub_sat_s",
  subtractSaturateUnsigned: "sub_sat_u",
  minSigned: "min_s",
  minUnsigned: "min_u",
  maxSigned: "max_s",
  maxUnsigned: "max_u",
  averageUnsigned: "avgr_u",
  equal: "eq",
  greaterSigned: "gt_s",
};

const EXTRACT: Record<LaneBits, OpName> = {
  8: "i8x16.extract_lane_u",
  16: "i16x8.extract_lane_u",
  32: "i32x4.extract_lane",
  64: "i64x2.extract_lane",
};

/** Bytes 0, 1, ... 15. */
const BYTE_NUMBERS = Uint8Array.from({ length: 16 }, (_, i) => i);
/** The upper halves of eight 32-bit lanes. */
const UPPER_HALVES = Uint8Array.from({ length: 16 }, (_, i) => 4 * (i >> 1) + 2 + (i & 1));
/** The even 32-bit lanes of a vector, in its low half. */
const EVEN_LANES = Uint8Array.of(0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11);

/** A vector whose low half is at hand as an integer, with a high half of zeros: what a load of a scalar gives. */
class WidenedValue extends Value {
  readonly low: Value;

  constructor(e: Expr, low: Value) {
    super(128, e);
    this.low = low;
  }
}

/** The vector part of `Ops`: pure computations on 128 bits, lowered to WebAssembly SIMD. */
export class VectorValues extends IntegerValues {
  laneOp(op: LaneOp, laneBits: LaneBits, a: Value, b: Value): Value {
    if (op === "multiplyHighSigned") return this.#multiplyHigh(laneBits, "s", a, b);
    if (op === "multiplyHighUnsigned") return this.#multiplyHigh(laneBits, "u", a, b);
    return vector(this.b.op(`${SHAPES[laneBits]}.${LANE_OPS[op]}` as OpName, a.e, b.e));
  }

  laneShift(op: LaneShift, laneBits: 16 | 32 | 64, a: Value, count: Value): Value {
    const { b } = this;
    const shape = SHAPES[laneBits];
    const tooMuch = b.op("i64.gt_u", count.e, b.i64(BigInt(laneBits - 1)));
    const low = b.op("i32.wrap_i64", count.e);
    // WebAssembly takes counts modulo the lane's width.
    if (op === "shiftRightSigned") {
      return vector(b.op(`${shape}.shr_s`, a.e, b.select(tooMuch, b.i32(laneBits - 1), low)));
    }
    const shifted = b.op(`${shape}.${op === "shiftLeft" ? "shl" : "shr_u"}`, a.e, low);
    return vector(b.select(tooMuch, this.#zero(), shifted));
  }

  multiplyAddPairs(a: Value, b: Value): Value {
    return vector(this.b.op("i32x4.dot_i16x8_s", a.e, b.e));
  }

  multiplyEvenUnsigned(a: Value, b: Value): Value {
    const evenOf = (v: Value) => this.b.opImm("i8x16.shuffle", EVEN_LANES, v.e, v.e);
    return vector(this.b.op("i64x2.extmul_low_i32x4_u", evenOf(a), evenOf(b)));
  }

  sumAbsoluteDifferences(a: Value, b: Value): Value {
    const w = this.b;
    const over = w.op("i8x16.sub_sat_u", a.e, b.e);
    const under = w.op("i8x16.sub_sat_u", b.e, a.e);
    const differences = w.op("v128.or", over, under);
    const fours = w.op("i32x4.extadd_pairwise_i16x8_u", w.op("i16x8.extadd_pairwise_i8x16_u", differences));
    const upper = w.op("i64x2.shr_u", fours, w.i32(32));
    const lower = w.op("i64x2.shr_u", w.op("i64x2.shl", fours, w.i32(32)), w.i32(32));
    return vector(w.op("i64x2.add", upper, lower));
  }

  packSaturate(fromBits: 16 | 32, signed: boolean, a: Value, b: Value): Value {
    const name = fromBits === 16 ? "i8x16.narrow_i16x8" : "i16x8.narrow_i32x4";
    return vector(this.b.op(`${name}_${signed ? "s" : "u"}`, a.e, b.e));
  }

  shuffleBytes(indices: readonly number[], a: Value, b: Value): Value {
    return vector(this.b.opImm("i8x16.shuffle", Uint8Array.from(indices), a.e, b.e));
  }

  shuffleLanes(laneBits: 16 | 32, firstLane: 0 | 4, a: Value, selector: Value): Value {
    const { b } = this;
    const known = constantOf(selector.e);
    if (known !== undefined)
      return this.shuffleBytes(selectedBytes(laneBits, firstLane, Number(known)), a, a);
    // Every byte of a chosen lane gets its two selector bits as its top bits, then as a multiple of the
    // lane's bytes; to that the byte's place in the lane is added. All this in 16-bit lanes.
    const steps = laneBits / 16;
    const part = (i: number): number => {
      const chosen = Math.floor(i / steps) - firstLane;
      return chosen >= 0 && chosen < 4 ? chosen : -1;
    };
    const masks = words((i) => (part(i) < 0 ? 0 : 3 << (2 * part(i))));
    const factors = words((i) => (part(i) < 0 ? 0 : 0x0101 << (6 - 2 * part(i))));
    const places = words((i) => {
      const first = part(i) < 0 ? 2 * i : 2 * firstLane * steps + 2 * (i % steps);
      return first | ((first + 1) << 8);
    });
    const fields = b.op("v128.and", b.op("i16x8.splat", selector.e), b.v128(masks));
    const scaled = b.op(
      "i16x8.shr_u",
      b.op("i16x8.mul", fields, b.v128(factors)),
      b.i32(laneBits === 16 ? 5 : 4),
    );
    return vector(b.op("i8x16.swizzle", a.e, b.op("i8x16.add", scaled, b.v128(places))));
  }

  fromLanes(lanes: readonly Value[]): Value {
    const bits = lanes[0]!.bits as LaneBits;
    invariant(lanes.length * bits === 128, "lanes fill a vector");
    const first = this.#splat(lanes[0]!);
    return lanes.slice(1).reduce((all, lane, i) => this.withLane(all, i + 1, lane), first);
  }

  lane(laneBits: LaneBits, a: Value, index: number): Value {
    if (a instanceof WidenedValue && index === 0) return this.truncate(a.low, laneBits);
    return new Value(laneBits, this.b.opImm(EXTRACT[laneBits], index, a.e));
  }

  laneAt(laneBits: LaneBits, a: Value, index: Value): Value {
    const { b } = this;
    const number = this.#laneNumber(laneBits, index);
    const firstByte = b.op("i32.shl", number, b.i32(Math.log2(laneBits / 8)));
    const bytes = b.op("i8x16.add", b.op("i8x16.splat", firstByte), b.v128(BYTE_NUMBERS));
    return this.lane(laneBits, vector(b.op("i8x16.swizzle", a.e, bytes)), 0);
  }

  withLane(a: Value, index: number, value: Value): Value {
    return vector(this.b.opImm(`${SHAPES[value.bits as LaneBits]}.replace_lane`, index, a.e, value.e));
  }

  withLaneAt(a: Value, index: Value, value: Value): Value {
    const { b } = this;
    const laneBits = value.bits as LaneBits;
    // Of a byte's number, the bits above those that count within a lane are the lane's number.
    const laneNumbers = Uint8Array.from(BYTE_NUMBERS, (i) => Math.floor((8 * i) / laneBits));
    const chosen = b.op("i8x16.splat", this.#laneNumber(laneBits, index));
    const mask = b.op("i8x16.eq", chosen, b.v128(laneNumbers));
    return vector(b.op("v128.bitselect", this.#splat(value).e, a.e, mask));
  }

  laneSigns(laneBits: LaneBits, a: Value): Value {
    return new Value(32, this.b.op(`${SHAPES[laneBits]}.bitmask`, a.e));
  }

  shiftBytes(direction: "left" | "right", a: Value, count: Value): Value {
    const { b } = this;
    const amount = count.bits === 64 ? b.op("i32.wrap_i64", count.e) : count.e;
    // An index that is not below 16 gives a zero.
    const name = direction === "left" ? "i8x16.sub" : "i8x16.add";
    return vector(b.op("i8x16.swizzle", a.e, b.op(name, b.v128(BYTE_NUMBERS), b.op("i8x16.splat", amount))));
  }

  vector64(low: Value): Value {
    return new WidenedValue(this.b.opImm("i64x2.replace_lane", 0, this.#zero(), low.e), low);
  }

  low64(a: Value): Value {
    return this.lane(64, a, 0);
  }

  splat(value: Value): Value {
    return this.#splat(value);
  }

  lookupBytes(a: Value, indices: Value): Value {
    return vector(this.b.op("i8x16.swizzle", a.e, indices.e));
  }

  half(a: Value, index: 0 | 1): Value {
    invariant(a instanceof WideValue, "only 256 bits have halves");
    return index === 0 ? a.low : a.high;
  }

  joined(low: Value, high: Value): Value {
    return new WideValue(low, high);
  }

  override keep(a: Value): Value {
    return a instanceof WideValue ? new WideValue(super.keep(a.low), super.keep(a.high)) : super.keep(a);
  }

  #zero(): Expr {
    return this.b.v128(new Uint8Array(16));
  }

  #splat(value: Value): Value {
    return vector(this.b.op(`${SHAPES[value.bits as LaneBits]}.splat`, value.e));
  }

  #laneNumber(laneBits: LaneBits, index: Value): Expr {
    const number = index.bits === 64 ? this.b.op("i32.wrap_i64", index.e) : index.e;
    return this.b.op("i32.and", number, this.b.i32(128 / laneBits - 1));
  }

  #multiplyHigh(laneBits: LaneBits, sign: "s" | "u", a: Value, b: Value): Value {
    invariant(laneBits === 16, "high halves of products of 16-bit lanes only");
    const low = this.b.op(`i32x4.extmul_low_i16x8_${sign}`, a.e, b.e);
    const high = this.b.op(`i32x4.extmul_high_i16x8_${sign}`, a.e, b.e);
    return vector(this.b.opImm("i8x16.shuffle", UPPER_HALVES, low, high));
  }
}

function vector(e: Expr): Value {
  return new Value(128, e);
}

/** Eight 16-bit lanes as bytes. */
function words(lane: (index: number) => number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (lane(i >> 1) >> (8 * (i & 1))) & 0xff);
}

/** The byte indices of `shuffleLanes` for a selector that is known. */
function selectedBytes(laneBits: 16 | 32, firstLane: number, selector: number): number[] {
  const laneBytes = laneBits / 8;
  return Array.from({ length: 16 }, (_, i) => {
    const chosen = Math.floor(i / laneBytes) - firstLane;
    if (chosen < 0 || chosen >= 4) return i;
    return (firstLane + ((selector >> (2 * chosen)) & 3)) * laneBytes + (i % laneBytes);
  });
}
