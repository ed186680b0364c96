// FADD, FSUB, FMUL, FDIV with their reversed, popping and memory forms; FSQRT, FRNDINT, FABS, FCHS.
import { STATUS_OK } from "../../../layout/cpu-state";
import { add } from "../kernel/add";
import { divide } from "../kernel/divide";
import { BEFORE_COMPUTATION, DENORMAL, INVALID } from "../kernel/exception-flags";
import { roundInFormat } from "../kernel/integer";
import { multiply } from "../kernel/multiply";
import { KIND_NAN, Left, moveLeftToRight, Right } from "../kernel/number";
import { squareRoot } from "../kernel/square-root";
import { unpackDouble, unpackExtended, unpackSigned, unpackSingle } from "../kernel/unpack";
import { compareWithOperand } from "./compare";
import { Extended, extendLeft } from "./load";
import { Chosen, needsNaN, pickNaN1, pickNaN2 } from "./nan";
import { isPlain, NOT_DONE, noteRounding, SIGN } from "./plain";
import { x87PlainAdd, x87PlainDivide, x87PlainMultiply, x87PlainRoot } from "./plain-registers";
import {
  checkPending,
  clearC1,
  isEmpty,
  popOne,
  popStack,
  precisionControl,
  register,
  roundingControl,
  roundToRegister,
  setIndefinite,
  setRegister,
  signal,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  writeResult,
} from "./unit";
import {
  isNormalDouble,
  isNormalSingle,
  signExponentOfDouble,
  signExponentOfSingle,
  significandOfDouble,
  significandOfSingle,
} from "./widen";

// Operations, numbered as in the reg field of D8 and DC with a memory operand.
const ADD: i32 = 0;
const MULTIPLY: i32 = 1;
const COMPARE: i32 = 2;
const COMPARE_POP: i32 = 3;
// FDIVR 7.
const SUBTRACT: i32 = 4;
const SUBTRACT_REVERSED: i32 = 5;
const DIVIDE: i32 = 6;

/** The second operand of an operation, in the extended format. */
class Operand {
  static significand: u64 = 0;
  static signExponent: u32 = 0;
  /** DENORMAL when the memory operand was denormal in its own format. */
  static raised: i32 = 0;
}

/** ST(dst) = ST(dst) op ST(src). A reversed operation exchanges its operands, not its destination. */
export function x87Arith(operation: i32, dst: i32, src: i32, pop: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (!isEmpty(src) && operateOnNormals(operation, dst, significandOf(src), signExponentOf(src))) {
    if (pop != 0) popOne();
    return STATUS_OK;
  }
  if (isEmpty(dst) || isEmpty(src)) {
    if (operation == COMPARE || operation == COMPARE_POP) {
      compareWithOperand(0, 0, 0, operation == COMPARE_POP ? 1 : pop, false, true);
    } else if (signalStackUnderflow()) {
      setIndefinite(dst);
      popStack(pop);
    }
    return STATUS_OK;
  }
  Operand.significand = significandOf(src);
  Operand.signExponent = signExponentOf(src);
  Operand.raised = 0;
  return operate(operation, dst, pop);
}

export function x87Arith32(operation: i32, bits: u32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (
    isNormalSingle(bits) &&
    operateOnNormals(operation, 0, significandOfSingle(bits), signExponentOfSingle(bits))
  )
    return STATUS_OK;
  unpackSingle(bits);
  return operateOnLeft(operation);
}

export function x87Arith64(operation: i32, bits: u64): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (
    isNormalDouble(bits) &&
    operateOnNormals(operation, 0, significandOfDouble(bits), signExponentOfDouble(bits))
  )
    return STATUS_OK;
  unpackDouble(bits);
  return operateOnLeft(operation);
}

export function x87ArithI32(operation: i32, value: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  unpackSigned(<i64>value);
  return operateOnLeft(operation);
}

export function x87ArithI16(operation: i32, value: i32): i32 {
  return x87ArithI32(operation, <i32>(<i16>value));
}

/** ST(dst) = ST(dst) op the operand where plain.ts can do it; else false, and nothing has changed. */
function operateOnNormals(operation: i32, dst: i32, significand: u64, signExponent: u32): bool {
  if (!isPlain() || isEmpty(dst)) return false;
  const address = register(dst);
  let result = NOT_DONE;
  if (operation == ADD) result = x87PlainAdd(address, 0, significand, signExponent);
  else if (operation == MULTIPLY) result = x87PlainMultiply(address, significand, signExponent);
  else if (operation == SUBTRACT) result = x87PlainAdd(address, 0, significand, signExponent ^ SIGN);
  else if (operation == SUBTRACT_REVERSED) result = x87PlainAdd(address, SIGN, significand, signExponent);
  else if (operation == DIVIDE) result = x87PlainDivide(address, 0, significand, signExponent);
  else if (operation > DIVIDE) result = x87PlainDivide(address, 1, significand, signExponent);
  return noteRounding(result);
}

