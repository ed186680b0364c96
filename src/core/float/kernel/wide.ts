// 128-bit integer steps. A function returns one half and leaves the other in `Wide`.

export class Wide {
  /** Low half of a product, or remainder of a division. */
  static rest: u64 = 0;
}

/** The high half of a * b; the low half in `Wide.rest`. */
export function multiplyWide(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const cross = aLow * bHigh + (middle & 0xffffffff);
  Wide.rest = (cross << 32) | (low & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

/**
 * (high, low) / divisor with high < divisor and bit 63 of the divisor set; the remainder in `Wide.rest`.
 * Two steps of Knuth's algorithm D with 32-bit digits.
 */
export function divideWide(high: u64, low: u64, divisor: u64): u64 {
  const first = divideDigit(high, low >> 32, divisor);
  const second = divideDigit(Wide.rest, low & 0xffffffff, divisor);
  return (first << 32) | second;
}

function divideDigit(high: u64, digit: u64, divisor: u64): u64 {
  const top = divisor >> 32;
  const bottom = divisor & 0xffffffff;
  let quotient = high / top;
  let rest = high - quotient * top;
  while (quotient > 0xffffffff || quotient * bottom > ((rest << 32) | digit)) {
    quotient--;
    rest += top;
    if (rest > 0xffffffff) break;
  }
  Wide.rest = ((high << 32) | digit) - quotient * divisor;
  return quotient;
}
