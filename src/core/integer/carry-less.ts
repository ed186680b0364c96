// PCLMULQDQ. SDM 2 "PCLMULQDQ—Carry-Less Multiplication Quadword".
import { RESULT, RESULT_SECOND } from "../system/results";

/** The product of two polynomials over GF(2): low half in RESULT, high half in RESULT_SECOND. */
export function multiplyCarryLess(a: u64, b: u64): void {
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: u64 = 0; i < 64; i++) {
    const chosen = 0 - ((b >> i) & 1);
    low ^= (a << i) & chosen;
    // Two steps, because a shift by 64 is none.
    high ^= ((a >> 1) >> (63 - i)) & chosen;
  }
  store<u64>(RESULT, low);
  store<u64>(RESULT_SECOND, high);
}
