import { KIND_INFINITE, KIND_NAN, KIND_ZERO, Left, Right } from "./number";

export const LESS: i32 = -1;
export const EQUAL: i32 = 0;
export const GREATER: i32 = 1;
export const UNORDERED: i32 = 2;

/** How Left relates to Right. */
export function compare(): i32 {
  if (Left.kind >= KIND_NAN || Right.kind >= KIND_NAN) return UNORDERED;
  if (Left.kind == KIND_ZERO && Right.kind == KIND_ZERO) return EQUAL;
  if (Left.kind == KIND_ZERO) return Right.sign != 0 ? GREATER : LESS;
  if (Right.kind == KIND_ZERO || Left.sign != Right.sign) return Left.sign != 0 ? LESS : GREATER;
  const magnitude = compareMagnitudes();
  return Left.sign != 0 ? -magnitude : magnitude;
}

function compareMagnitudes(): i32 {
  if (Left.kind == KIND_INFINITE) return Right.kind == KIND_INFINITE ? EQUAL : GREATER;
  if (Right.kind == KIND_INFINITE) return LESS;
  if (Left.exponent != Right.exponent) return Left.exponent < Right.exponent ? LESS : GREATER;
  if (Left.significand != Right.significand) return Left.significand < Right.significand ? LESS : GREATER;
  return EQUAL;
}
