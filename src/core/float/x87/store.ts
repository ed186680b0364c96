// FST, FIST, FISTTP, FBSTP, in two steps so that a fault of the memory write leaves no trace:
// `x87PrepareStore*` puts the value into STORED, the caller writes it to guest memory,
// `x87FinishStore` sets the flags and pops.
import { STATUS_OK } from "../../../layout/cpu-state";
import { SCRATCH } from "../../../layout/memory-map";
import { INEXACT, INVALID, OVERFLOW, ROUND_TRUNCATE, UNDERFLOW } from "../kernel/exception-flags";
import { Integer, roundToInteger, toSigned } from "../kernel/integer";
import {
  copyLeftToResult,
  KIND_FINITE,
  KIND_NAN,
  KIND_UNSUPPORTED,
  KIND_ZERO,
  Left,
  Result,
} from "../kernel/number";
import {
  DOUBLE_INDEFINITE,
  EXTENDED_INDEFINITE,
  EXTENDED_INDEFINITE_EXPONENT,
  packDouble,
  packSingle,
  roundToDouble,
  roundToSingle,
  SINGLE_INDEFINITE,
} from "../kernel/pack";
import { unpackExtended } from "../kernel/unpack";
import { Narrowed, narrowToDouble, narrowToSingle } from "./narrow";
import { isPlain } from "./plain";
import {
  checkPending,
  clearC1,
  isEmpty,
  markEmpty,
  popOne,
  popStack,
  register,
  roundingControl,
  STACK_FAULT,
  setC1,
  setIndefinite,
  setRegister,
  signal,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  unmaskedExceptions,
} from "./unit";

/** Low 8 bytes of the value to write; the rest of a 10-byte value follows. */
export const STORED: usize = SCRATCH + 40;
/** i32: not 0 when an unmasked exception keeps the value from being written. */
const KEPT: usize = SCRATCH + 56;

const QUIET: u64 = 0x4000000000000000;
const BCD_LIMIT: u64 = 1000000000000000000;
/** Unmasked, these keep a store from writing anything. */
const KEEP_FROM_STORING: i32 = INVALID | OVERFLOW | UNDERFLOW;

/** What the second step has to do. */
class Prepared {
  static raised: i32 = 0;
  static roundedUp: i32 = 0;
}

/** The caller writes STORED to guest memory unless KEPT says otherwise, then calls `x87FinishStore`. */
function prepared(raised: i32, roundedUp: i32): i32 {
  Prepared.raised = raised;
  Prepared.roundedUp = roundedUp;
  store<i32>(KEPT, raised & unmaskedExceptions() & KEEP_FROM_STORING);
  return STATUS_OK;
}

export function x87FinishStore(pop: i32): i32 {
  if (load<i32>(KEPT)) {
    setC1(0);
    signal(Prepared.raised & ~INEXACT);
    return STATUS_OK;
  }
  setC1(Prepared.roundedUp);
  signal(Prepared.raised);
  popStack(pop);
  return STATUS_OK;
}

function unpackTop(): void {
  unpackExtended(significandOf(0), signExponentOf(0));
}

export function x87PrepareStore32(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    store<u32>(STORED, SINGLE_INDEFINITE);
    return prepared(INVALID | STACK_FAULT, 0);
  }
  if (isPlain()) {
    const bits = narrowToSingle(significandOf(0), signExponentOf(0));
    if (bits != 0) {
      store<u32>(STORED, bits);
      return prepared(Narrowed.raised, Narrowed.roundedUp);
    }
  }
  unpackTop();
  if (Left.kind == KIND_UNSUPPORTED) {
    store<u32>(STORED, SINGLE_INDEFINITE);
    return prepared(INVALID, 0);
  }
  if (Left.kind == KIND_NAN) {
    store<u32>(STORED, ((<u32>Left.sign) << 31) | 0x7fc00000 | (<u32>(Left.significand >> 40) & 0x7fffff));
    return prepared(Left.significand & QUIET ? 0 : INVALID, 0);
  }
  copyLeftToResult();
  const raised = roundToSingle(roundingControl(), unmaskedExceptions(), false);
  store<u32>(STORED, packSingle());
  return prepared(raised, Result.roundedUp);
}

export function x87PrepareStore64(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    store<u64>(STORED, DOUBLE_INDEFINITE);
    return prepared(INVALID | STACK_FAULT, 0);
  }
  if (isPlain()) {
    const bits = narrowToDouble(significandOf(0), signExponentOf(0));
    if (bits != 0) {
      store<u64>(STORED, bits);
      return prepared(Narrowed.raised, Narrowed.roundedUp);
    }
  }
  unpackTop();
  if (Left.kind == KIND_UNSUPPORTED) {
    store<u64>(STORED, DOUBLE_INDEFINITE);
    return prepared(INVALID, 0);
  }
  if (Left.kind == KIND_NAN) {
    store<u64>(
      STORED,
      ((<u64>Left.sign) << 63) | 0x7ff8000000000000 | ((Left.significand >> 11) & 0xfffffffffffff),
    );
    return prepared(Left.significand & QUIET ? 0 : INVALID, 0);
  }
  copyLeftToResult();
  const raised = roundToDouble(roundingControl(), unmaskedExceptions(), false);
  store<u64>(STORED, packDouble());
  return prepared(raised, Result.roundedUp);
}

