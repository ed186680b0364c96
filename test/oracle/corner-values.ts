import { DATA_PAGES, IMAGE_BYTES, IMAGE_YMM, MEMORY_BYTES } from "./protocol.ts";
import type { Random } from "./random.ts";

/** Two 32-bit halves of a 64-bit value, low first, at `2 * index` of `to`. */
type Words = Uint32Array;

function put(to: Words, index: number, low: number, high: number): void {
  to[2 * index] = low;
  to[2 * index + 1] = high;
}

/** An integer: near a power of two, near zero, all ones, of one sign in some width, or random. */
export function putInteger(random: Random, to: Words, index: number): void {
  const kind = random.below(16);
  if (kind < 5) return put(to, index, random.next(), random.next());
  if (kind < 8) return putSigned(to, index, random.below(7) - 3);
  if (kind < 12) {
    const bit = random.below(64);
    const low = bit < 32 ? 1 << bit : 0;
    const high = bit < 32 ? 0 : 1 << (bit - 32);
    const step = random.below(4);
    if (step === 1) return putSum(to, index, low, high, -1);
    if (step === 2) return putSum(to, index, low, high, 1);
    if (step === 3) return putSum(to, index, ~low, ~high, 1);
    return put(to, index, low, high);
  }
  if (kind < 14) return putSigned(to, index, random.next() >> random.below(32));
  const byte = Math.imul(random.next() & 0xff, 0x0101_0101);
  if (kind === 14) return put(to, index, byte, byte);
  put(to, index, random.next(), 0);
}

export function putSigned(to: Words, index: number, value: number): void {
  put(to, index, value, value < 0 ? -1 : 0);
}

function putSum(to: Words, index: number, low: number, high: number, step: 1 | -1): void {
  const sum = (low + step) | 0;
  const carry = step === 1 ? (sum === 0 ? 1 : 0) : low === 0 ? -1 : 0;
  put(to, index, sum, high + carry);
}

/** An immediate operand, as a signed number. */
export function cornerImmediate(random: Random, bits: number): number {
  const kind = random.below(8);
  if (kind < 2) return random.below(5) - 2;
  if (kind < 4) return ((1 << random.below(bits)) + random.below(3) - 1) | 0;
  return random.next() | 0;
}

/** Bits of a binary32: zeros, infinities, NaNs with payloads, denormals, integers and halves, limits of conversions. */
export function cornerFloat32(random: Random): number {
  const sign = random.next() & 0x8000_0000;
  const fraction = random.next() & 0x7f_ffff;
  switch (random.below(16)) {
    case 0:
      return sign;
    case 1:
      return sign | 0x7f80_0000;
    case 2:
      return sign | 0x7fc0_0000 | (random.chance(50) ? fraction : 0);
    case 3:
      return sign | 0x7f80_0000 | (fraction & 0x3f_ffff) | 1;
    case 4:
      return sign | (random.chance(50) ? 1 << random.below(23) : fraction);
    case 5:
      return (
        sign |
        random.pick([
          0x0080_0000, 0x7f7f_ffff, 0x007f_ffff, 0x3f80_0000, 0x3f80_0001, 0x3f7f_ffff, 0x0000_0001,
        ])
      );
    case 6:
      return (
        sign |
        random.pick([
          0x4f00_0000, 0x4eff_ffff, 0x5f00_0000, 0x5eff_ffff, 0x4f80_0000, 0x5f80_0000, 0x4700_0000,
        ])
      );
    case 7:
    case 8:
      return sign | float32Bits(random.below(64) / 4);
    case 9:
      return (
        sign | ((127 + random.below(4)) << 23) | (fraction & (0x7f_ffff << random.below(23)) & 0x7f_ffff)
      );
    case 10:
      return sign | (random.below(30) << 23) | fraction;
    case 11:
      return sign | ((225 + random.below(30)) << 23) | fraction;
    case 12:
      return random.next();
    default:
      return sign | ((100 + random.below(56)) << 23) | fraction;
  }
}

const scratch = new DataView(new ArrayBuffer(8));
function float32Bits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
}

