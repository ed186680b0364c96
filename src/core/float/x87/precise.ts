// Numbers with a significand of 128 bits, for the transcendental instructions. An
// accumulator holds (high, low) / 2^127 * 2^exponent with bit 127 set; errors of
// its operations are a few units in the last place.
import { KIND_FINITE, setResult } from "../kernel/number";
import { multiplyWide, Wide } from "../kernel/wide";

const TOP_BIT: u64 = 0x8000000000000000;

export class Acc {
  static sign: i32 = 0;
  static exponent: i32 = 0;
  static high: u64 = 0;
  static low: u64 = 0;
}

/** A fixed point number of 128 bits; each function says how many of them are fraction. */
export class Fixed {
  static high: u64 = 0;
  static low: u64 = 0;
}

export function setAcc(sign: i32, exponent: i32, high: u64, low: u64): void {
  Acc.sign = sign;
  Acc.exponent = exponent;
  Acc.high = high;
  Acc.low = low;
  normalise();
}

function normalise(): void {
  if (Acc.high == 0) {
    if (Acc.low == 0) return;
    Acc.high = Acc.low;
    Acc.low = 0;
    Acc.exponent -= 64;
  }
  const shift = clz(Acc.high);
  if (shift == 0) return;
  Acc.high = (Acc.high << shift) | (Acc.low >> (64 - shift));
  Acc.low <<= shift;
  Acc.exponent -= <i32>shift;
}

/** Upper 128 bits of the product of two 128-bit numbers, in `Fixed`. */
export function multiplyFixed(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): void {
  let high = multiplyWide(aHigh, bHigh);
  let low = Wide.rest;
  const first = multiplyWide(aHigh, bLow);
  const firstRest = Wide.rest;
  const second = multiplyWide(aLow, bHigh);
  const carry: u64 = firstRest + Wide.rest < firstRest ? 1 : 0;
  low += first;
  if (low < first) high++;
  low += second;
  if (low < second) high++;
  low += carry;
  if (low < carry) high++;
  Fixed.high = high;
  Fixed.low = low;
}

/** Acc *= a positive number. */
export function multiplyAcc(exponent: i32, high: u64, low: u64): void {
  multiplyFixed(Acc.high, Acc.low, high, low);
  setAcc(Acc.sign, Acc.exponent + exponent + 1, Fixed.high, Fixed.low);
}

/** Acc /= a positive number with bit 127 set, one bit after the other. */
export function divideAcc(exponent: i32, high: u64, low: u64): void {
  let restHigh = Acc.high;
  let restLow = Acc.low;
  let quotientHigh: u64 = 0;
  let quotientLow: u64 = 0;
  let carry = false;
  for (let n = 0; n < 128; n++) {
    quotientHigh = (quotientHigh << 1) | (quotientLow >> 63);
    quotientLow <<= 1;
    if (carry || restHigh > high || (restHigh == high && restLow >= low)) {
      const borrow: u64 = restLow < low ? 1 : 0;
      restLow -= low;
      restHigh = restHigh - high - borrow;
      quotientLow |= 1;
    }
    carry = <i64>restHigh < 0;
    restHigh = (restHigh << 1) | (restLow >> 63);
    restLow <<= 1;
  }
  setAcc(Acc.sign, Acc.exponent - exponent, quotientHigh, quotientLow);
}

/** Acc += a number with bit 127 set. */
export function addAcc(sign: i32, exponent: i32, high: u64, low: u64): void {
  let aSign = Acc.sign;
  let aExponent = Acc.exponent;
  let aHigh = Acc.high;
  let aLow = Acc.low;
  let bSign = sign;
  let bExponent = exponent;
  let bHigh = high;
  let bLow = low;
  if (
    bExponent > aExponent ||
    (bExponent == aExponent && (bHigh > aHigh || (bHigh == aHigh && bLow > aLow)))
  ) {
    aSign = sign;
    aExponent = exponent;
    aHigh = high;
    aLow = low;
    bSign = Acc.sign;
    bExponent = Acc.exponent;
    bHigh = Acc.high;
    bLow = Acc.low;
  }
  const distance = aExponent - bExponent;
  if (distance >= 128) {
    bHigh = 0;
    bLow = 1;
  } else if (distance >= 64) {
    bLow = (bHigh >> <u64>(distance - 64)) | 1;
    bHigh = 0;
  } else if (distance > 0) {
    bLow = (bLow >> <u64>distance) | (bHigh << (<u64>(64 - distance)));
    bHigh >>= <u64>distance;
  }
  if (aSign == bSign) {
    const low128 = aLow + bLow;
    const carry: u64 = low128 < aLow ? 1 : 0;
    const partial = aHigh + bHigh;
    const sum = partial + carry;
    if (partial < aHigh || sum < partial)
      setAcc(aSign, aExponent + 1, (sum >> 1) | TOP_BIT, (low128 >> 1) | (sum << 63));
    else setAcc(aSign, aExponent, sum, low128);
  } else {
    const borrow: u64 = aLow < bLow ? 1 : 0;
    setAcc(aSign, aExponent, aHigh - bHigh - borrow, aLow - bLow);
  }
}

