import type { CodeBits } from "../../src/decode/decoder.ts";
import type { Random } from "../oracle/random.ts";

/** Bytes a slot: an instruction and what its tail decodes to end before the next slot begins. */
export const SLOT_BYTES = 32;
/** The bytes of a slot that are random; NOPs follow. */
export const RANDOM_BYTES = 16;

const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0xf2, 0xf3];
const CORNER_BYTES = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xc0, 0x05, 0x25, 0x04, 0x24];

/** `count` slots, each with bytes that begin like an instruction: prefixes, then an opcode of some map. */
export function randomSlots(random: Random, count: number, codeBits: CodeBits): Uint8Array {
  const code = new Uint8Array(count * SLOT_BYTES).fill(0x90);
  for (let i = 0; i < count; i++) {
    const at = i * SLOT_BYTES;
    writeRandom(random, code.subarray(at, at + RANDOM_BYTES), codeBits);
    // objdump skips runs of zeros.
    if (code[at] === 0) code[at] = 0x66;
  }
  return code;
}

function writeRandom(random: Random, slot: Uint8Array, codeBits: CodeBits): void {
  let at = 0;
  const put = (byte: number) => {
    if (at < slot.length) slot[at++] = byte;
  };
  const prefixes = random.chance(45) ? 0 : random.chance(5) ? random.below(16) : 1 + random.below(3);
  for (let i = 0; i < prefixes; i++) put(random.pick(PREFIXES));
  if (codeBits === 64 && random.chance(30)) put(0x40 + random.below(16));
  if (random.chance(25)) {
    writeVex(random, put);
    while (at < slot.length) put(random.chance(20) ? random.pick(CORNER_BYTES) : random.below(256));
    return;
  }
  const map = random.below(100);
  if (map < 46) put(0x0f);
  if (map < 3) put(0x38);
  else if (map < 6) put(0x3a);
  put(random.below(256));
  while (at < slot.length) put(random.chance(20) ? random.pick(CORNER_BYTES) : random.below(256));
}

/** A VEX prefix and an opcode: mostly of a map that has any, and mostly with vvvv all ones or used. */
function writeVex(random: Random, put: (byte: number) => void): void {
  const rest = (random.chance(50) ? 0x78 : random.below(16) << 3) | random.below(8);
  if (random.chance(30)) {
    put(0xc5);
    put((random.chance(80) ? 0x80 : 0) | rest);
  } else {
    put(0xc4);
    put((random.below(8) << 5) | (random.chance(95) ? 1 + random.below(3) : random.below(32)));
    put((random.chance(30) ? 0x80 : 0) | rest);
  }
  put(random.below(256));
}

/**
 * The same code with each REX that another prefix follows, and which is thus
 * ignored, replaced by an ES prefix, which is ignored too: objdump would take
 * the REX for an instruction of its own.
 */
export function withoutIgnoredRex(code: Uint8Array): Uint8Array {
  const canonical = code.slice();
  for (let start = 0; start < code.length; start += SLOT_BYTES) {
    let at = start;
    while (at < start + RANDOM_BYTES && isPrefix(code[at]!)) at++;
    for (at -= 2; at >= start; at--) if ((canonical[at]! & 0xf0) === 0x40) canonical[at] = 0x26;
  }
  return canonical;
}

/** Whether 64-bit code takes the byte for a prefix. */
export function isPrefix(byte: number): boolean {
  return PREFIXES.includes(byte) || (byte & 0xf0) === 0x40;
}
