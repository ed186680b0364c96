import { CODE_BASE, DATA_BASE, DATA_PAGES, PAGE_BYTES, WRITABLE_CODE } from "./protocol.ts";
import type { Random } from "./random.ts";

const WRITABLE = DATA_PAGES.filter((p) => p.writable).map((p) => p.address);
const READ_ONLY = DATA_PAGES.filter((p) => !p.writable).map((p) => p.address);
/** Where one kind of page ends and another begins. */
const BORDERS = [1, 2, 3, 4, 5, 6, 7].map((page) => DATA_BASE + page * PAGE_BYTES);
const ELSEWHERE = [
  0,
  DATA_BASE,
  DATA_BASE + 4 * PAGE_BYTES,
  CODE_BASE,
  CODE_BASE + PAGE_BYTES,
  WRITABLE_CODE,
  0x7fff_0000,
];

/** The strictest alignment that an operand can need: that of a 32-byte vector. */
const STRICTEST_ALIGNMENT = 32;

/** Where a memory operand of `bytes` shall lie: on a writable page, and aligned if misalignment is likely to fault. */
export function chooseQuietAddress(random: Random, bytes: number, alignedPercent: number): number {
  const mask =
    random.chance(alignedPercent) || alignedPercent > 90 ? -Math.min(bytes, STRICTEST_ALIGNMENT) : -1;
  return random.pick(WRITABLE) + (random.below(PAGE_BYTES - bytes) & mask);
}

/** Where a memory operand of `bytes` shall lie: mostly on a writable page, sometimes across or beyond a border. */
export function chooseAddress(random: Random, bytes: number, alignedPercent: number): number {
  const kind = random.below(100);
  const mask = random.chance(alignedPercent) ? -Math.min(bytes, 16) : -1;
  if (kind < 84) return random.pick(WRITABLE) + (random.below(PAGE_BYTES - bytes) & mask);
  if (kind < 91) return (random.pick(BORDERS) - random.below(bytes + 1)) & mask;
  if (kind < 97) return random.pick(READ_ONLY) + (random.below(PAGE_BYTES - bytes) & mask);
  return random.pick(ELSEWHERE) + (random.below(PAGE_BYTES - bytes) & mask);
}

/** The data page of an address is one whose contents a batch ships, so that a case can patch it. */
export function isPatchable(address: number): boolean {
  return DATA_PAGES.some((p) => address >= p.address && address < p.address + PAGE_BYTES);
}

/** An address for the stack: aligned, away from borders. */
export function chooseStack(random: Random): number {
  const alignment = random.chance(90) ? -8 : -1;
  return random.pick(WRITABLE) + ((512 + random.below(PAGE_BYTES - 1024)) & alignment);
}