/** The magnitude of `Acc`, which is below 1, with 128 fraction bits in `Fixed`. */
export function fractionOfAcc(): void {
  const shift = -1 - Acc.exponent;
  if (shift >= 128) {
    Fixed.high = 0;
    Fixed.low = 0;
  } else if (shift >= 64) {
    Fixed.high = 0;
    Fixed.low = Acc.high >> <u64>(shift - 64);
  } else if (shift > 0) {
    Fixed.high = Acc.high >> <u64>shift;
    Fixed.low = (Acc.low >> <u64>shift) | (Acc.high << (<u64>(64 - shift)));
  } else {
    Fixed.high = Acc.high;
    Fixed.low = Acc.low;
  }
}

/**
 * The sum of coefficient n times (x or -x) to the n, with 127 fraction bits in `Fixed`; x has 128.
 * Each coefficient must exceed x times the next. A first coefficient of 1 never
 * comes out as 1: what is lost to precision still shows in directed rounding.
 */
export function sumSeries(
  highs: StaticArray<u64>,
  lows: StaticArray<u64>,
  xHigh: u64,
  xLow: u64,
  alternating: bool,
): void {
  // Terms that cannot reach the last bit are left out.
  const bits = xHigh != 0 ? <i32>clz(xHigh) : 64;
  const terms = min<i32>(highs.length, bits > 3 ? 128 / bits + 2 : highs.length);
  let high = unchecked(highs[terms - 1]);
  let low = unchecked(lows[terms - 1]);
  for (let n = terms - 2; n >= 0; n--) {
    multiplyFixed(high, low, xHigh, xLow);
    const nextLow = unchecked(lows[n]);
    const nextHigh = unchecked(highs[n]);
    if (alternating) {
      const borrow: u64 = nextLow < Fixed.low ? 1 : 0;
      low = nextLow - Fixed.low;
      high = nextHigh - Fixed.high - borrow;
    } else {
      low = nextLow + Fixed.low;
      high = nextHigh + Fixed.high + (low < nextLow ? 1 : 0);
    }
  }
  if (high == TOP_BIT && low == 0) {
    if (alternating) {
      high--;
      low--;
    } else {
      low++;
    }
  }
  Fixed.high = high;
  Fixed.low = low;
}

/** Acc *= the sum of a series in powers of Acc^2. */
export function multiplyByOddSeries(
  highs: StaticArray<u64>,
  lows: StaticArray<u64>,
  alternating: bool,
): void {
  fractionOfAcc();
  multiplyFixed(Fixed.high, Fixed.low, Fixed.high, Fixed.low);
  sumSeries(highs, lows, Fixed.high, Fixed.low, alternating);
  const high = Fixed.high;
  const low = Fixed.low;
  multiplySum(high, low);
}

/** Acc *= a fixed point number with 127 fraction bits. */
export function multiplySum(high: u64, low: u64): void {
  const sign = Acc.sign;
  const exponent = Acc.exponent;
  const accHigh = Acc.high;
  const accLow = Acc.low;
  setAcc(0, 0, high, low);
  multiplyAcc(exponent, accHigh, accLow);
  Acc.sign = sign;
}

/** `Result` from `Acc`; the true value is never exactly representable. */
export function setResultFromAcc(): void {
  setResult(KIND_FINITE, Acc.sign, Acc.exponent, Acc.high, Acc.low | 1);
}
