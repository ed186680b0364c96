import { constant, type Expr, i64Constant, KIND_CONSTANT, KIND_OPERATION, operation } from "./expression.ts";
import { OPCODES, type Opcode, type OpName } from "./opcodes.ts";

const EXTRACT = OPCODES["i64x2.extract_lane"];
const REPLACE = OPCODES["i64x2.replace_lane"];
const SPLAT = OPCODES["i64x2.splat"];
const SHUFFLE = OPCODES["i8x16.shuffle"];

/** A vector from two values of 64 bits. */
export function vectorOf(low: Expr, high: Expr): Expr {
  const both = operation(SPLAT, "v128", low);
  return operation(REPLACE, "v128", both, high, undefined, 1);
}

/** The 64-bit lane `index` of a vector, where it need not be taken out of one. */
export function knownLane(vector: Expr, index: number): Expr | undefined {
  if (vector.kind === KIND_CONSTANT) {
    const bytes = vector.payload as Uint8Array;
    return i64Constant(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * index, true));
  }
  if (vector.kind !== KIND_OPERATION) return undefined;
  if (vector.opcode === SPLAT) return vector.a;
  if (vector.opcode !== REPLACE) return undefined;
  return vector.payload === index ? vector.b : lane(vector.a as Expr, index);
}

export function lane(vector: Expr, index: number): Expr {
  return knownLane(vector, index) ?? operation(EXTRACT, "i64", vector, undefined, undefined, index);
}

/** Both lanes of a vector that has been put together from values of 64 bits. */
export function lanesOf(vector: Expr): readonly [Expr, Expr] | undefined {
  const low = knownLane(vector, 0);
  const high = knownLane(vector, 1);
  return low !== undefined && high !== undefined ? [low, high] : undefined;
}

/** All bits clear. */
export function zeroVector(): Expr {
  return constant("v128", new Uint8Array(16));
}

const BITWISE = new Map<Opcode, OpName>([
  [OPCODES["v128.and"], "i64.and"],
  [OPCODES["v128.or"], "i64.or"],
  [OPCODES["v128.xor"], "i64.xor"],
]);

/** A vector operation on vectors whose lanes are known, without making the vectors; undefined where that does not go. */
export function simplifyLanes(
  opcode: Opcode,
  a: Expr,
  b: Expr | undefined,
  immediate: Expr["payload"],
  scalar: (name: OpName, a: Expr, b: Expr) => Expr,
): Expr | undefined {
  if (opcode === EXTRACT) return knownLane(a, immediate as number);
  if (b === undefined) return undefined;
  const bitwise = BITWISE.get(opcode);
  if (bitwise === undefined && opcode !== SHUFFLE) return undefined;
  if (a === b && bitwise === "i64.xor") return zeroVector();
  const left = lanesOf(a);
  const right = left && lanesOf(b);
  if (left === undefined || right === undefined) return undefined;
  if (bitwise !== undefined)
    return vectorOf(scalar(bitwise, left[0], right[0]), scalar(bitwise, left[1], right[1]));
  const indices = immediate as Uint8Array;
  const halves = [wholeLane(indices, 0), wholeLane(indices, 8)];
  if (halves.includes(-1)) return undefined;
  const lanes = [...left, ...right];
  return vectorOf(lanes[halves[0]!]!, lanes[halves[1]!]!);
}

/** Which of the four 64-bit lanes of two vectors the shuffle takes from byte `at` on, or -1. */
function wholeLane(indices: Uint8Array, at: number): number {
  const first = indices[at]!;
  if (first % 8 !== 0) return -1;
  for (let i = 1; i < 8; i++) if (indices[at + i] !== first + i) return -1;
  return first / 8;
}
