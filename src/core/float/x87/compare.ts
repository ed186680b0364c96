// FCOM, FUCOM, FCOMI, FUCOMI, FTST, FXAM and FCMOVcc.
import { STATUS_OK } from "../../../layout/cpu-state";
import { compare, EQUAL, GREATER, LESS, UNORDERED } from "../kernel/compare";
import { DENORMAL, INVALID } from "../kernel/exception-flags";
import {
  KIND_INFINITE,
  KIND_NAN,
  KIND_UNSUPPORTED,
  KIND_ZERO,
  Left,
  moveLeftToRight,
  Right,
} from "../kernel/number";
import { unpackExtended } from "../kernel/unpack";
import { setCompareFlags } from "../sse/control";
import { isSignalling80, isUnsupported, needsNaN } from "./nan";
import { isNormal, SIGN } from "./plain";
import {
  C0,
  C1,
  C2,
  C3,
  checkPending,
  isEmpty,
  popStack,
  setConditionCodes,
  setIndefinite,
  setRegister,
  signal,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
} from "./unit";

/** What `relate` found: LESS, EQUAL, GREATER or UNORDERED. */
class Relation {
  static value: i32 = UNORDERED;
}

/** How a relates to b. */
export function compareNormals(a: u64, aExponent: u32, b: u64, bExponent: u32): i32 {
  if (a == b && aExponent == bExponent) return EQUAL;
  const negative = (aExponent & SIGN) != 0;
  if (((aExponent ^ bExponent) & SIGN) != 0) return negative ? LESS : GREATER;
  const less = aExponent < bExponent || (aExponent == bExponent && a < b);
  return less != negative ? LESS : GREATER;
}

/** Relates ST(0) to an operand; returns the exceptions. `quiet`: a quiet NaN is not invalid. */
function relate(significand: u64, signExponent: u32, raised: i32, quiet: bool): i32 {
  const own = significandOf(0);
  const ownExponent = signExponentOf(0);
  if (isNormal(own, ownExponent) && isNormal(significand, signExponent)) {
    Relation.value = compareNormals(own, ownExponent, significand, signExponent);
    return raised;
  }
  Relation.value = UNORDERED;
  if (needsNaN(own, ownExponent) || needsNaN(significand, signExponent)) {
    const invalid =
      !quiet ||
      isUnsupported(own, ownExponent) ||
      isUnsupported(significand, signExponent) ||
      isSignalling80(own, ownExponent) ||
      isSignalling80(significand, signExponent);
    return invalid ? INVALID : 0;
  }
  unpackExtended(significand, signExponent);
  moveLeftToRight();
  unpackExtended(own, ownExponent);
  Relation.value = compare();
  return Left.denormal | Right.denormal ? DENORMAL : raised;
}

function conditionCodes(): i32 {
  if (Relation.value == UNORDERED) return C0 | C2 | C3;
  if (Relation.value == EQUAL) return C3;
  return Relation.value == LESS ? C0 : 0;
}

/** Compares ST(0) with an operand and sets the condition codes; `empty`: one of the two is an empty register. */
export function compareWithOperand(
  significand: u64,
  signExponent: u32,
  raised: i32,
  pops: i32,
  quiet: bool,
  empty: bool,
): void {
  let completes: bool;
  if (empty) {
    completes = signalStackUnderflow();
    Relation.value = UNORDERED;
  } else {
    completes = signal(relate(significand, signExponent, raised, quiet)) == 0;
  }
  // The processor sets the codes even when an unmasked exception keeps it from popping.
  setConditionCodes(conditionCodes());
  if (completes) popStack(pops);
}

export function x87Compare(i: i32, pops: i32, unordered: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  compareWithOperand(significandOf(i), signExponentOf(i), 0, pops, unordered != 0, isEmpty(0) || isEmpty(i));
  return STATUS_OK;
}

export function x87CompareFlags(i: i32, pop: i32, unordered: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  let completes: bool;
  if (isEmpty(0) || isEmpty(i)) {
    completes = signalStackUnderflow();
    Relation.value = UNORDERED;
  } else {
    // Unlike FCOM, this leaves C1 as it was.
    completes = signal(relate(significandOf(i), signExponentOf(i), 0, unordered != 0)) == 0;
  }
  const value = Relation.value;
  if (value == UNORDERED) setCompareFlags(1, 1, 1);
  else setCompareFlags(value == EQUAL ? 1 : 0, 0, value == LESS ? 1 : 0);
  if (completes) popStack(pop);
  return STATUS_OK;
}

/** FTST */
export function x87Test(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  compareWithOperand(0, 0, 0, 0, false, isEmpty(0));
  return STATUS_OK;
}

/** FXAM: the class in C3 C2 C0, the sign in C1. */
export function x87Examine(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  const sign = signExponent & 0x8000 ? C1 : 0;
  if (isEmpty(0)) {
    setConditionCodes(sign | C3 | C0);
    return STATUS_OK;
  }
  unpackExtended(significand, signExponent);
  let codes = C2;
  if (Left.kind == KIND_UNSUPPORTED) codes = 0;
  else if (Left.kind == KIND_NAN) codes = C0;
  else if (Left.kind == KIND_INFINITE) codes = C2 | C0;
  else if (Left.kind == KIND_ZERO) codes = C3;
  else if (Left.denormal) codes = C3 | C2;
  setConditionCodes(sign | codes);
  return STATUS_OK;
}

/** FCMOVcc: ST(0) = ST(i) when the condition holds. C1 stays as it was. */
export function x87ConditionalMove(i: i32, condition: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0) || isEmpty(i)) {
    if (signalStackUnderflow()) setIndefinite(0);
    return STATUS_OK;
  }
  if (condition != 0) setRegister(0, significandOf(i), signExponentOf(i));
  return STATUS_OK;
}
