import { REGION_FUNCTIONS, RETURN_NOWHERE } from "../cpu/region-functions.ts";
import * as cpu from "../layout/cpu-state.ts";
import {
  JUMP_CACHE,
  JUMP_TAG,
  LINK_HANDLER,
  LINK_TAG,
  PAGE_BYTES,
  SPLIT_READ,
  SPLIT_STORED,
  TLB_ADDEND,
  TLB_TAG,
  TLB_WRITE,
} from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { tlbEntry } from "../lower/tlb-entry.ts";
import { type Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef, TableRef } from "../wasm/module-writer.ts";
import { HANDLER_TYPE } from "./handler-module.ts";
import {
  countHit,
  forwarded,
  jumpCacheEntry,
  leaveUnknown,
  leaveWith,
  recordOf,
  stateOf,
  tagOf,
} from "./run-module.ts";

function leaveWithoutBudget(b: FunctionBuilder): void {
  const left = stateOf(b).get32(cpu.BUDGET);
  b.if(b.op("i32.le_s", left, b.i32(0)), () => leaveWith(b, cpu.EXIT_BUDGET), undefined, "unlikely");
}

/** In 64-bit code the base of CS is 0. */
function setRipBase(b: FunctionBuilder, rip: Expr): void {
  stateOf(b).set64(cpu.RIP_BASE, b.op("i64.and", rip, b.i64(~4095n)));
}

/** A region that is led to in another way than by a call does not know what its caller expects. */
function expectNoReturn(b: FunctionBuilder): void {
  stateOf(b).set64(cpu.EXPECTED_RETURN, b.i64(RETURN_NOWHERE));
}

function isRegion(b: FunctionBuilder, at: Expr): Expr {
  return b.op("i32.and", b.load("i32.load8_u", at, record.FLAGS), b.i32(record.RECORD_FLAG_REGION));
}

export function buildContinueAt(
  table: TableRef,
  findCode: FunctionRef,
  checksBudget: boolean,
  hotCount: number | undefined,
): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.continueAt);
  const caller = b.parameter(0);
  if (checksBudget) leaveWithoutBudget(b);
  const { entry, linear, rip } = jumpCacheEntry(b);
  const hit = b.op("i64.eq", b.load("i64.load", entry, JUMP_CACHE + JUMP_TAG), tagOf(b, linear));
  b.if(b.op("i32.eqz", hit), () => leaveUnknown(b, findCode), undefined, "unlikely");
  if (hotCount !== undefined) countHit(b, entry, hotCount);
  setRipBase(b, rip);
  const at = recordOf(b, entry);
  b.if(isRegion(b, at), () => {
    expectNoReturn(b);
    b.returnCallIndirect(table, HANDLER_TYPE, b.load("i32.load16_u", at, record.HANDLER), caller);
  });
  b.return(at);
  return b;
}

/** A record that is 0 leads nowhere: there is a reason to leave. */
export function buildContinueRecord(table: TableRef): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.continueRecord);
  const { get32, set32 } = stateOf(b);
  const [at, caller] = [b.parameter(0), b.parameter(1)];
  b.if(b.op("i32.eqz", at), () => b.return(b.i32(0)), undefined, "unlikely");
  const unwind = (): void => {
    set32(cpu.STALE_CALLERS, b.i32(0));
    b.return(at);
  };
  b.if(get32(cpu.STALE_CALLERS), unwind, undefined, "unlikely");
  const target = b.bind(forwarded(b, at));
  b.if(isRegion(b, target), () => {
    expectNoReturn(b);
    b.returnCallIndirect(table, HANDLER_TYPE, b.load("i32.load16_u", target, record.HANDLER), caller);
  });
  b.return(target);
  return b;
}

export function buildContinueBySlot(
  table: TableRef,
  findRegion: FunctionRef,
  continueAt: FunctionRef,
  checksBudget: boolean,
): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.continueBySlot);
  const slot = b.parameter(0);
  const caller = b.parameter(1);
  if (checksBudget) leaveWithoutBudget(b);
  const rip = b.bind(stateOf(b).get64(cpu.RIP));
  const linked = b.op("i64.eq", b.load("i64.load", slot, LINK_TAG), tagOf(b, rip));
  const handler = b.variable("i32");
  b.if(
    linked,
    () => {
      setRipBase(b, rip);
      b.set(handler, b.load("i32.load", slot, LINK_HANDLER));
    },
    () => b.set(handler, b.call(findRegion, slot)!),
    "likely",
  );
  b.if(b.getLazy(handler), () => {
    expectNoReturn(b);
    b.returnCallIndirect(table, HANDLER_TYPE, b.getLazy(handler), caller);
  });
  b.returnCall(continueAt, caller);
  return b;
}