/** ST(0) = ST(0) op the memory operand in `Left`. */
function operateOnLeft(operation: i32): i32 {
  Operand.raised = Left.denormal != 0 ? DENORMAL : 0;
  // A signalling NaN must stay one until the operation sees it.
  if (Left.kind == KIND_NAN) {
    Operand.significand = Left.significand;
    Operand.signExponent = ((<u32>Left.sign) << 15) | 0x7fff;
  } else {
    extendLeft();
    Operand.significand = Extended.significand;
    Operand.signExponent = Extended.signExponent;
  }
  if (isEmpty(0)) {
    if (operation == COMPARE || operation == COMPARE_POP) {
      compareWithOperand(0, 0, 0, operation - COMPARE, false, true);
    } else if (signalStackUnderflow()) {
      setIndefinite(0);
    }
    return STATUS_OK;
  }
  return operate(operation, 0, 0);
}

function operate(operation: i32, dst: i32, pop: i32): i32 {
  const significand = Operand.significand;
  const signExponent = Operand.signExponent;
  if (operation == COMPARE || operation == COMPARE_POP) {
    compareWithOperand(
      significand,
      signExponent,
      Operand.raised,
      operation == COMPARE_POP ? 1 : pop,
      false,
      false,
    );
    return STATUS_OK;
  }
  const own = significandOf(dst);
  const ownExponent = signExponentOf(dst);
  if (needsNaN(own, ownExponent) || needsNaN(significand, signExponent)) {
    const raised = pickNaN2(own, ownExponent, significand, signExponent);
    clearC1();
    if (signal(raised) & BEFORE_COMPUTATION) return STATUS_OK;
    setRegister(dst, Chosen.significand, Chosen.signExponent);
    popStack(pop);
    return STATUS_OK;
  }
  if (operation == SUBTRACT_REVERSED || operation > DIVIDE) {
    unpackExtended(own, ownExponent);
    moveLeftToRight();
    unpackExtended(significand, signExponent);
  } else {
    unpackExtended(significand, signExponent);
    moveLeftToRight();
    unpackExtended(own, ownExponent);
  }
  const denormal = Left.denormal | Right.denormal ? DENORMAL : Operand.raised;
  let found: i32;
  if (operation == ADD) found = add(0, roundingControl());
  else if (operation == MULTIPLY) found = multiply();
  else if (operation <= SUBTRACT_REVERSED) found = add(1, roundingControl());
  else found = divide();
  finish(found, denormal, dst, pop, precisionControl());
  return STATUS_OK;
}

/** Rounds `Result`, signals, and writes ST(dst) unless an exception keeps it. */
export function finish(found: i32, denormal: i32, dst: i32, pop: i32, precision: i32): void {
  if (found & INVALID) {
    clearC1();
    if (signal(INVALID) == 0) {
      setIndefinite(dst);
      popStack(pop);
    }
    return;
  }
  // Division by zero hides the denormal exception.
  const before = found != 0 ? found : denormal;
  clearC1();
  if (signal(before) != 0) return;
  signal(roundToRegister(precision));
  writeResult(dst);
  popStack(pop);
}

const CHANGE_SIGN: i32 = 0;
const ABSOLUTE: i32 = 1;
const SQUARE_ROOT: i32 = 2;

/** FCHS 0, FABS 1, FSQRT 2, FRNDINT 3. */
export function x87Unary(operation: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    if (signalStackUnderflow()) setIndefinite(0);
    return STATUS_OK;
  }
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  if (operation <= ABSOLUTE) {
    clearC1();
    store<u16>(
      register(0),
      <u16>(operation == CHANGE_SIGN ? signExponent ^ 0x8000 : signExponent & 0x7fff),
      8,
    );
    return STATUS_OK;
  }
  if (
    operation == SQUARE_ROOT &&
    isPlain() &&
    noteRounding(x87PlainRoot(register(0)))
  )
    return STATUS_OK;
  if (needsNaN(significand, signExponent)) {
    finishNaN1(significand, signExponent);
    return STATUS_OK;
  }
  unpackExtended(significand, signExponent);
  const denormal = Left.denormal ? DENORMAL : 0;
  if (operation == SQUARE_ROOT) {
    finish(squareRoot(), denormal, 0, 0, precisionControl());
    return STATUS_OK;
  }
  clearC1();
  if (signal(denormal) != 0) return STATUS_OK;
  signal(roundInFormat(roundingControl()));
  writeResult(0);
  return STATUS_OK;
}

/** The response to an operand of ST(0) that is a NaN or unsupported. */
export function finishNaN1(significand: u64, signExponent: u32): void {
  const raised = pickNaN1(significand, signExponent);
  clearC1();
  if (signal(raised) == 0) setRegister(0, Chosen.significand, Chosen.signExponent);
}
