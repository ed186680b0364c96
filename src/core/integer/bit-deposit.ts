// PDEP and PEXT. SDM 2 "PDEP—Parallel Bits Deposit", "PEXT—Parallel Bits Extract".

/** Spreads the low bits of `source` over the bits that are set in `mask`. */
export function pdep(source: u64, mask: u64): u64 {
  let result: u64 = 0;
  let rest = source;
  for (let left = mask; left != 0; left &= left - 1) {
    if (rest & 1) result |= left & (0 - left);
    rest >>= 1;
  }
  return result;
}

/** Gathers the bits of `source` under the mask into the low bits. */
export function pext(source: u64, mask: u64): u64 {
  let result: u64 = 0;
  let place: u64 = 1;
  for (let left = mask; left != 0; left &= left - 1) {
    if (source & left & (0 - left)) result |= place;
    place <<= 1;
  }
  return result;
}
