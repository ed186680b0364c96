// The operations of native/x87.c, each with the calls of the core that stand for it.
import { FLAG_C, X87, X87_REGISTER_BYTES } from "../../../src/layout/cpu-state.ts";
import { CPU_STATE, SCRATCH } from "../../../src/layout/memory-map.ts";
import type { FloatCore } from "./float-core.ts";

const STORED = SCRATCH + 40;
const KEPT = SCRATCH + 56;

/** `memory` is where the memory operand lies and where a store goes. Returns a STATUS_*. */
export type X87Execute = (core: FloatCore, memory: number) => number;

const call =
  (name: string, ...values: number[]): X87Execute =>
  (core) =>
    Number(core.functions[name]!(...values));

const load32 =
  (name: string, ...values: number[]): X87Execute =>
  (core, memory) =>
    Number(core.functions[name]!(...values, core.memory.getInt32(memory, true)));

const load64 =
  (name: string, ...values: number[]): X87Execute =>
  (core, memory) =>
    Number(core.functions[name]!(...values, core.memory.getBigUint64(memory, true)));

const load80 =
  (name: string): X87Execute =>
  (core, memory) =>
    Number(
      core.functions[name]!(core.memory.getBigUint64(memory, true), core.memory.getUint16(memory + 8, true)),
    );

const store =
  (name: string, bytes: number, pop: number): X87Execute =>
  (core, memory) => {
    const status = Number(core.functions[name]!());
    if (status !== 0) return status;
    const kept = core.memory.getInt32(KEPT, true) !== 0;
    for (let n = 0; !kept && n < bytes; n++)
      core.memory.setUint8(memory + n, core.memory.getUint8(STORED + n));
    return Number(core.functions["x87FinishStore"]!(pop));
  };

const storeWord =
  (name: string): X87Execute =>
  (core, memory) => {
    core.memory.setUint16(memory, Number(core.functions[name]!()), true);
    return 0;
  };

/** An MMX instruction: the check, then what it does to the unit. */
const mmx =
  (...names: (readonly [string, ...number[]])[]): X87Execute =>
  (core) => {
    const status = Number(core.functions["x87Check"]!());
    if (status !== 0) return status;
    for (const [name, ...values] of names) core.functions[name]!(...values);
    return 0;
  };

/** PADDB MM2, MM3: the addition by hand, as the unit's part of an MMX instruction is what is tested. */
const paddb: X87Execute = (core) => {
  const status = mmx(["mmxEnter"], ["mmxWritten", 2])(core, 0);
  if (status !== 0) return status;
  const target = CPU_STATE + X87 + 2 * X87_REGISTER_BYTES;
  for (let n = 0; n < 8; n++) {
    core.memory.setUint8(
      target + n,
      core.memory.getUint8(target + n) + core.memory.getUint8(target + X87_REGISTER_BYTES + n),
    );
  }
  return 0;
};

const NAMES = ["add", "mul", "com", "comp", "sub", "subr", "div", "divr"];

