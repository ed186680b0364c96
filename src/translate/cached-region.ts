import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import type { BranchHint } from "../wasm/code-emitter.ts";
import type { BuiltRegion } from "./built-region.ts";
import { type Position, pageDelta } from "./region-code.ts";
import type { RegionChoice, ScannedRegion } from "./region-scanner.ts";

/** A region as it is kept for other runs of the same guest: the guest's code, and what was built of it. */
export interface CachedRegion {
  /** Where in its page the region is entered. */
  readonly offset: Position;
  /** See `translationMode`. */
  readonly mode: number;
  readonly choice: RegionChoice;
  /** Where the guest's code lies: each start is followed by its end. */
  readonly spans: readonly Position[];
  /** What is there. */
  readonly guestCode: Uint8Array;
  /** The blocks that indirect jumps go to by number; undefined when it has none. */
  readonly dispatched: readonly Position[] | undefined;
  readonly built: BuiltRegion;
}

/** Bytes at the entry that a look-up goes by. */
const KEY_BYTES = 16;
/** Numbers at the head of an encoded region, and sizes of its parts behind them. */
const HEAD_WORDS = 4;
const LISTS = 7;
const SIZE_WORDS = LISTS + 3;

/** A number that the same code, entered at the same offset of a page in the same mode, always has. */
export function regionKey(memory: Uint8Array, page: number, offset: Position, mode: number): number {
  const start = GUEST_RAM + page * PAGE_BYTES + offset;
  const end = GUEST_RAM + Math.min((page + 1) * PAGE_BYTES, page * PAGE_BYTES + offset + KEY_BYTES);
  // FNV-1a.
  let hash = 0x811c9dc5 ^ (offset | (mode << 12));
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ memory[at]!, 0x01000193);
  return hash >>> 0;
}

/** The guest's code at the positions of a region, with the entry's page and others where `pageAt` says; undefined where one is nowhere. */
export function codeAt(
  memory: Uint8Array,
  spans: readonly Position[],
  pageAt: (delta: number) => number | undefined,
): Uint8Array | undefined {
  let bytes = 0;
  for (let i = 0; i < spans.length; i += 2) bytes += spans[i + 1]! - spans[i]!;
  const code = new Uint8Array(bytes);
  let to = 0;
  for (let i = 0; i < spans.length; i += 2) {
    const end = spans[i + 1]!;
    for (let at = spans[i]!; at < end; ) {
      const delta = pageDelta(at);
      const page = pageAt(delta);
      if (page === undefined) return undefined;
      const upTo = Math.min(end, (delta + 1) * PAGE_BYTES);
      const base = GUEST_RAM + (page - delta) * PAGE_BYTES;
      code.set(memory.subarray(base + at, base + upTo), to);
      to += upTo - at;
      at = upTo;
    }
  }
  return code;
}

/** Whether what has been scanned by a region's choice is that region. */
export function isSameRegion({ choice, spans }: CachedRegion, scanned: ScannedRegion): boolean {
  return (
    isSameList(spans, scanned.spans) &&
    isSameList(choice.deltas, scanned.choice.deltas) &&
    isSameList(choice.followed, scanned.choice.followed) &&
    isSameList(choice.indirectTargets, scanned.choice.indirectTargets)
  );
}

export const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

const isSameList = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

/** A region as bytes: numbers of 32 bits, then the texts and codes. */
export function encodeRegion(region: CachedRegion): Uint8Array<ArrayBuffer> {
  const { offset, mode, choice, spans, guestCode, dispatched, built } = region;
  const functions = new TextEncoder().encode(built.functions.join(" "));
  const { body, links, hints } = built.code;
  const flatHints = hints.flatMap(({ offset: at, likely }) => [at, likely ? 1 : 0]);
  const { deltas, followed, indirectTargets } = choice;
  const lists = [deltas, followed, indirectTargets, spans, dispatched ?? [], links, flatHints];
  const parts = [functions, guestCode, body];
  const head = [offset, mode, built.slots, dispatched === undefined ? 0 : 1];
  const sizes = [...lists, ...parts].map(({ length }) => length);
  const words = [...head, ...sizes, ...lists.flatMap((list) => [...list])];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 4 * words.length));
  new Int32Array(bytes.buffer, 0, words.length).set(words);
  let at = 4 * words.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What `encodeRegion` has given; `bytes` begins at a multiple of four in its buffer. */
export function decodeRegion(bytes: Uint8Array): CachedRegion {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const [offset, mode, slots, isDispatched] = words;
  const sizes = words.subarray(HEAD_WORDS, HEAD_WORDS + SIZE_WORDS);
  const lists = split(words.subarray(HEAD_WORDS + SIZE_WORDS), sizes.subarray(0, LISTS));
  const listed = lists.reduce((sum, { length }) => sum + length, HEAD_WORDS + SIZE_WORDS);
  const [functions, guestCode, body] = split(bytes.subarray(4 * listed), sizes.subarray(LISTS));
  const [deltas, followed, indirectTargets, spans, dispatched] = lists.slice(0, -2).map((list) => [...list]);
  const [links, flatHints] = lists.slice(-2);
  const hints: BranchHint[] = [];
  for (let i = 0; i < flatHints!.length; i += 2)
    hints.push({ offset: flatHints![i]!, likely: flatHints![i + 1] === 1 });
  return {
    offset: offset!,
    mode: mode!,
    choice: { deltas: deltas!, followed: followed!, indirectTargets: indirectTargets! },
    spans: spans!,
    guestCode: guestCode!,
    dispatched: isDispatched === 0 ? undefined : dispatched!,
    built: {
      code: { body: body!, hints, links: links! },
      functions: new TextDecoder().decode(functions!).split(" "),
      slots: slots!,
    },
  };
}

/** Parts of some sizes that lie behind each other. */
function split<T extends Int32Array | Uint8Array>(all: T, sizes: Int32Array): T[] {
  let from = 0;
  return [...sizes].map((size) => {
    const part = all.subarray(from, from + size) as T;
    from += size;
    return part;
  });
}