export function x87PrepareStore80(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    store<u64>(STORED, EXTENDED_INDEFINITE);
    store<u16>(STORED, <u16>EXTENDED_INDEFINITE_EXPONENT, 8);
    return prepared(INVALID | STACK_FAULT, 0);
  }
  store<u64>(STORED, significandOf(0));
  store<u16>(STORED, <u16>signExponentOf(0), 8);
  return prepared(0, 0);
}

function prepareInteger(bits: i32, mode: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    store<u64>(STORED, 0 - ((<u64>1) << (<u64>(bits - 1))));
    return prepared(INVALID | STACK_FAULT, 0);
  }
  unpackTop();
  const raised = toSigned(bits, mode);
  store<u64>(STORED, Integer.magnitude);
  return prepared(raised, Result.roundedUp);
}

export function x87PrepareStoreI16(): i32 {
  return prepareInteger(16, roundingControl());
}

export function x87PrepareStoreI32(): i32 {
  return prepareInteger(32, roundingControl());
}

export function x87PrepareStoreI64(): i32 {
  return prepareInteger(64, roundingControl());
}

export function x87PrepareStoreTruncI16(): i32 {
  return prepareInteger(16, ROUND_TRUNCATE);
}

export function x87PrepareStoreTruncI32(): i32 {
  return prepareInteger(32, ROUND_TRUNCATE);
}

export function x87PrepareStoreTruncI64(): i32 {
  return prepareInteger(64, ROUND_TRUNCATE);
}

export function x87PrepareStoreBcd(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  let raised = INVALID;
  if (isEmpty(0)) {
    raised |= STACK_FAULT;
  } else {
    unpackTop();
    if (Left.kind == KIND_FINITE || Left.kind == KIND_ZERO) {
      raised = roundToInteger(roundingControl());
      if (Integer.overflow == 0 && Integer.magnitude < BCD_LIMIT) {
        storeDigits(Integer.magnitude);
        return prepared(raised, Result.roundedUp);
      }
      raised = INVALID;
    }
  }
  store<u64>(STORED, 0xc000000000000000);
  store<u16>(STORED, 0xffff, 8);
  return prepared(raised, 0);
}

function storeDigits(magnitude: u64): void {
  let rest = magnitude;
  for (let n: usize = 0; n < 9; n++) {
    const pair = rest % 100;
    rest /= 100;
    store<u8>(STORED + n, <u8>(((pair / 10) << 4) | (pair % 10)));
  }
  store<u8>(STORED, <u8>(Left.sign << 7), 9);
}

/** FST ST(i), FSTP ST(i). */
export function x87StoreSt(i: i32, pop: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    if (signalStackUnderflow()) {
      setIndefinite(i);
      popStack(pop);
    }
    return STATUS_OK;
  }
  clearC1();
  setRegister(i, significandOf(0), signExponentOf(0));
  if (pop != 0) popOne();
  return STATUS_OK;
}

/** D9 D8+i: FSTP to a register that moves nothing out of an empty one, and raises nothing. */
export function x87MoveSt(i: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  setC1(0);
  if (!isEmpty(0)) setRegister(i, significandOf(0), signExponentOf(0));
  popStack(1);
  return STATUS_OK;
}

/** FXCH: an empty register takes part as the indefinite NaN. */
export function x87Exchange(i: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0) || isEmpty(i)) {
    if (!signalStackUnderflow()) return STATUS_OK;
    if (isEmpty(0)) setIndefinite(0);
    if (isEmpty(i)) setIndefinite(i);
  } else {
    clearC1();
    const top = register(0);
    const other = register(i);
    const significand = load<u64>(top);
    const signExponent = load<u16>(top, 8);
    store<u64>(top, load<u64>(other));
    store<u16>(top, load<u16>(other, 8), 8);
    store<u64>(other, significand);
    store<u16>(other, signExponent, 8);
    return STATUS_OK;
  }
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  setRegister(0, significandOf(i), signExponentOf(i));
  setRegister(i, significand, signExponent);
  return STATUS_OK;
}

/** FFREE ST(i); `pop` for FFREEP. */
export function x87Free(i: i32, pop: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  setC1(0);
  markEmpty(i);
  popStack(pop);
  return STATUS_OK;
}
