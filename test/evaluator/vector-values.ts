import type { LaneBits, LaneOp, LaneShift } from "../../src/isa/ops.ts";
import { IntegerValues } from "./integer-values.ts";
import { cut, signed, type Value } from "./value.ts";

type Lanes = readonly Value[];

const clampSigned = (bits: number, n: bigint): bigint => {
  const limit = 1n << BigInt(bits - 1);
  return n < -limit ? -limit : n >= limit ? limit - 1n : n;
};
const clampUnsigned = (bits: number, n: bigint): bigint => {
  const limit = 1n << BigInt(bits);
  return n < 0n ? 0n : n >= limit ? limit - 1n : n;
};
const allOnes = (condition: boolean): bigint => (condition ? -1n : 0n);

const LANE_OPS: Record<LaneOp, (a: Value, b: Value) => bigint> = {
  add: (a, b) => a.value + b.value,
  subtract: (a, b) => a.value - b.value,
  multiply: (a, b) => a.value * b.value,
  addSaturateSigned: (a, b) => clampSigned(a.bits, signed(a) + signed(b)),
  addSaturateUnsigned: (a, b) => clampUnsigned(a.bits, a.value + b.value),
  subtractSaturateSigned: (a, b) => clampSigned(a.bits, signed(a) - signed(b)),
  subtractSaturateUnsigned: (a, b) => clampUnsigned(a.bits, a.value - b.value),
  minSigned: (a, b) => (signed(a) < signed(b) ? a.value : b.value),
  minUnsigned: (a, b) => (a.value < b.value ? a.value : b.value),
  maxSigned: (a, b) => (signed(a) > signed(b) ? a.value : b.value),
  maxUnsigned: (a, b) => (a.value > b.value ? a.value : b.value),
  averageUnsigned: (a, b) => (a.value + b.value + 1n) >> 1n,
  equal: (a, b) => allOnes(a.value === b.value),
  greaterSigned: (a, b) => allOnes(signed(a) > signed(b)),
  multiplyHighSigned: (a, b) => (signed(a) * signed(b)) >> BigInt(a.bits),
  multiplyHighUnsigned: (a, b) => (a.value * b.value) >> BigInt(a.bits),
};

/** The vector operations of `Ops`, lane by lane. */
export class VectorValues extends IntegerValues {
  laneOp(op: LaneOp, laneBits: LaneBits, a: Value, b: Value): Value {
    return zip(laneBits, a, b, LANE_OPS[op]);
  }

  laneShift(op: LaneShift, laneBits: 16 | 32 | 64, a: Value, count: Value): Value {
    const n = count.value < BigInt(laneBits) ? count.value : BigInt(laneBits);
    const shifts: Record<LaneShift, (lane: Value) => bigint> = {
      shiftLeft: (lane) => lane.value << n,
      shiftRight: (lane) => lane.value >> n,
      shiftRightSigned: (lane) => signed(lane) >> n,
    };
    return join(split(laneBits, a).map((lane) => cut(laneBits, shifts[op](lane))));
  }

  multiplyAddPairs(a: Value, b: Value): Value {
    const products = split(16, a).map((lane, i) => signed(lane) * signed(split(16, b)[i]!));
    return join([0, 1, 2, 3].map((i) => cut(32, products[2 * i]! + products[2 * i + 1]!)));
  }

  multiplyEvenUnsigned(a: Value, b: Value): Value {
    return join([0, 2].map((i) => cut(64, split(32, a)[i]!.value * split(32, b)[i]!.value)));
  }

  sumAbsoluteDifferences(a: Value, b: Value): Value {
    const differences = split(8, a).map((lane, i) => {
      const difference = lane.value - split(8, b)[i]!.value;
      return difference < 0n ? -difference : difference;
    });
    const sum = (from: number): bigint => differences.slice(from, from + 8).reduce((x, y) => x + y);
    return join([cut(64, sum(0)), cut(64, sum(8))]);
  }

  packSaturate(fromBits: 16 | 32, isSigned: boolean, a: Value, b: Value): Value {
    const bits = (fromBits / 2) as 8 | 16;
    const clamp = isSigned ? clampSigned : clampUnsigned;
    const wide = [...split(fromBits, a), ...split(fromBits, b)];
    return join(wide.map((lane) => cut(bits, clamp(bits, signed(lane)))));
  }

  shuffleBytes(indices: readonly number[], a: Value, b: Value): Value {
    const bytes = [...split(8, a), ...split(8, b)];
    return join(indices.map((index) => bytes[index]!));
  }

  shuffleLanes(laneBits: 16 | 32, firstLane: 0 | 4, a: Value, selector: Value): Value {
    const lanes = split(laneBits, a);
    const chosen = lanes.map((lane, i) => {
      const part = i - firstLane;
      if (part < 0 || part > 3) return lane;
      return lanes[firstLane + (Number(selector.value >> BigInt(2 * part)) & 3)]!;
    });
    return join(chosen);
  }

  fromLanes(lanes: Lanes): Value {
    return join(lanes);
  }
  lane(laneBits: LaneBits, a: Value, index: number): Value {
    return split(laneBits, a)[index]!;
  }
  laneAt(laneBits: LaneBits, a: Value, index: Value): Value {
    const lanes = split(laneBits, a);
    return lanes[Number(index.value % BigInt(lanes.length))]!;
  }
  withLane(a: Value, index: number, value: Value): Value {
    return join(split(value.bits as LaneBits, a).map((lane, i) => (i === index ? value : lane)));
  }
  withLaneAt(a: Value, index: Value, value: Value): Value {
    return this.withLane(a, Number(index.value % BigInt(128 / value.bits)), value);
  }
  laneSigns(laneBits: LaneBits, a: Value): Value {
    const signs = split(laneBits, a).map((lane) => lane.value >> BigInt(laneBits - 1));
    return cut(
      32,
      signs.reduceRight((all, sign) => (all << 1n) | sign, 0n),
    );
  }
  shiftBytes(direction: "left" | "right", a: Value, count: Value): Value {
    const n = 8n * count.value;
    return cut(128, direction === "left" ? a.value << n : a.value >> n);
  }
  vector64(low: Value): Value {
    return cut(128, low.value);
  }
  low64(a: Value): Value {
    return cut(64, a.value);
  }
  splat(value: Value): Value {
    return join(Array.from({ length: 128 / value.bits }, () => value));
  }
  lookupBytes(a: Value, indices: Value): Value {
    const bytes = split(8, a);
    return join(split(8, indices).map(({ value }) => bytes[Number(value)] ?? cut(8, 0)));
  }
  half(a: Value, index: 0 | 1): Value {
    return cut(128, a.value >> BigInt(128 * index));
  }
  joined(low: Value, high: Value): Value {
    return cut(256, (high.value << 128n) | low.value);
  }
}

function split(laneBits: LaneBits, a: Value): Lanes {
  return Array.from({ length: 128 / laneBits }, (_, i) => cut(laneBits, a.value >> BigInt(laneBits * i)));
}

function join(lanes: Lanes): Value {
  return cut(
    128,
    lanes.reduceRight((all, { bits, value }) => (all << BigInt(bits)) | value, 0n),
  );
}

function zip(laneBits: LaneBits, a: Value, b: Value, op: (a: Value, b: Value) => bigint): Value {
  const others = split(laneBits, b);
  return join(split(laneBits, a).map((lane, i) => cut(laneBits, op(lane, others[i]!))));
}