/** A binary64 of the same kinds, and values that narrow to binary32 at a halfway point or a limit. */
export function putFloat64(random: Random, to: Words, index: number): void {
  const sign = random.next() & 0x8000_0000;
  const fraction = random.next() & 0xf_ffff;
  const low = random.next();
  const exponent = (e: number) => e << 20;
  switch (random.below(18)) {
    case 0:
      return put(to, index, 0, sign);
    case 1:
      return put(to, index, 0, sign | 0x7ff0_0000);
    case 2:
      return put(
        to,
        index,
        random.chance(50) ? low : 0,
        sign | 0x7ff8_0000 | (random.chance(50) ? fraction : 0),
      );
    case 3:
      return put(to, index, low | 1, sign | 0x7ff0_0000 | (fraction & 0x7_ffff));
    case 4:
      return random.chance(50)
        ? put(to, index, 1 << random.below(32), sign)
        : put(to, index, low, sign | fraction);
    case 5:
      return put(
        to,
        index,
        0,
        sign | random.pick([0x0010_0000, 0x3ff0_0000, 0x41e0_0000, 0x43e0_0000, 0x41f0_0000, 0x43f0_0000]),
      );
    case 6:
      return put(
        to,
        index,
        -1,
        sign | random.pick([0x7fef_ffff, 0x000f_ffff, 0x3fef_ffff, 0x41df_ffff, 0x43df_ffff]),
      );
    case 7:
    case 8: {
      scratch.setFloat64(0, random.below(256) / 8);
      return put(to, index, scratch.getInt32(4), sign | scratch.getInt32(0));
    }
    case 9:
      return put(
        to,
        index,
        0x1000_0000 + (random.below(3) - 1),
        sign | exponent(1023 + random.below(3)) | fraction,
      );
    case 10:
      return put(
        to,
        index,
        low & (0xe000_0000 + random.below(2)),
        sign | exponent(random.pick([896, 897, 873, 874, 872, 1150, 1149])) | fraction,
      );
    case 11:
      return put(to, index, low, sign | exponent(random.below(60)) | fraction);
    case 12:
      return put(to, index, low, sign | exponent(1990 + random.below(57)) | fraction);
    case 13:
      return put(to, index, low, random.next());
    default:
      return put(to, index, low, sign | exponent(990 + random.below(66)) | fraction);
  }
}

/** An 80-bit value: `to[2 * index]`, `to[2 * index + 1]` significand; the next word sign and exponent. Includes the encodings that x87 calls unsupported. */
export function putFloat80(random: Random, to: Words, index: number): void {
  const sign = random.next() & 0x8000;
  const low = random.next();
  const high = random.next() | 0x8000_0000;
  const value = (exponent: number, h: number, l: number) => {
    put(to, index, l, h);
    put(to, index + 1, sign | exponent, 0);
  };
  switch (random.below(20)) {
    case 0:
      return value(0, 0, 0);
    case 1:
      return value(0x7fff, 0x8000_0000, 0);
    case 2:
      return value(0x7fff, 0xc000_0000 | high, random.chance(50) ? low : 0);
    case 3:
      return value(0x7fff, (high & 0xbfff_ffff) >>> 0, low | 1);
    case 4:
      return value(0, high & 0x7fff_ffff & random.next(), low);
    case 5:
      return value(0, high, low); // pseudo-denormal
    case 6:
      return random.chance(30)
        ? value(random.below(0x8000), high & 0x7fff_ffff, low)
        : value(0x3fff, 0x8000_0000, 0);
    case 7:
      return value(random.pick([1, 0x7ffe, 0x3ffe, 0x3fff, 0x4000]), -1, -1);
    case 8:
      return value(
        random.pick([1, 0x3ffe, 0x3fff, 0x401e, 0x403e, 0x403d, 0x400e]),
        0x8000_0000,
        random.below(3),
      );
    case 9:
    case 10: {
      const integer = 1 + random.below(0x1_0000);
      const shift = Math.clz32(integer);
      return value(0x3fff + 31 - shift - random.below(4), integer << shift, 0);
    }
    case 11:
      return value(random.below(80), high, low);
    case 12:
      return value(0x7fff - random.below(80), high, low);
    case 13:
      return value(0x3fff - 150 + random.below(40), high, low);
    case 14:
      return value(
        0x3fff + random.below(4),
        high,
        low & random.pick([0xffff_f800, 0xffff_fc00, 0x400, 0x800]),
      );
    case 15:
      return value(random.below(0x7fff), high, low);
    default:
      return value(0x3fff - 30 + random.below(100), high, low);
  }
}

