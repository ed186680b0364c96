// What SCAS and CMPS share: the flags of a comparison, and how far a run of elements goes.
import { CPU_STATE } from "../../layout/memory-map";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y } from "../../layout/cpu-state";

const AUXILIARY: i64 = 16;

/** The flags of `left - right`, in the lazy form of layout/cpu-state.ts. Both are zero-extended elements. */
export function setComparisonFlags(left: u64, right: u64, bytes: i32): void {
  const x = extend(left, bytes);
  const y = extend(right, bytes);
  store<i32>(CPU_STATE + FLAG_C, left < right ? 1 : 0);
  store<i64>(CPU_STATE + FLAG_R, extend(left - right, bytes));
  store<i64>(CPU_STATE + FLAG_X, x);
  store<i64>(CPU_STATE + FLAG_Y, ~y ^ AUXILIARY);
}

// @ts-ignore: decorator
@inline
function extend(value: u64, bytes: i32): i64 {
  const shift = <i64>(64 - bytes * 8);
  return (<i64>value << shift) >> shift;
}

/**
 * How many elements a repeated comparison with a constant goes through:
 * up to and with the first whose equality is not `whileEqual`, at most `count`.
 */
export function scanRun(host: usize, count: usize, step: isize, bytes: i32, value: u64, whileEqual: bool): usize {
  if (bytes == 1) return scan<u8>(host, count, step, <u8>value, whileEqual);
  if (bytes == 2) return scan<u16>(host, count, step, <u16>value, whileEqual);
  if (bytes == 4) return scan<u32>(host, count, step, <u32>value, whileEqual);
  return scan<u64>(host, count, step, value, whileEqual);
}

function scan<T>(host: usize, count: usize, step: isize, value: T, whileEqual: bool): usize {
  let at = host;
  let done: usize = 0;
  while (done < count) {
    done++;
    if ((load<T>(at) == value) != whileEqual) break;
    at += step;
  }
  return done;
}

/** As scanRun, for two strings. */
export function compareRun(left: usize, right: usize, count: usize, step: isize, bytes: i32, whileEqual: bool): usize {
  if (bytes == 1) return compare<u8>(left, right, count, step, whileEqual);
  if (bytes == 2) return compare<u16>(left, right, count, step, whileEqual);
  if (bytes == 4) return compare<u32>(left, right, count, step, whileEqual);
  return compare<u64>(left, right, count, step, whileEqual);
}

function compare<T>(left: usize, right: usize, count: usize, step: isize, whileEqual: bool): usize {
  let done: usize = 0;
  while (done < count) {
    done++;
    if ((load<T>(left) == load<T>(right)) != whileEqual) break;
    left += step;
    right += step;
  }
  return done;
}
