import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import type { BranchHint } from "../wasm/code-emitter.ts";
import type { BuiltRegion } from "./built-region.ts";
import type { KeptRecords } from "./kept-records.ts";
import { type Position, pageDelta, type RegionInstruction } from "./region-code.ts";
import { changesWithPlace, type InstructionAddress } from "./region-symbols.ts";

/** A region as it is kept for other runs of the same guest: the guest's code, and what was built of it. */
export interface CachedRegion {
  /** Where in its page the region is entered. */
  readonly offset: Position;
  /** What else it was built for: bits that the translator gives a meaning. */
  readonly mode: number;
  /** Its pages, in pages from that of the entry, which is the first. */
  readonly deltas: readonly number[];
  /** Where the guest's code lies: each start is followed by its end. The first is the entry block. */
  readonly spans: readonly Position[];
  /** What is there, with zeros in place of addresses. */
  readonly guestCode: Uint8Array;
  /** Where in `guestCode` addresses are, of four bytes each: which they are does not matter. */
  readonly addresses: readonly number[];
  /** The blocks that indirect jumps go to by number; undefined when it has none. */
  readonly dispatched: readonly Position[] | undefined;
  readonly records: KeptRecords;
  readonly built: Pick<BuiltRegion, "code" | "functions" | "slots" | "cells">;
}

/** Bytes at the entry that a look-up goes by: few, lest there be an address in them. */
const KEY_BYTES = 5;
/** What Linux's functions begin with, where they may be traced. */
const TRACED = [0x0f, 0x1f, 0x44, 0x00, 0x00];
const ADDRESS_BYTES = 4;

/** Numbers at the head of an encoded region, and sizes of its parts behind them. */
const HEAD_WORDS = 4;
const LISTS = 12;
const SIZE_WORDS = LISTS + 4;

/** A number that the same code, entered at the same offset of a page in the same mode, always has. */
export function regionKey(memory: Uint8Array, page: number, offset: Position, mode: number): number {
  const entry = GUEST_RAM + page * PAGE_BYTES + offset;
  const pageEnd = GUEST_RAM + (page + 1) * PAGE_BYTES;
  const start = TRACED.every((byte, i) => memory[entry + i] === byte) ? entry + TRACED.length : entry;
  const end = Math.min(pageEnd, start + KEY_BYTES);
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

/** Whether code that was found is a region's, whose addresses may be others. Addresses in what was found become zeros. */
export function isSameCode({ guestCode, addresses }: CachedRegion, found: Uint8Array): boolean {
  if (found.length !== guestCode.length) return false;
  const view = new DataView(found.buffer);
  for (const at of addresses) {
    const value = view.getInt32(at, true);
    if (!changesWithPlace(value)) return false;
    view.setInt32(at, 0, true);
  }
  for (let at = 0; at < found.length; at++) if (found[at] !== guestCode[at]) return false;
  return true;
}

/** Where addresses are in the code of a region. */
export interface FoundAddresses {
  readonly inCode: readonly number[];
  /** The instructions that have them. */
  readonly positions: ReadonlySet<Position>;
}

/**
 * Where in the code of a region addresses are. Those that are not found there are left to be compared, as are those in bytes that another
 * instruction of the region begins or ends in.
 */
export function findAddresses(
  guestCode: Uint8Array,
  spans: readonly Position[],
  instructions: readonly RegionInstruction[],
  addresses: readonly InstructionAddress[],
): FoundAddresses {
  const view = new DataView(guestCode.buffer);
  const found = new Set<number>();
  const positions = new Set<Position>();
  for (const { instruction, value } of addresses) {
    const { position, next } = instruction;
    if (
      instructions.some(
        (other) => other.position !== position && other.position < next && other.next > position,
      )
    )
      continue;
    // Code that stands in the place of several calls is there as often.
    for (let i = 0, start = 0; i < spans.length; i += 2) {
      const [first, end] = [spans[i]!, spans[i + 1]!];
      if (position >= first && position < end) {
        const places: number[] = [];
        for (let at = position; at + ADDRESS_BYTES <= next; at++)
          if (view.getInt32(start + at - first, true) === value) places.push(start + at - first);
        if (places.length === 1) {
          found.add(places[0]!);
          positions.add(position);
        }
      }
      start += end - first;
    }
  }
  return { inCode: [...found], positions };
}

/** A region as bytes: numbers of 32 bits, then the texts, codes and records. */
export function encodeRegion(region: CachedRegion): Uint8Array<ArrayBuffer> {
  const { offset, mode, deltas, spans, addresses, guestCode, dispatched, records, built } = region;
  const functions = new TextEncoder().encode(built.functions.join(" "));
  const { body, links, hints } = built.code;
  const flatHints = hints.flatMap(({ offset: at, likely }) => [at, likely ? 1 : 0]);
  const lists = [
    deltas,
    spans,
    addresses,
    dispatched ?? [],
    records.counts,
    records.places,
    records.kinds,
    records.shapes,
    records.moved,
    built.cells,
    links,
    flatHints,
  ];
  const parts = [functions, guestCode, body, records.records];
  const head = [offset, mode, built.slots, dispatched === undefined ? 0 : 1];
  const sizes = [...lists, ...parts].map(({ length }) => length);
  const words = [...head, ...sizes, ...lists.flatMap((list) => Array.from(list))];
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
  const [functions, guestCode, body, records] = split(bytes.subarray(4 * listed), sizes.subarray(LISTS));
  const [deltas, spans, addresses, dispatched, counts, places, kinds, shapes, moved, cells, links, hints] =
    lists;
  return {
    offset: offset!,
    mode: mode!,
    deltas: [...deltas!],
    spans: [...spans!],
    addresses: [...addresses!],
    guestCode: guestCode!,
    dispatched: isDispatched === 0 ? undefined : [...dispatched!],
    records: {
      counts: [...counts!],
      places: places!,
      kinds: kinds!,
      shapes: [...shapes!],
      moved: [...moved!],
      records: records!,
    },
    built: {
      code: { body: body!, hints: hintsOf(hints!), links: links! },
      functions: new TextDecoder().decode(functions!).split(" "),
      slots: slots!,
      cells: [...cells!],
    },
  };
}

function hintsOf(flat: Int32Array): BranchHint[] {
  const hints: BranchHint[] = [];
  for (let i = 0; i < flat.length; i += 2) hints.push({ offset: flat[i]!, likely: flat[i + 1] === 1 });
  return hints;
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