export function buildFindRegion(findCode: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.findRegion);
  const slot = b.parameter(0);
  const { entry, linear, rip } = jumpCacheEntry(b);
  const tag = b.bind(tagOf(b, linear));
  const hit = b.op("i64.eq", b.load("i64.load", entry, JUMP_CACHE + JUMP_TAG), tag);
  const unknown = () => b.if(b.op("i32.eqz", b.call(findCode)!), () => b.return(b.i32(0)));
  b.if(b.op("i32.eqz", hit), unknown, undefined, "unlikely");
  const at = recordOf(b, entry);
  b.if(b.op("i32.eqz", isRegion(b, at)), () => b.return(b.i32(0)));
  const handler = b.bind(b.load("i32.load16_u", at, record.HANDLER));
  setRipBase(b, rip);
  b.if(slot, () => {
    b.store("i64.store", slot, tag, LINK_TAG);
    b.store("i32.store", slot, handler, LINK_HANDLER);
  });
  b.return(handler);
  return b;
}

/** What stands in the table where a region was: whoever still leads here goes on by the jump cache. */
export function buildVacant(continueAt: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder(HANDLER_TYPE);
  b.returnCall(continueAt, b.parameter(0));
  return b;
}

/** Host address of a byte, in the page that the TLB's table has; otherwise the function returns 0. */
function hostOf(b: FunctionBuilder, linear: Expr, table: number): Expr {
  const bank = b.op("i32.add", stateOf(b).get32(cpu.TLB_BASE), b.i32(table));
  const entry = b.bind(tlbEntry(b, bank, linear));
  const into = b.op("i64.sub", linear, b.load("i64.load", entry, TLB_TAG));
  b.if(b.op("i64.ge_u", into, b.i64(BigInt(PAGE_BYTES))), () => b.return(b.i32(0)));
  return b.bind(b.op("i32.add", b.op("i32.wrap_i64", linear), b.load("i32.load", entry, TLB_ADDEND)));
}

/** Calls `each` for bytes that go across the end of a page: their number, and where the host has them. */
function acrossPages(
  b: FunctionBuilder,
  linear: Expr,
  bytes: Expr,
  table: number,
  each: (number: Expr, host: Expr) => void,
): void {
  const inPage = b.op("i32.and", b.op("i32.wrap_i64", linear), b.i32(PAGE_BYTES - 1));
  const inFirst = b.bind(b.op("i32.sub", b.i32(PAGE_BYTES), inPage));
  b.if(b.op("i32.le_u", bytes, inFirst), () => b.return(b.i32(0)));
  const first = hostOf(b, linear, table);
  const next = b.bind(b.op("i64.add", linear, b.op("i64.extend_i32_u", inFirst)));
  const second = b.bind(b.op("i32.sub", hostOf(b, next, table), inFirst));
  const done = b.variable("i32", b.i32(0));
  b.loop((again) => {
    const number = b.get(done);
    const isFirst = b.op("i32.lt_u", number, inFirst);
    each(number, b.bind(b.op("i32.add", b.select(isFirst, first, second), number)));
    b.set(done, b.op("i32.add", number, b.i32(1)));
    b.brIf(again, b.op("i32.lt_u", b.get(done), bytes));
  });
}

export function buildSplitRead(): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.splitRead);
  acrossPages(b, b.parameter(0), b.parameter(1), 0, (number, host) =>
    b.store("i32.store8", number, b.load("i32.load8_u", host), SPLIT_READ),
  );
  b.return(b.i32(SPLIT_READ));
  return b;
}

export function buildSplitStore(): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.splitStore);
  b.store("i64.store", b.i32(SPLIT_STORED), b.parameter(1));
  b.store("i64.store", b.i32(SPLIT_STORED), b.parameter(2), 8);
  acrossPages(b, b.parameter(0), b.i32(16), TLB_WRITE, (number, host) =>
    b.store("i32.store8", host, b.load("i32.load8_u", number, SPLIT_STORED)),
  );
  b.return(b.i32(SPLIT_STORED));
  return b;
}

export function buildHostAddress(fill: FunctionRef, splitRead: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder(REGION_FUNCTIONS.hostAddress);
  const [linear, last, table] = [b.parameter(0), b.parameter(1), b.parameter(2)];
  const answer = (host: Expr): void => b.return(b.op("i32.xor", host, b.i32(-1)));
  const bank = b.op("i32.add", stateOf(b).get32(cpu.TLB_BASE), table);
  const entry = b.bind(tlbEntry(b, bank, linear));
  const into = b.op("i64.sub", linear, b.load("i64.load", entry, TLB_TAG));
  const misses = b.op("i64.gt_u", into, b.op("i64.extend_i32_u", last));
  b.if(misses, () => {
    const inPage = b.op("i64.and", linear, b.i64(4095n));
    b.if(b.op("i64.gt_u", inPage, b.op("i64.extend_i32_u", last)), () => {
      b.if(table, () => answer(b.i32(0)));
      answer(b.call(splitRead, linear, b.op("i32.sub", b.i32(PAGE_BYTES), last))!);
    });
    answer(b.call(fill, linear, table)!);
  });
  const addend = b.load("i32.load", entry, TLB_ADDEND);
  answer(b.op("i32.add", b.op("i32.wrap_i64", linear), addend));
  return b;
}
