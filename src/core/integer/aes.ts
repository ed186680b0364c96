// AES. FIPS 197, "Advanced Encryption Standard"; SDM 2 "AESENC—Perform One Round of an AES Encryption Flow" and its kin.
//
// A state is 16 bytes, column by column. The S-boxes are computed once, from inverses in GF(2^8).
import { RESULT, RESULT_SECOND } from "../system/results";

const SUBSTITUTES: usize = memory.data(256);
const INVERSE_SUBSTITUTES: usize = memory.data(256);
const STATE: usize = memory.data(16, 16);
const NEXT: usize = memory.data(16, 16);

// Each processor has an instance of its own over the same memory, and each writes the same values.
let prepared: bool = false;

/** Multiplication by x, modulo x^8 + x^4 + x^3 + x + 1. */
// @ts-ignore: decorator
@inline
function doubled(a: u32): u32 {
  return ((a << 1) ^ (a & 0x80 ? 0x1b : 0)) & 0xff;
}

/** FIPS 197, "SubBytes()": the powers of a generator give inverses, an affine map the rest. */
function prepare(): void {
  let power: u32 = 1;
  let inverse: u32 = 1;
  do {
    // Times x + 1, and divided by it.
    power ^= doubled(power);
    inverse ^= inverse << 1;
    inverse ^= inverse << 2;
    inverse ^= inverse << 4;
    inverse &= 0xff;
    if (inverse & 0x80) inverse ^= 0x09;
    const spread = inverse | (inverse << 8);
    const substitute = (inverse ^ (spread >> 7) ^ (spread >> 6) ^ (spread >> 5) ^ (spread >> 4) ^ 0x63) & 0xff;
    enter(power, substitute);
  } while (power != 1);
  enter(0, 0x63);
  prepared = true;
}

function enter(value: u32, substitute: u32): void {
  store<u8>(SUBSTITUTES + value, <u8>substitute);
  store<u8>(INVERSE_SUBSTITUTES + substitute, <u8>value);
}

function begin(low: u64, high: u64): void {
  if (!prepared) prepare();
  store<u64>(STATE, low);
  store<u64>(STATE, high, 8);
}

function finish(from: usize): void {
  store<u64>(RESULT, load<u64>(from));
  store<u64>(RESULT_SECOND, load<u64>(from, 8));
}

/** ShiftRows and SubBytes of one round without the key; `last` leaves MixColumns out. */
export function aesEncrypt(low: u64, high: u64, last: i32): void {
  begin(low, high);
  // Row r of column c comes from column c + r.
  for (let i: u32 = 0; i < 16; i++) {
    const source = (i + 4 * (i & 3)) & 15;
    store<u8>(NEXT + i, load<u8>(SUBSTITUTES + load<u8>(STATE + source)));
  }
  if (!last) for (let column: usize = 0; column < 16; column += 4) mixColumn(NEXT + column);
  finish(NEXT);
}

/** The same of decryption (InvShiftRows, InvSubBytes, InvMixColumns). */
export function aesDecrypt(low: u64, high: u64, last: i32): void {
  begin(low, high);
  for (let i: u32 = 0; i < 16; i++) {
    const source = (i - 4 * (i & 3)) & 15;
    store<u8>(NEXT + i, load<u8>(INVERSE_SUBSTITUTES + load<u8>(STATE + source)));
  }
  if (!last) for (let column: usize = 0; column < 16; column += 4) inverseMixColumn(NEXT + column);
  finish(NEXT);
}

/** AESIMC: InvMixColumns alone. */
export function aesInverseMix(low: u64, high: u64): void {
  begin(low, high);
  for (let column: usize = 0; column < 16; column += 4) inverseMixColumn(STATE + column);
  finish(STATE);
}

/** SubWord of the four bytes of a word. */
export function aesSubstituteWord(word: u32): u32 {
  if (!prepared) prepare();
  let result: u32 = 0;
  for (let shift: u32 = 0; shift < 32; shift += 8)
    result |= <u32>load<u8>(SUBSTITUTES + ((word >> shift) & 0xff)) << shift;
  return result;
}

/** FIPS 197, "MixColumns()". */
function mixColumn(at: usize): void {
  const a = <u32>load<u8>(at);
  const b = <u32>load<u8>(at, 1);
  const c = <u32>load<u8>(at, 2);
  const d = <u32>load<u8>(at, 3);
  const all = a ^ b ^ c ^ d;
  store<u8>(at, <u8>(a ^ all ^ doubled(a ^ b)));
  store<u8>(at, <u8>(b ^ all ^ doubled(b ^ c)), 1);
  store<u8>(at, <u8>(c ^ all ^ doubled(c ^ d)), 2);
  store<u8>(at, <u8>(d ^ all ^ doubled(d ^ a)), 3);
}

/** InvMixColumns is MixColumns behind a multiplication by 4x^2 + 5. */
function inverseMixColumn(at: usize): void {
  const a = <u32>load<u8>(at);
  const b = <u32>load<u8>(at, 1);
  const c = <u32>load<u8>(at, 2);
  const d = <u32>load<u8>(at, 3);
  const even = doubled(doubled(a ^ c));
  const odd = doubled(doubled(b ^ d));
  store<u8>(at, <u8>(a ^ even));
  store<u8>(at, <u8>(b ^ odd), 1);
  store<u8>(at, <u8>(c ^ even), 2);
  store<u8>(at, <u8>(d ^ odd), 3);
  mixColumn(at);
}
