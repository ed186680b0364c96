import { HANDLER_FORWARD } from "../decode/record-writer.ts";
import { FAULTS } from "../isa/faults.ts";
import * as cpu from "../layout/cpu-state.ts";
import {
  CPU_STATE,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_COUNT,
  JUMP_RECORD,
  JUMP_TAG,
} from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { type Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";

/** TF and RF: the next instruction is executed alone. */
const RFLAGS_STEPPED = (1 << 8) | (1 << 16);
const LINEAR_CODE_BASE = cpu.SEG_CS + cpu.SEGMENT_EFFECTIVE_BASE;

/** Small accessors for the processor state in a function under construction. */
export function stateOf(b: FunctionBuilder) {
  const zero = b.i32(0);
  return {
    get32: (field: number): Expr => b.load("i32.load", zero, CPU_STATE + field),
    get64: (field: number): Expr => b.load("i64.load", zero, CPU_STATE + field),
    set32: (field: number, value: Expr): void => b.store("i32.store", zero, value, CPU_STATE + field),
    set64: (field: number, value: Expr): void => b.store("i64.store", zero, value, CPU_STATE + field),
  };
}

export function leaveWith(b: FunctionBuilder, reason: number): void {
  stateOf(b).set32(cpu.EXIT_REASON, b.i32(reason));
  b.return(b.i32(0));
}

/** Subtracts the instructions of the block up to a record, plus `more`. Returns what is left. */
function count(b: FunctionBuilder, pc: Expr, more: number): Expr {
  const { get32, set32 } = stateOf(b);
  const executed = b.op("i32.add", b.load("i32.load8_u", pc, record.INDEX), b.i32(more));
  const left = b.bind(b.op("i32.sub", get32(cpu.BUDGET), executed));
  set32(cpu.BUDGET, left);
  return left;
}

/**
 * `dispatch() -> record`: RIP is exact; the jump cache's record for it, or the
 * code index's, or 0.
 * Only jumps look at the budget: going on behind a block's last instruction
 * is no jump, so how code is cut into blocks does not show. With `hotCount`,
 * a record that has been asked for that often leaves with EXIT_HOT once.
 */
export function buildDispatch(
  findCode: FunctionRef,
  checksBudget: boolean,
  hotCount: number | undefined,
): FunctionBuilder {
  const b = new FunctionBuilder({ params: [], results: ["i32"] });
  const { get32, set64 } = stateOf(b);
  if (checksBudget) {
    b.if(
      b.op("i32.le_s", get32(cpu.BUDGET), b.i32(0)),
      () => leaveWith(b, cpu.EXIT_BUDGET),
      undefined,
      "unlikely",
    );
  }
  const { entry, linear, rip } = jumpCacheEntry(b);
  const hit = b.op("i64.eq", b.load("i64.load", entry, JUMP_CACHE + JUMP_TAG), tagOf(b, linear));
  b.if(b.op("i32.eqz", hit), () => leaveUnknown(b, findCode), undefined, "unlikely");
  if (hotCount !== undefined) countHit(b, entry, hotCount);
  set64(cpu.RIP_BASE, b.op("i64.sub", rip, b.op("i64.and", linear, b.i64(4095n))));
  b.return(recordOf(b, entry));
  return b;
}

/** The record that a stale one forwards to, or the record itself. */
export function forwarded(b: FunctionBuilder, at: Expr): Expr {
  const target = b.variable("i32", at);
  b.loop((again) => {
    b.if(isForward(b, b.getLazy(target)), () => {
      b.set(target, b.load("i32.load", b.getLazy(target), record.LINK));
      b.br(again);
    });
  });
  return b.get(target);
}

function isForward(b: FunctionBuilder, at: Expr): Expr {
  return b.op("i32.eq", b.load("i32.load16_u", at, record.HANDLER), b.i32(HANDLER_FORWARD));
}

/**
 * The record in an entry of the jump cache, which from then on is where that one forwards to: records that lead to others lie
 * all over memory, and would be fetched into the processor's caches each time.
 */
export function recordOf(b: FunctionBuilder, entry: Expr): Expr {
  const at = b.variable("i32", b.load("i32.load", entry, JUMP_CACHE + JUMP_RECORD));
  const shorten = (): void => {
    b.set(at, forwarded(b, b.getLazy(at)));
    b.store("i32.store", entry, b.getLazy(at), JUMP_CACHE + JUMP_RECORD);
  };
  b.if(isForward(b, b.getLazy(at)), shorten, undefined, "unlikely");
  return b.get(at);
}

/** The jump cache does not know RIP: leaves for a look-up unless the code index knows it, and then the jump cache too. */
export function leaveUnknown(b: FunctionBuilder, findCode: FunctionRef): void {
  b.if(b.op("i32.eqz", b.call(findCode)!), () => leaveWith(b, cpu.EXIT_LOOKUP), undefined, "unlikely");
}

/** Where the jump cache has room for RIP. */
export function jumpCacheEntry(b: FunctionBuilder): { entry: Expr; linear: Expr; rip: Expr } {
  const { get64 } = stateOf(b);
  const rip = b.bind(get64(cpu.RIP));
  const linear = b.bind(b.op("i64.add", rip, get64(LINEAR_CODE_BASE)));
  const low = b.op("i32.wrap_i64", linear);
  const folded = b.op("i32.xor", low, b.op("i32.wrap_i64", b.op("i64.shr_u", linear, b.i64(14n))));
  const index = b.op("i32.and", folded, b.i32(JUMP_CACHE_ENTRIES - 1));
  return { entry: b.bind(b.op("i32.mul", index, b.i32(JUMP_CACHE_ENTRY_BYTES))), linear, rip };
}

export function tagOf(b: FunctionBuilder, linear: Expr): Expr {
  return b.op("i64.xor", linear, stateOf(b).get64(cpu.MODE_KEY));
}

/** Leaves with EXIT_HOT when this is hit number `hotCount` of an entry of the jump cache. */
export function countHit(b: FunctionBuilder, entry: Expr, hotCount: number): void {
  const hits = b.bind(b.op("i32.add", b.load("i32.load", entry, JUMP_CACHE + JUMP_COUNT), b.i32(1)));
  b.store("i32.store", entry, hits, JUMP_CACHE + JUMP_COUNT);
  const hot = (): void => {
    stateOf(b).set32(cpu.EXIT_RECORD, b.i32(0));
    leaveWith(b, cpu.EXIT_HOT);
  };
  b.if(b.op("i32.eq", hits, b.i32(hotCount)), hot, undefined, "unlikely");
}

/** #DE and #PF, which kernels live on, are delivered at once where that is allowed; everything else leaves. */
export function buildLeaveFault(deliverFault: FunctionRef, dispatch: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const { get32, set32 } = stateOf(b);
  const pc = b.parameter(0);
  const left = count(b, pc, 0);
  setRipBehind(b, pc, true);
  const vector = b.bind(get32(cpu.FAULT_VECTOR));
  const isFrequent = b.op("i32.or", b.op("i32.eqz", vector), b.op("i32.eq", vector, b.i32(FAULTS["#PF"])));
  b.if(b.op("i32.and", isFrequent, get32(cpu.DELIVERS_FAULTS)), () => {
    // A delivery counts as an instruction (VirtualProcessor), and is in no block.
    set32(cpu.BUDGET, b.op("i32.sub", left, b.i32(1)));
    set32(cpu.CURRENT_RECORD, b.i32(0));
    b.if(b.op("i32.eq", b.call(deliverFault)!, b.i32(cpu.STATUS_EXIT)), () => b.return(b.i32(0)));
    const flags = b.op("i32.and", get32(cpu.RFLAGS_SYSTEM), b.i32(RFLAGS_STEPPED));
    b.if(flags, () => leaveWith(b, cpu.EXIT_BUDGET), undefined, "unlikely");
    b.returnCall(dispatch);
  });
  set32(cpu.EXIT_RECORD, pc);
  leaveWith(b, cpu.EXIT_FAULT);
  return b;
}

/** A non-canonical address in the stack segment is #SS(0) (Intel SDM Vol. 1, "Canonical Addressing"). */
export function buildLeaveStackFault(leaveFault: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const { get32, set32 } = stateOf(b);
  b.if(get32(cpu.FAULT_NON_CANONICAL), () => {
    set32(cpu.FAULT_VECTOR, b.i32(12));
    set32(cpu.FAULT_NON_CANONICAL, b.i32(0));
  });
  b.returnCall(leaveFault, b.parameter(0));
  return b;
}

function setRipBehind(b: FunctionBuilder, pc: Expr, minusLength: boolean): void {
  const { get64, get32, set64 } = stateOf(b);
  let offset = b.load("i32.load16_u", pc, record.NEXT_OFFSET);
  if (minusLength) offset = b.op("i32.sub", offset, b.load("i32.load8_u", pc, record.LENGTH));
  const rip = b.bind(b.op("i64.add", get64(cpu.RIP_BASE), b.op("i64.extend_i32_s", offset)));
  const mask = b.op("i64.extend_i32_u", get32(cpu.RIP_MASK));
  set64(cpu.RIP, b.select(b.op("i64.eqz", mask), rip, b.op("i64.and", rip, mask)));
}

export function buildLeaveStatus(dispatch: FunctionRef, leaveFault: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32", "i32"], results: ["i32"] });
  const pc = b.parameter(0);
  const status = b.parameter(1);
  b.if(b.op("i32.eq", status, b.i32(cpu.STATUS_FAULT)), () => b.returnCall(leaveFault, pc));
  count(b, pc, 1);
  b.if(b.op("i32.eq", status, b.i32(cpu.STATUS_EXIT)), () => b.return(b.i32(0)));
  b.if(b.op("i32.eq", status, b.i32(cpu.STATUS_AGAIN)), () => setRipBehind(b, pc, true));
  b.returnCall(dispatch);
  return b;
}

/** A relative jump without a link: leaves for one to be made, or goes by the jump cache. */
export function buildJumpUnlinked(dispatch: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const pc = b.parameter(0);
  setRipToTarget(b, pc);
  const linkable = b.op(
    "i32.and",
    b.load("i32.load8_u", pc, record.FLAGS),
    b.i32(record.RECORD_FLAG_LINKABLE),
  );
  b.if(linkable, () => {
    stateOf(b).set32(cpu.EXIT_RECORD, pc);
    leaveWith(b, cpu.EXIT_LINK);
  });
  b.returnCall(dispatch);
  return b;
}

function setRipToTarget(b: FunctionBuilder, pc: Expr): void {
  const { get64, get32, set64 } = stateOf(b);
  const offset = b.op("i64.extend_i32_s", b.load("i32.load", pc, record.TARGET_OFFSET));
  const rip = b.bind(b.op("i64.add", get64(cpu.RIP_BASE), offset));
  const mask = b.op("i64.extend_i32_u", get32(cpu.RIP_MASK));
  set64(cpu.RIP, b.select(b.op("i64.eqz", mask), rip, b.op("i64.and", rip, mask)));
}

export function buildJumpBudget(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  setRipToTarget(b, b.parameter(0));
  leaveWith(b, cpu.EXIT_BUDGET);
  return b;
}

/** A relative jump that has been taken often. It is counted anew: a region that is made now may be dropped when its code is rewritten. */
export function buildJumpHot(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  b.store("i32.store", b.parameter(0), b.i32(0), record.DISPLACEMENT);
  stateOf(b).set32(cpu.EXIT_RECORD, b.parameter(0));
  setRipToTarget(b, b.parameter(0));
  leaveWith(b, cpu.EXIT_HOT);
  return b;
}

export function buildSetFault(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32", "i32"], results: [] });
  const { set32 } = stateOf(b);
  set32(cpu.FAULT_VECTOR, b.parameter(0));
  set32(cpu.FAULT_ERROR_CODE, b.parameter(1));
  set32(cpu.FAULT_NON_CANONICAL, b.i32(0));
  return b;
}

/** Handlers of the pseudo-records (decode/record-writer.ts). Each takes its record and returns the next, or 0. */
export function buildStale(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const pc = b.parameter(0);
  count(b, pc, 0);
  setRipBehind(b, pc, true);
  stateOf(b).set32(cpu.EXIT_RECORD, pc);
  leaveWith(b, cpu.EXIT_STALE);
  return b;
}

export function buildForward(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  b.return(b.load("i32.load", b.parameter(0), record.LINK));
  return b;
}

export function buildContinue(dispatch: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const pc = b.parameter(0);
  count(b, pc, 0);
  setRipBehind(b, pc, false);
  b.returnCall(dispatch);
  return b;
}

/** RIP is exact: leaves when the budget is used up. */
export function buildBudget(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const left = stateOf(b).get32(cpu.BUDGET);
  b.if(b.op("i32.le_s", left, b.i32(0)), () => leaveWith(b, cpu.EXIT_BUDGET), undefined, "unlikely");
  b.return(b.op("i32.add", b.parameter(0), b.i32(record.RECORD_BYTES)));
  return b;
}

/**
 * An instruction that goes on in the next page: the jump cache has its record, or a look-up makes one. Code that was
 * rewritten may have left this very record in the jump cache: that is a look-up, too.
 */
export function buildCrossing(dispatch: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const pc = b.parameter(0);
  count(b, pc, 0);
  setRipBehind(b, pc, false);
  const next = b.bind(b.call(dispatch)!);
  b.if(b.op("i32.eq", next, pc), () => leaveWith(b, cpu.EXIT_LOOKUP), undefined, "unlikely");
  b.return(next);
  return b;
}

export function buildStop(): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const pc = b.parameter(0);
  count(b, pc, 0);
  setRipBehind(b, pc, false);
  leaveWith(b, cpu.EXIT_BUDGET);
  return b;
}

export function buildRaise(
  setFault: FunctionRef,
  leaveFault: FunctionRef,
  vector: number,
  code: number,
): FunctionBuilder {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  b.call(setFault, b.i32(vector), b.i32(code));
  b.returnCall(leaveFault, b.parameter(0));
  return b;
}
