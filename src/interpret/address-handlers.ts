import {
  HANDLER_ADDRESS_32,
  HANDLER_ADDRESS_ABSOLUTE,
  HANDLER_ADDRESS_OFFSET,
  HANDLER_ADDRESS_SEGMENTED,
} from "../decode/record-writer.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { type Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import { HANDLER_TYPE } from "./handler-module.ts";

type Build = (segmentAddress: FunctionRef, leaveFault: FunctionRef) => FunctionBuilder;

/** Handlers of the records that compute EFFECTIVE_ADDRESS for the record behind them. */
export const ADDRESS_HANDLERS: readonly (readonly [id: number, name: string, build: Build])[] = [
  [
    HANDLER_ADDRESS_32,
    "address32",
    () => flat((b, pc) => b.op("i64.and", offsetOf(b, pc), b.i64(0xffffffffn))),
  ],
  [
    HANDLER_ADDRESS_ABSOLUTE,
    "addressAbsolute",
    () => flat((b, pc) => b.load("i64.load", pc, record.IMMEDIATE)),
  ],
  [HANDLER_ADDRESS_SEGMENTED, "addressSegmented", segmented],
  [HANDLER_ADDRESS_OFFSET, "addressOffset", () => flat((b, pc) => masked(b, pc))],
];

function slot(b: FunctionBuilder, pc: Expr, field: number): Expr {
  return b.load("i64.load", b.load("i32.load16_u", pc, field), CPU_STATE);
}

function offsetOf(b: FunctionBuilder, pc: Expr): Expr {
  const scale = b.op("i64.extend_i32_u", b.load("i32.load8_u", pc, record.SCALE));
  const index = b.op("i64.shl", slot(b, pc, record.INDEX_REG), scale);
  const displacement = b.load("i64.load32_s", pc, record.DISPLACEMENT);
  return b.op("i64.add", b.op("i64.add", slot(b, pc, record.BASE), index), displacement);
}

/** The offset cut to the address size in REG_B: 16 or 32 bits. */
function masked(b: FunctionBuilder, pc: Expr): Expr {
  const narrow = b.op("i32.eq", b.load("i32.load16_u", pc, record.REG_B), b.i32(16));
  return b.op("i64.and", offsetOf(b, pc), b.select(narrow, b.i64(0xffffn), b.i64(0xffffffffn)));
}

function finish(b: FunctionBuilder, pc: Expr, address: Expr): FunctionBuilder {
  b.store("i64.store", b.i32(0), address, CPU_STATE + cpu.EFFECTIVE_ADDRESS);
  b.return(b.op("i32.add", pc, b.i32(record.RECORD_BYTES)));
  return b;
}

function flat(offset: (b: FunctionBuilder, pc: Expr) => Expr): FunctionBuilder {
  const b = new FunctionBuilder(HANDLER_TYPE);
  const pc = b.parameter(0);
  return finish(b, pc, b.op("i64.add", offset(b, pc), slot(b, pc, record.SEGMENT_SLOT)));
}

function segmented(segmentAddress: FunctionRef, leaveFault: FunctionRef): FunctionBuilder {
  const b = new FunctionBuilder(HANDLER_TYPE);
  const pc = b.parameter(0);
  const use = b.load("i32.load16_u", pc, record.REG_C);
  const address = b.call(
    segmentAddress,
    b.load("i32.load16_u", pc, record.REG_A),
    masked(b, pc),
    b.op("i32.shr_u", use, b.i32(1)),
    b.op("i32.and", use, b.i32(1)),
  )!;
  const failed = b.op("i32.ge_s", b.load("i32.load", b.i32(0), CPU_STATE + cpu.FAULT_VECTOR), b.i32(0));
  b.if(failed, () => b.returnCall(leaveFault, pc));
  return finish(b, pc, address);
}
