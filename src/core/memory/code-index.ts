// From guest physical addresses of code to records (layout/memory-map.ts, CODE_INDEX): the second look-up of a
// jump, when the jump cache fails. An entry may lead to a stale record, which is what stale records are for:
// the decoder enters the new one. Only an instruction on two pages says where it goes on, and is compared with that.
import {
  CODE_INDEX,
  CODE_INDEX_ENTRIES,
  CODE_INDEX_ENTRY_BYTES,
  CODE_INDEX_NEXT_PAGE,
  CODE_INDEX_RECORD,
  CPU_STATE,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_COUNT,
  JUMP_COUNT_SETTLED,
  JUMP_RECORD,
  JUMP_TAG,
} from "../../layout/memory-map";
import { CODE_BITS, MODE_KEY, RIP, SEGMENT_EFFECTIVE_BASE, SEG_CS } from "../../layout/cpu-state";
import { HANDLER, HANDLER_FORWARD, LINK } from "../../layout/record";
import { mustStep } from "../processor/code-limit";
import { clearFault } from "../processor/faults";
import { translateExecute } from "./translate";

/** Of code that lies on one page. */
const ONE_PAGE: i32 = -1;

// @ts-ignore: decorator
@inline
function linearRip(): u64 {
  return load<u64>(CPU_STATE + RIP) + load<u64>(CPU_STATE + SEG_CS + SEGMENT_EFFECTIVE_BASE);
}

// @ts-ignore: decorator
@inline
function keyOf(physical: u32): u64 {
  return <u64>physical | (<u64>load<i32>(CPU_STATE + CODE_BITS) << 32);
}

// @ts-ignore: decorator
@inline
function slotOf(physical: u32): usize {
  return CODE_INDEX + <usize>((physical * 0x9e3779b1) >> 16) * CODE_INDEX_ENTRY_BYTES;
}

/** Where a place stands that another has driven out of its entry. */
// @ts-ignore: decorator
@inline
function neighbourOf(entry: usize): usize {
  return entry ^ CODE_INDEX_ENTRY_BYTES;
}

function enterJump(linear: u64, record: i32): void {
  const index = <usize>((linear ^ (linear >> 14)) & (JUMP_CACHE_ENTRIES - 1));
  const entry = JUMP_CACHE + index * JUMP_CACHE_ENTRY_BYTES;
  const tag = linear ^ load<u64>(CPU_STATE + MODE_KEY);
  // Two places that drive each other out count together, lest neither ever becomes hot.
  const isOther = ((load<u64>(entry, JUMP_TAG) ^ tag) & 0xffffffffffff) != 0;
  if (isOther && load<i32>(entry, JUMP_COUNT) >= JUMP_COUNT_SETTLED) store<i32>(entry, 0, JUMP_COUNT);
  store<u64>(entry, tag, JUMP_TAG);
  store<i32>(entry, record, JUMP_RECORD);
}

/**
 * The record for the code at RIP, which then is in the jump cache; 0 if none is known, if RIP cannot be fetched from, or
 * if its code is executed one by one: whoever looks further meets the fault, or asks `mustStep` too.
 */
export function findCode(): i32 {
  const linear = linearRip();
  if (mustStep(linear)) return 0;
  const physical = translateExecute(linear);
  // Only code in RAM is ever entered, and RAM ends below 4 GiB.
  if (<u64>physical > 0xffffffff) return nothing();
  const key = keyOf(<u32>physical);
  let entry = slotOf(<u32>physical);
  if (load<u64>(entry) != key) {
    entry = neighbourOf(entry);
    if (load<u64>(entry) != key) return 0;
  }
  const nextPage = load<i32>(entry, CODE_INDEX_NEXT_PAGE);
  if (nextPage != ONE_PAGE && translateExecute((linear & ~0xfff) + 0x1000) >> 12 != <i64>nextPage) return nothing();
  const record = load<usize>(entry, CODE_INDEX_RECORD);
  const present = load<u16>(record, HANDLER) == HANDLER_FORWARD ? successor(record) : record;
  if (present != record) store<usize>(entry, present, CODE_INDEX_RECORD);
  enterJump(linear, present);
  return present;
}

/** The record that has taken another's place. */
function successor(record: usize): usize {
  while (load<u16>(record, HANDLER) == HANDLER_FORWARD) record = load<usize>(record, LINK);
  return record;
}

function nothing(): i32 {
  clearFault();
  return 0;
}

/**
 * Enters the record for the code at RIP, which lies at a physical address in RAM. `nextPage` is the page on which its
 * first instruction goes on, or -1. The caller has translated both.
 */
export function enterCode(physical: u32, nextPage: i32, record: i32): void {
  const entry = slotOf(physical);
  const key = keyOf(physical);
  if (load<u64>(entry) != key) {
    // What stood here may stand there instead, but never the same place in both.
    const neighbour = neighbourOf(entry);
    store<u64>(neighbour, load<u64>(entry));
    store<u64>(neighbour, load<u64>(entry, CODE_INDEX_RECORD), CODE_INDEX_RECORD);
  }
  store<u64>(entry, key);
  store<i32>(entry, record, CODE_INDEX_RECORD);
  store<i32>(entry, nextPage, CODE_INDEX_NEXT_PAGE);
  enterJump(linearRip(), record);
}

/** Forgets all records. */
export function forgetCode(): void {
  memory.fill(CODE_INDEX, 0, CODE_INDEX_ENTRIES * CODE_INDEX_ENTRY_BYTES);
}