export const X87_OPERATIONS: readonly (readonly [string, X87Execute])[] = [
  ["load32", load32("x87Load32")],
  ["load64", load64("x87Load64")],
  ["load80", load80("x87Load80")],
  ["load_i16", load32("x87LoadI16")],
  ["load_i32", load32("x87LoadI32")],
  ["load_i64", load64("x87LoadI64")],
  ["load_bcd", load80("x87LoadBcd")],
  ["load_st0", call("x87LoadSt", 0)],
  ["load_st3", call("x87LoadSt", 3)],
  ...[0, 1, 2, 3, 4, 5, 6].map((n) => [`constant${n}`, call("x87LoadConstant", n)] as const),
  ["store32", store("x87PrepareStore32", 4, 0)],
  ["store64", store("x87PrepareStore64", 8, 0)],
  ["store32_pop", store("x87PrepareStore32", 4, 1)],
  ["store64_pop", store("x87PrepareStore64", 8, 1)],
  ["store80_pop", store("x87PrepareStore80", 10, 1)],
  ["store_i16", store("x87PrepareStoreI16", 2, 0)],
  ["store_i32", store("x87PrepareStoreI32", 4, 0)],
  ["store_i16_pop", store("x87PrepareStoreI16", 2, 1)],
  ["store_i32_pop", store("x87PrepareStoreI32", 4, 1)],
  ["store_i64_pop", store("x87PrepareStoreI64", 8, 1)],
  ["store_t16_pop", store("x87PrepareStoreTruncI16", 2, 1)],
  ["store_t32_pop", store("x87PrepareStoreTruncI32", 4, 1)],
  ["store_t64_pop", store("x87PrepareStoreTruncI64", 8, 1)],
  ["store_bcd_pop", store("x87PrepareStoreBcd", 10, 1)],
  ["store_st2", call("x87StoreSt", 2, 0)],
  ["store_st2_pop", call("x87StoreSt", 2, 1)],
  ["store_st0_pop", call("x87StoreSt", 0, 1)],
  ...NAMES.map((n, op) => [`${n}_0_1`, call("x87Arith", op, 0, 1, 0)] as const),
  ["add_2_0_pop", call("x87Arith", 0, 2, 0, 1)],
  ["mul_2_0_pop", call("x87Arith", 1, 2, 0, 1)],
  ["sub_2_0_pop", call("x87Arith", 4, 2, 0, 1)],
  ["subr_2_0_pop", call("x87Arith", 5, 2, 0, 1)],
  ["div_2_0_pop", call("x87Arith", 6, 2, 0, 1)],
  ["divr_2_0_pop", call("x87Arith", 7, 2, 0, 1)],
  ["add_1_0", call("x87Arith", 0, 1, 0, 0)],
  ["div_1_0", call("x87Arith", 6, 1, 0, 0)],
  ["add_0_0", call("x87Arith", 0, 0, 0, 0)],
  ...NAMES.map((n, op) => [`${n}_32`, load32("x87Arith32", op)] as const),
  ...NAMES.map((n, op) => [`${n}_64`, load64("x87Arith64", op)] as const),
  ...NAMES.map((n, op) => [`${n}_i16`, load32("x87ArithI16", op)] as const),
  ...NAMES.map((n, op) => [`${n}_i32`, load32("x87ArithI32", op)] as const),
  ["compp", call("x87Compare", 1, 2, 0)],
  ["ucompp", call("x87Compare", 1, 2, 1)],
  ["ucom_1", call("x87Compare", 1, 0, 1)],
  ["ucomp_3", call("x87Compare", 3, 1, 1)],
  ["comi_1", call("x87CompareFlags", 1, 0, 0)],
  ["comi_2_pop", call("x87CompareFlags", 2, 1, 0)],
  ["ucomi_1", call("x87CompareFlags", 1, 0, 1)],
  ["ucomi_2_pop", call("x87CompareFlags", 2, 1, 1)],
  ["test", call("x87Test")],
  ["examine", call("x87Examine")],
  ...["chs", "abs", "sqrt", "rndint"].map((n, op) => [n, call("x87Unary", op)] as const),
  ["move_st2", call("x87MoveSt", 2)],
  ["move_st0", call("x87MoveSt", 0)],
  ["exchange_1", call("x87Exchange", 1)],
  ["free_2", call("x87Free", 2, 0)],
  ["free_1_pop", call("x87Free", 1, 1)],
  ["inc_top", call("x87IncTop")],
  ["dec_top", call("x87DecTop")],
  ["move_c", (core) => Number(core.functions["x87ConditionalMove"]!(1, core.read(FLAG_C) & 1))],
  ["scale", call("x87Scale")],
  ["extract", call("x87Extract")],
  ["prem", call("x87Remainder", 0)],
  ["prem1", call("x87Remainder", 1)],
  ["initialise", call("x87Initialise")],
  ["clear", call("x87ClearExceptions")],
  ["store_control", storeWord("x87StoreControl")],
  ["store_status", storeWord("x87StoreStatus")],
  ["load_control", load32("x87LoadControl")],
  ["nop", call("x87Check")],
  ["finish_environment", call("x87FinishEnvironment")],
  ["mmx_enter", mmx(["mmxEnter"])],
  ["mmx_write", paddb],
  ["mmx_empty", mmx(["mmxEmpty"])],
];
