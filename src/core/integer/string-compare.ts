// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. SDM 2 "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM /
// PCMPISTRI / PCMPISTRM": the names of its stages are used here.

const FIRST: usize = memory.data(16, 16);
const SECOND: usize = memory.data(16, 16);

/** In the result, above IntRes2: the first or the second string ends within its vector. */
const FIRST_ENDS: i32 = 1 << 16;
const SECOND_ENDS: i32 = 1 << 17;

const EQUAL_ANY: i32 = 0;
const RANGES: i32 = 1;
const EQUAL_EACH: i32 = 2;

/** Lengths as EAX and EDX, or RAX and RDX, have them, sign-extended. */
export function compareStringsExplicit(
  aLow: u64,
  aHigh: u64,
  bLow: u64,
  bHigh: u64,
  aLength: i64,
  bLength: i64,
  control: i32,
): i32 {
  place(aLow, aHigh, bLow, bHigh);
  const count: i64 = control & 1 ? 8 : 16;
  return compare(<i32>saturated(aLength, count), <i32>saturated(bLength, count), control);
}

/** The strings end before their first zero. */
export function compareStringsImplicit(aLow: u64, aHigh: u64, bLow: u64, bHigh: u64, control: i32): i32 {
  place(aLow, aHigh, bLow, bHigh);
  return compare(lengthOf(FIRST, control), lengthOf(SECOND, control), control);
}

function place(aLow: u64, aHigh: u64, bLow: u64, bHigh: u64): void {
  store<u64>(FIRST, aLow);
  store<u64>(FIRST, aHigh, 8);
  store<u64>(SECOND, bLow);
  store<u64>(SECOND, bHigh, 8);
}

/** The absolute value, at most `count`. The most negative number has none that fits. */
function saturated(length: i64, count: i64): i64 {
  const magnitude: u64 = length < 0 ? 0 - <u64>length : <u64>length;
  return magnitude > <u64>count ? count : <i64>magnitude;
}

function lengthOf(string: usize, control: i32): i32 {
  const count = control & 1 ? 8 : 16;
  let length = 0;
  while (length < count && element(string, length, control) != 0) length++;
  return length;
}

/** Bytes or words, by bit 0 of the control byte; signed by bit 1. */
function element(string: usize, index: i32, control: i32): i32 {
  if (control & 1) {
    const word = string + (<usize>index << 1);
    return control & 2 ? <i32>load<i16>(word) : <i32>load<u16>(word);
  }
  return control & 2 ? <i32>load<i8>(string + <usize>index) : <i32>load<u8>(string + <usize>index);
}

/** IntRes2 in bits 0 to 15, then which strings end. */
function compare(aLength: i32, bLength: i32, control: i32): i32 {
  const count = control & 1 ? 8 : 16;
  let result = 0;
  for (let j = 0; j < count; j++) if (aggregated(j, aLength, bLength, count, control)) result |= 1 << j;
  if (control & 0x10) {
    // With bit 5, only what lies within the second string is inverted.
    const masked = control & 0x20 ? bLength : count;
    result ^= (1 << masked) - 1;
  }
  if (aLength < count) result |= FIRST_ENDS;
  if (bLength < count) result |= SECOND_ENDS;
  return result;
}

/** Bit `j` of IntRes1. */
function aggregated(j: i32, aLength: i32, bLength: i32, count: i32, control: i32): bool {
  const operation = (control >> 2) & 3;
  if (operation == EQUAL_EACH) {
    if (j >= aLength || j >= bLength) return j >= aLength && j >= bLength;
    return element(FIRST, j, control) == element(SECOND, j, control);
  }
  if (operation == EQUAL_ANY) {
    if (j >= bLength) return false;
    for (let i = 0; i < aLength; i++)
      if (element(FIRST, i, control) == element(SECOND, j, control)) return true;
    return false;
  }
  if (operation == RANGES) {
    if (j >= bLength) return false;
    const value = element(SECOND, j, control);
    for (let i = 0; i + 1 < aLength; i += 2)
      if (value >= element(FIRST, i, control) && value <= element(FIRST, i + 1, control)) return true;
    return false;
  }
  // Equal ordered: the first string, from here on, as far as the vector reaches.
  for (let i = 0; i < aLength && i + j < count; i++) {
    if (i + j >= bLength || element(FIRST, i, control) != element(SECOND, i + j, control)) return false;
  }
  return true;
}
