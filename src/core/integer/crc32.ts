// CRC32: the Castagnoli polynomial. SDM 2 "CRC32—Accumulate CRC32 Value".

/** 0x11edc6f41 with its bits reversed and without the highest. */
const POLYNOMIAL: u32 = 0x82f63b78;

/** Goes on with the low `bits` bits of `value`: 8, 16, 32 or 64. */
export function crc32(crc: u32, value: u64, bits: i32): u32 {
  let rest = crc;
  for (let at = 0; at < bits; at += 8) {
    rest ^= <u32>(value >> <u64>at) & 0xff;
    for (let i = 0; i < 8; i++) rest = (rest >> 1) ^ (POLYNOMIAL & (0 - (rest & 1)));
  }
  return rest;
}