/** An MXCSR that LDMXCSR accepts. */
export function cornerMxcsr(random: Random): number {
  if (random.chance(50)) return 0x1f80;
  let value = 0x1f80 | (random.below(4) << 13);
  if (random.chance(50)) value |= random.below(64);
  if (random.chance(30)) value |= 0x8000;
  if (random.chance(30)) value |= 0x40;
  if (random.chance(15)) value &= ~(random.below(64) << 7);
  return value;
}

/** An x87 control word: precision control 01 is reserved and left out. */
export function cornerControlWord(random: Random): number {
  if (random.chance(40)) return 0x37f;
  const masks = random.chance(20) ? random.below(64) : 0x3f;
  return 0x40 | masks | (random.pick([0, 2, 3, 3]) << 8) | (random.below(4) << 10);
}

/** The x87 and SSE state after FNINIT and reset of MXCSR, all registers 0. */
export function initialImage(): Uint8Array {
  const image = new Uint8Array(IMAGE_BYTES);
  const view = new DataView(image.buffer);
  view.setUint16(0, 0x037f, true);
  view.setUint32(24, 0x1f80, true);
  return image;
}

/** Images for a batch; the first is `initialImage`. */
export function randomImages(random: Random, count: number): Uint8Array {
  const all = new Uint32Array((count * IMAGE_BYTES) / 4);
  for (let i = 1; i < count; i++)
    fillImage(random, all.subarray((i * IMAGE_BYTES) / 4, ((i + 1) * IMAGE_BYTES) / 4));
  const bytes = new Uint8Array(all.buffer);
  bytes.set(initialImage());
  return bytes;
}

function fillImage(random: Random, words: Words): void {
  const control = cornerControlWord(random);
  let status = random.chance(50) ? 0 : random.next() & 0x477f;
  status |= random.below(8) << 11;
  // A pending unmasked exception makes the next x87 instruction fault: seldom.
  if (random.chance(95)) status &= ~(~control & 0x3f);
  if ((status & ~control & 0x3f) !== 0) status |= 0x8080;
  const full = random.pick([0xff, 0xff, 0xff, 0x00, random.next() & 0xff, random.next() & 0xff]);
  words[0] = control | (status << 16);
  words[1] = full;
  words[6] = cornerMxcsr(random);
  const asMmx = random.chance(30);
  for (let i = 0; i < 8; i++) {
    putFloat80(random, words, 4 + 2 * i);
    if (asMmx) {
      putInteger(random, words, 4 + 2 * i);
      put(words, 5 + 2 * i, 0xffff, 0);
    }
  }
  for (let i = 0; i < 16; i++) fillVector(random, words, 20 + 2 * i);
  // The upper halves of the YMM registers, which are often all zero.
  if (random.chance(75)) for (let i = 0; i < 16; i++) fillVector(random, words, IMAGE_YMM / 8 + 2 * i);
}

function fillVector(random: Random, words: Words, index: number): void {
  const kind = random.below(6);
  for (let half = index; half < index + 2; half++) {
    // Small numbers, such as indices.
    if (kind === 4) putSigned(words, half, random.below(256) - 128);
    else if (kind === 5) put(words, half, random.below(256) - 128, random.below(256) - 128);
    else if (kind === 0) putFloat64(random, words, half);
    else if (kind === 1) put(words, half, cornerFloat32(random), cornerFloat32(random));
    else putInteger(random, words, half);
  }
}

/** Contents of the data pages: corner values of all kinds in turn. */
export function randomMemory(random: Random): Uint8Array {
  const words = new Uint32Array(MEMORY_BYTES / 4);
  for (let i = 0; i < MEMORY_BYTES / 8; i++) {
    const kind = random.below(8);
    if (kind === 0) putFloat64(random, words, i);
    else if (kind === 1) put(words, i, cornerFloat32(random), cornerFloat32(random));
    else if (kind === 2) put(words, i, random.pick(DATA_PAGES).address + random.below(4096), 0);
    else putInteger(random, words, i);
  }
  return new Uint8Array(words.buffer);
}
