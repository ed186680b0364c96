import type { ValueType } from "./value-type.ts";

/** What follows an instruction's opcode bytes. */
export type Immediate =
  | "none"
  | "block"
  | "label"
  | "labels"
  | "function"
  | "indirect"
  | "local"
  | "global"
  | "memory"
  | "memory-lane"
  | "memory-index"
  | "memory-pair"
  | "lane"
  | "shuffle"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "v128"
  | "fence";

/** How an instruction may be used: `pure` ones have no effect and read no memory (some of them trap). */
export type OpcodeClass = "pure" | "constant" | "load" | "store" | "bulk" | "atomic" | "control";

export interface Opcode {
  /** 0, or the byte that stands before a LEB128 opcode. */
  readonly prefix: number;
  readonly code: number;
  readonly operands: readonly ValueType[];
  readonly result: ValueType | undefined;
  readonly immediate: Immediate;
  readonly class: OpcodeClass;
  /** The binary logarithm of the access size, for instructions that access memory. */
  readonly alignment: number;
  /** The number of lanes, for instructions with a lane immediate. */
  readonly lanes: number;
}

/** The letters of the table below. */
const TYPE_OF_LETTER: Readonly<Record<string, ValueType>> = {
  i: "i32",
  l: "i64",
  f: "f32",
  d: "f64",
  v: "v128",
};

function opcode(
  prefix: number,
  code: number,
  operands: string,
  result: string,
  immediate: Immediate,
  opcodeClass: OpcodeClass,
  alignment = 0,
  lanes = 0,
): Opcode {
  const typeOf = (letter: string): ValueType => TYPE_OF_LETTER[letter] as ValueType;
  return {
    prefix,
    code,
    operands: [...operands].map(typeOf),
    result: result === "" ? undefined : typeOf(result),
    immediate,
    class: opcodeClass,
    alignment,
    lanes,
  };
}

const control = (code: number, operands: string, immediate: Immediate): Opcode =>
  opcode(0, code, operands, "", immediate, "control");
const load = (code: number, result: string, alignment: number): Opcode =>
  opcode(0, code, "i", result, "memory", "load", alignment);
const store = (code: number, value: string, alignment: number): Opcode =>
  opcode(0, code, `i${value}`, "", "memory", "store", alignment);
const bulk = (prefix: number, code: number, operands: string, result: string, immediate: Immediate): Opcode =>
  opcode(prefix, code, operands, result, immediate, "bulk");
const constant = (prefix: number, code: number, result: string, immediate: Immediate): Opcode =>
  opcode(prefix, code, "", result, immediate, "constant");
const pure = (code: number, operands: string, result: string): Opcode =>
  opcode(0, code, operands, result, "none", "pure");
const saturating = (code: number, operand: string, result: string): Opcode =>
  opcode(0xfc, code, operand, result, "none", "pure");
const simd = (code: number, operands: string, result: string): Opcode =>
  opcode(0xfd, code, operands, result, "none", "pure");
const lane = (code: number, operands: string, result: string, lanes: number): Opcode =>
  opcode(0xfd, code, operands, result, "lane", "pure", 0, lanes);
const shuffle = (code: number): Opcode => opcode(0xfd, code, "vv", "v", "shuffle", "pure", 0, 32);
const vectorLoad = (code: number, alignment: number): Opcode =>
  opcode(0xfd, code, "i", "v", "memory", "load", alignment);
const vectorStore = (code: number, alignment: number): Opcode =>
  opcode(0xfd, code, "iv", "", "memory", "store", alignment);
const laneLoad = (code: number, alignment: number): Opcode =>
  opcode(0xfd, code, "iv", "v", "memory-lane", "load", alignment, 16 >> alignment);
const laneStore = (code: number, alignment: number): Opcode =>
  opcode(0xfd, code, "iv", "", "memory-lane", "store", alignment, 16 >> alignment);
const atomic = (code: number, operands: string, result: string, alignment: number): Opcode =>
  opcode(0xfe, code, operands, result, "memory", "atomic", alignment);
const fence = (code: number): Opcode => opcode(0xfe, code, "", "", "fence", "atomic");

/**
 * Every instruction that the writer knows, under its name in the text format: the core specification's
 * appendix "Index of Instructions", and the threads proposal's "Overview" for the atomic ones.
 * Operand letters: i = i32, l = i64, f = f32, d = f64, v = v128.
 */
export const OPCODES = {
  // Control instructions.
  unreachable: control(0x00, "", "none"),
  nop: control(0x01, "", "none"),
  block: control(0x02, "", "block"),
  loop: control(0x03, "", "block"),
  if: control(0x04, "i", "block"),
  else: control(0x05, "", "none"),
  end: control(0x0b, "", "none"),
  br: control(0x0c, "", "label"),
  br_if: control(0x0d, "i", "label"),
  br_table: control(0x0e, "i", "labels"),
  return: control(0x0f, "", "none"),
  call: control(0x10, "", "function"),
  call_indirect: control(0x11, "i", "indirect"),
  return_call: control(0x12, "", "function"),
  return_call_indirect: control(0x13, "i", "indirect"),

  // Parametric and variable instructions. The types of these follow from what they are applied to.
  drop: control(0x1a, "", "none"),
  select: control(0x1b, "", "none"),
  "local.get": control(0x20, "", "local"),
  "local.set": control(0x21, "", "local"),
  "local.tee": control(0x22, "", "local"),
  "global.get": control(0x23, "", "global"),
  "global.set": control(0x24, "", "global"),

  // Memory instructions.
  "i32.load": load(0x28, "i", 2),
  "i64.load": load(0x29, "l", 3),
  "f32.load": load(0x2a, "f", 2),
  "f64.load": load(0x2b, "d", 3),
  "i32.load8_s": load(0x2c, "i", 0),
  "i32.load8_u": load(0x2d, "i", 0),
  "i32.load16_s": load(0x2e, "i", 1),
  "i32.load16_u": load(0x2f, "i", 1),
  "i64.load8_s": load(0x30, "l", 0),
  "i64.load8_u": load(0x31, "l", 0),
  "i64.load16_s": load(0x32, "l", 1),
  "i64.load16_u": load(0x33, "l", 1),
  "i64.load32_s": load(0x34, "l", 2),
  "i64.load32_u": load(0x35, "l", 2),
  "i32.store": store(0x36, "i", 2),
  "i64.store": store(0x37, "l", 3),
  "f32.store": store(0x38, "f", 2),
  "f64.store": store(0x39, "d", 3),
  "i32.store8": store(0x3a, "i", 0),
  "i32.store16": store(0x3b, "i", 1),
  "i64.store8": store(0x3c, "l", 0),
  "i64.store16": store(0x3d, "l", 1),
  "i64.store32": store(0x3e, "l", 2),
  "memory.size": bulk(0, 0x3f, "", "i", "memory-index"),
  "memory.grow": bulk(0, 0x40, "i", "i", "memory-index"),
  "memory.copy": bulk(0xfc, 0x0a, "iii", "", "memory-pair"),
  "memory.fill": bulk(0xfc, 0x0b, "iii", "", "memory-index"),

  // Constants.
  "i32.const": constant(0, 0x41, "i", "i32"),
  "i64.const": constant(0, 0x42, "l", "i64"),
  "f32.const": constant(0, 0x43, "f", "f32"),
  "f64.const": constant(0, 0x44, "d", "f64"),
  "v128.const": constant(0xfd, 0x0c, "v", "v128"),

  // i32 comparisons.
  "i32.eqz": pure(0x45, "i", "i"),
  "i32.eq": pure(0x46, "ii", "i"),
  "i32.ne": pure(0x47, "ii", "i"),
  "i32.lt_s": pure(0x48, "ii", "i"),
  "i32.lt_u": pure(0x49, "ii", "i"),
  "i32.gt_s": pure(0x4a, "ii", "i"),
  "i32.gt_u": pure(0x4b, "ii", "i"),
  "i32.le_s": pure(0x4c, "ii", "i"),
  "i32.le_u": pure(0x4d, "ii", "i"),
  "i32.ge_s": pure(0x4e, "ii", "i"),
  "i32.ge_u": pure(0x4f, "ii", "i"),

  // i64 comparisons.
  "i64.eqz": pure(0x50, "l", "i"),
  "i64.eq": pure(0x51, "ll", "i"),
  "i64.ne": pure(0x52, "ll", "i"),
  "i64.lt_s": pure(0x53, "ll", "i"),
  "i64.lt_u": pure(0x54, "ll", "i"),
  "i64.gt_s": pure(0x55, "ll", "i"),
  "i64.gt_u": pure(0x56, "ll", "i"),
  "i64.le_s": pure(0x57, "ll", "i"),
  "i64.le_u": pure(0x58, "ll", "i"),
  "i64.ge_s": pure(0x59, "ll", "i"),
  "i64.ge_u": pure(0x5a, "ll", "i"),

  // f32 comparisons.
  "f32.eq": pure(0x5b, "ff", "i"),
  "f32.ne": pure(0x5c, "ff", "i"),
  "f32.lt": pure(0x5d, "ff", "i"),
  "f32.gt": pure(0x5e, "ff", "i"),
  "f32.le": pure(0x5f, "ff", "i"),
  "f32.ge": pure(0x60, "ff", "i"),

  // f64 comparisons.
  "f64.eq": pure(0x61, "dd", "i"),
  "f64.ne": pure(0x62, "dd", "i"),
  "f64.lt": pure(0x63, "dd", "i"),
  "f64.gt": pure(0x64, "dd", "i"),
  "f64.le": pure(0x65, "dd", "i"),
  "f64.ge": pure(0x66, "dd", "i"),

  // i32 arithmetic.
  "i32.clz": pure(0x67, "i", "i"),
  "i32.ctz": pure(0x68, "i", "i"),
  "i32.popcnt": pure(0x69, "i", "i"),
  "i32.add": pure(0x6a, "ii", "i"),
  "i32.sub": pure(0x6b, "ii", "i"),
  "i32.mul": pure(0x6c, "ii", "i"),
  "i32.div_s": pure(0x6d, "ii", "i"),
  "i32.div_u": pure(0x6e, "ii", "i"),
  "i32.rem_s": pure(0x6f, "ii", "i"),
  "i32.rem_u": pure(0x70, "ii", "i"),
  "i32.and": pure(0x71, "ii", "i"),
  "i32.or": pure(0x72, "ii", "i"),
  "i32.xor": pure(0x73, "ii", "i"),
  "i32.shl": pure(0x74, "ii", "i"),
  "i32.shr_s": pure(0x75, "ii", "i"),
  "i32.shr_u": pure(0x76, "ii", "i"),
  "i32.rotl": pure(0x77, "ii", "i"),
  "i32.rotr": pure(0x78, "ii", "i"),

  // i64 arithmetic.
  "i64.clz": pure(0x79, "l", "l"),
  "i64.ctz": pure(0x7a, "l", "l"),
  "i64.popcnt": pure(0x7b, "l", "l"),
  "i64.add": pure(0x7c, "ll", "l"),
  "i64.sub": pure(0x7d, "ll", "l"),
  "i64.mul": pure(0x7e, "ll", "l"),
  "i64.div_s": pure(0x7f, "ll", "l"),
  "i64.div_u": pure(0x80, "ll", "l"),
  "i64.rem_s": pure(0x81, "ll", "l"),
  "i64.rem_u": pure(0x82, "ll", "l"),
  "i64.and": pure(0x83, "ll", "l"),
  "i64.or": pure(0x84, "ll", "l"),
  "i64.xor": pure(0x85, "ll", "l"),
  "i64.shl": pure(0x86, "ll", "l"),
  "i64.shr_s": pure(0x87, "ll", "l"),
  "i64.shr_u": pure(0x88, "ll", "l"),
  "i64.rotl": pure(0x89, "ll", "l"),
  "i64.rotr": pure(0x8a, "ll", "l"),

  // f32 arithmetic.
  "f32.abs": pure(0x8b, "f", "f"),
  "f32.neg": pure(0x8c, "f", "f"),
  "f32.ceil": pure(0x8d, "f", "f"),
  "f32.floor": pure(0x8e, "f", "f"),
  "f32.trunc": pure(0x8f, "f", "f"),
  "f32.nearest": pure(0x90, "f", "f"),
  "f32.sqrt": pure(0x91, "f", "f"),
  "f32.add": pure(0x92, "ff", "f"),
  "f32.sub": pure(0x93, "ff", "f"),
  "f32.mul": pure(0x94, "ff", "f"),
  "f32.div": pure(0x95, "ff", "f"),
  "f32.min": pure(0x96, "ff", "f"),
  "f32.max": pure(0x97, "ff", "f"),
  "f32.copysign": pure(0x98, "ff", "f"),

  // f64 arithmetic.
  "f64.abs": pure(0x99, "d", "d"),
  "f64.neg": pure(0x9a, "d", "d"),
  "f64.ceil": pure(0x9b, "d", "d"),
  "f64.floor": pure(0x9c, "d", "d"),
  "f64.trunc": pure(0x9d, "d", "d"),
  "f64.nearest": pure(0x9e, "d", "d"),
  "f64.sqrt": pure(0x9f, "d", "d"),
  "f64.add": pure(0xa0, "dd", "d"),
  "f64.sub": pure(0xa1, "dd", "d"),
  "f64.mul": pure(0xa2, "dd", "d"),
  "f64.div": pure(0xa3, "dd", "d"),
  "f64.min": pure(0xa4, "dd", "d"),
  "f64.max": pure(0xa5, "dd", "d"),
  "f64.copysign": pure(0xa6, "dd", "d"),

  // Conversions.
  "i32.wrap_i64": pure(0xa7, "l", "i"),
  "i32.trunc_f32_s": pure(0xa8, "f", "i"),
  "i32.trunc_f32_u": pure(0xa9, "f", "i"),
  "i32.trunc_f64_s": pure(0xaa, "d", "i"),
  "i32.trunc_f64_u": pure(0xab, "d", "i"),
  "i64.extend_i32_s": pure(0xac, "i", "l"),
  "i64.extend_i32_u": pure(0xad, "i", "l"),
  "i64.trunc_f32_s": pure(0xae, "f", "l"),
  "i64.trunc_f32_u": pure(0xaf, "f", "l"),
  "i64.trunc_f64_s": pure(0xb0, "d", "l"),
  "i64.trunc_f64_u": pure(0xb1, "d", "l"),
  "f32.convert_i32_s": pure(0xb2, "i", "f"),
  "f32.convert_i32_u": pure(0xb3, "i", "f"),
  "f32.convert_i64_s": pure(0xb4, "l", "f"),
  "f32.convert_i64_u": pure(0xb5, "l", "f"),
  "f32.demote_f64": pure(0xb6, "d", "f"),
  "f64.convert_i32_s": pure(0xb7, "i", "d"),
  "f64.convert_i32_u": pure(0xb8, "i", "d"),
  "f64.convert_i64_s": pure(0xb9, "l", "d"),
  "f64.convert_i64_u": pure(0xba, "l", "d"),
  "f64.promote_f32": pure(0xbb, "f", "d"),
  "i32.reinterpret_f32": pure(0xbc, "f", "i"),
  "i64.reinterpret_f64": pure(0xbd, "d", "l"),
  "f32.reinterpret_i32": pure(0xbe, "i", "f"),
  "f64.reinterpret_i64": pure(0xbf, "l", "d"),

  // Sign extension.
  "i32.extend8_s": pure(0xc0, "i", "i"),
  "i32.extend16_s": pure(0xc1, "i", "i"),
  "i64.extend8_s": pure(0xc2, "l", "l"),
  "i64.extend16_s": pure(0xc3, "l", "l"),
  "i64.extend32_s": pure(0xc4, "l", "l"),

  // Saturating float-to-int conversions.
  "i32.trunc_sat_f32_s": saturating(0x00, "f", "i"),
  "i32.trunc_sat_f32_u": saturating(0x01, "f", "i"),
  "i32.trunc_sat_f64_s": saturating(0x02, "d", "i"),
  "i32.trunc_sat_f64_u": saturating(0x03, "d", "i"),
  "i64.trunc_sat_f32_s": saturating(0x04, "f", "l"),
  "i64.trunc_sat_f32_u": saturating(0x05, "f", "l"),
  "i64.trunc_sat_f64_s": saturating(0x06, "d", "l"),
  "i64.trunc_sat_f64_u": saturating(0x07, "d", "l"),

  // Vector memory instructions.
  "v128.load": vectorLoad(0x00, 4),
  "v128.load8x8_s": vectorLoad(0x01, 3),
  "v128.load8x8_u": vectorLoad(0x02, 3),
  "v128.load16x4_s": vectorLoad(0x03, 3),
  "v128.load16x4_u": vectorLoad(0x04, 3),
  "v128.load32x2_s": vectorLoad(0x05, 3),
  "v128.load32x2_u": vectorLoad(0x06, 3),
  "v128.load8_splat": vectorLoad(0x07, 0),
  "v128.load16_splat": vectorLoad(0x08, 1),
  "v128.load32_splat": vectorLoad(0x09, 2),
  "v128.load64_splat": vectorLoad(0x0a, 3),
  "v128.load32_zero": vectorLoad(0x5c, 2),
  "v128.load64_zero": vectorLoad(0x5d, 3),
  "v128.store": vectorStore(0x0b, 4),
  "v128.load8_lane": laneLoad(0x54, 0),
  "v128.load16_lane": laneLoad(0x55, 1),
  "v128.load32_lane": laneLoad(0x56, 2),
  "v128.load64_lane": laneLoad(0x57, 3),
  "v128.store8_lane": laneStore(0x58, 0),
  "v128.store16_lane": laneStore(0x59, 1),
  "v128.store32_lane": laneStore(0x5a, 2),
  "v128.store64_lane": laneStore(0x5b, 3),

  // Vector lanes.
  "i8x16.shuffle": shuffle(0x0d),
  "i8x16.swizzle": simd(0x0e, "vv", "v"),
  "i8x16.splat": simd(0x0f, "i", "v"),
  "i16x8.splat": simd(0x10, "i", "v"),
  "i32x4.splat": simd(0x11, "i", "v"),
  "i64x2.splat": simd(0x12, "l", "v"),
  "f32x4.splat": simd(0x13, "f", "v"),
  "f64x2.splat": simd(0x14, "d", "v"),
  "i8x16.extract_lane_s": lane(0x15, "v", "i", 16),
  "i8x16.extract_lane_u": lane(0x16, "v", "i", 16),
  "i8x16.replace_lane": lane(0x17, "vi", "v", 16),
  "i16x8.extract_lane_s": lane(0x18, "v", "i", 8),
  "i16x8.extract_lane_u": lane(0x19, "v", "i", 8),
  "i16x8.replace_lane": lane(0x1a, "vi", "v", 8),
  "i32x4.extract_lane": lane(0x1b, "v", "i", 4),
  "i32x4.replace_lane": lane(0x1c, "vi", "v", 4),
  "i64x2.extract_lane": lane(0x1d, "v", "l", 2),
  "i64x2.replace_lane": lane(0x1e, "vl", "v", 2),
  "f32x4.extract_lane": lane(0x1f, "v", "f", 4),
  "f32x4.replace_lane": lane(0x20, "vf", "v", 4),
  "f64x2.extract_lane": lane(0x21, "v", "d", 2),
  "f64x2.replace_lane": lane(0x22, "vd", "v", 2),

  // Vector comparisons.
  "i8x16.eq": simd(0x23, "vv", "v"),
  "i8x16.ne": simd(0x24, "vv", "v"),
  "i8x16.lt_s": simd(0x25, "vv", "v"),
  "i8x16.lt_u": simd(0x26, "vv", "v"),
  "i8x16.gt_s": simd(0x27, "vv", "v"),
  "i8x16.gt_u": simd(0x28, "vv", "v"),
  "i8x16.le_s": simd(0x29, "vv", "v"),
  "i8x16.le_u": simd(0x2a, "vv", "v"),
  "i8x16.ge_s": simd(0x2b, "vv", "v"),
  "i8x16.ge_u": simd(0x2c, "vv", "v"),
  "i16x8.eq": simd(0x2d, "vv", "v"),
  "i16x8.ne": simd(0x2e, "vv", "v"),
  "i16x8.lt_s": simd(0x2f, "vv", "v"),
  "i16x8.lt_u": simd(0x30, "vv", "v"),
  "i16x8.gt_s": simd(0x31, "vv", "v"),
  "i16x8.gt_u": simd(0x32, "vv", "v"),
  "i16x8.le_s": simd(0x33, "vv", "v"),
  "i16x8.le_u": simd(0x34, "vv", "v"),
  "i16x8.ge_s": simd(0x35, "vv", "v"),
  "i16x8.ge_u": simd(0x36, "vv", "v"),
  "i32x4.eq": simd(0x37, "vv", "v"),
  "i32x4.ne": simd(0x38, "vv", "v"),
  "i32x4.lt_s": simd(0x39, "vv", "v"),
  "i32x4.lt_u": simd(0x3a, "vv", "v"),
  "i32x4.gt_s": simd(0x3b, "vv", "v"),
  "i32x4.gt_u": simd(0x3c, "vv", "v"),
  "i32x4.le_s": simd(0x3d, "vv", "v"),
  "i32x4.le_u": simd(0x3e, "vv", "v"),
  "i32x4.ge_s": simd(0x3f, "vv", "v"),
  "i32x4.ge_u": simd(0x40, "vv", "v"),
  "f32x4.eq": simd(0x41, "vv", "v"),
  "f32x4.ne": simd(0x42, "vv", "v"),
  "f32x4.lt": simd(0x43, "vv", "v"),
  "f32x4.gt": simd(0x44, "vv", "v"),
  "f32x4.le": simd(0x45, "vv", "v"),
  "f32x4.ge": simd(0x46, "vv", "v"),
  "f64x2.eq": simd(0x47, "vv", "v"),
  "f64x2.ne": simd(0x48, "vv", "v"),
  "f64x2.lt": simd(0x49, "vv", "v"),
  "f64x2.gt": simd(0x4a, "vv", "v"),
  "f64x2.le": simd(0x4b, "vv", "v"),
  "f64x2.ge": simd(0x4c, "vv", "v"),
  "i64x2.eq": simd(0xd6, "vv", "v"),
  "i64x2.ne": simd(0xd7, "vv", "v"),
  "i64x2.lt_s": simd(0xd8, "vv", "v"),
  "i64x2.gt_s": simd(0xd9, "vv", "v"),
  "i64x2.le_s": simd(0xda, "vv", "v"),
  "i64x2.ge_s": simd(0xdb, "vv", "v"),

  // Vector bits.
  "v128.not": simd(0x4d, "v", "v"),
  "v128.and": simd(0x4e, "vv", "v"),
  "v128.andnot": simd(0x4f, "vv", "v"),
  "v128.or": simd(0x50, "vv", "v"),
  "v128.xor": simd(0x51, "vv", "v"),
  "v128.bitselect": simd(0x52, "vvv", "v"),
  "v128.any_true": simd(0x53, "v", "i"),

  // i8x16 arithmetic.
  "i8x16.abs": simd(0x60, "v", "v"),
  "i8x16.neg": simd(0x61, "v", "v"),
  "i8x16.popcnt": simd(0x62, "v", "v"),
  "i8x16.all_true": simd(0x63, "v", "i"),
  "i8x16.bitmask": simd(0x64, "v", "i"),
  "i8x16.narrow_i16x8_s": simd(0x65, "vv", "v"),
  "i8x16.narrow_i16x8_u": simd(0x66, "vv", "v"),
  "i8x16.shl": simd(0x6b, "vi", "v"),
  "i8x16.shr_s": simd(0x6c, "vi", "v"),
  "i8x16.shr_u": simd(0x6d, "vi", "v"),
  "i8x16.add": simd(0x6e, "vv", "v"),
  "i8x16.add_sat_s": simd(0x6f, "vv", "v"),
  "i8x16.add_sat_u": simd(0x70, "vv", "v"),
  "i8x16.sub": simd(0x71, "vv", "v"),
  "i8x16.sub_sat_s": simd(0x72, "vv", "v"),
  "i8x16.sub_sat_u": simd(0x73, "vv", "v"),
  "i8x16.min_s": simd(0x76, "vv", "v"),
  "i8x16.min_u": simd(0x77, "vv", "v"),
  "i8x16.max_s": simd(0x78, "vv", "v"),
  "i8x16.max_u": simd(0x79, "vv", "v"),
  "i8x16.avgr_u": simd(0x7b, "vv", "v"),

  // i16x8 arithmetic.
  "i16x8.extadd_pairwise_i8x16_s": simd(0x7c, "v", "v"),
  "i16x8.extadd_pairwise_i8x16_u": simd(0x7d, "v", "v"),
  "i16x8.abs": simd(0x80, "v", "v"),
  "i16x8.neg": simd(0x81, "v", "v"),
  "i16x8.q15mulr_sat_s": simd(0x82, "vv", "v"),
  "i16x8.all_true": simd(0x83, "v", "i"),
  "i16x8.bitmask": simd(0x84, "v", "i"),
  "i16x8.narrow_i32x4_s": simd(0x85, "vv", "v"),
  "i16x8.narrow_i32x4_u": simd(0x86, "vv", "v"),
  "i16x8.extend_low_i8x16_s": simd(0x87, "v", "v"),
  "i16x8.extend_high_i8x16_s": simd(0x88, "v", "v"),
  "i16x8.extend_low_i8x16_u": simd(0x89, "v", "v"),
  "i16x8.extend_high_i8x16_u": simd(0x8a, "v", "v"),
  "i16x8.shl": simd(0x8b, "vi", "v"),
  "i16x8.shr_s": simd(0x8c, "vi", "v"),
  "i16x8.shr_u": simd(0x8d, "vi", "v"),
  "i16x8.add": simd(0x8e, "vv", "v"),
  "i16x8.add_sat_s": simd(0x8f, "vv", "v"),
  "i16x8.add_sat_u": simd(0x90, "vv", "v"),
  "i16x8.sub": simd(0x91, "vv", "v"),
  "i16x8.sub_sat_s": simd(0x92, "vv", "v"),
  "i16x8.sub_sat_u": simd(0x93, "vv", "v"),
  "i16x8.mul": simd(0x95, "vv", "v"),
  "i16x8.min_s": simd(0x96, "vv", "v"),
  "i16x8.min_u": simd(0x97, "vv", "v"),
  "i16x8.max_s": simd(0x98, "vv", "v"),
  "i16x8.max_u": simd(0x99, "vv", "v"),
  "i16x8.avgr_u": simd(0x9b, "vv", "v"),
  "i16x8.extmul_low_i8x16_s": simd(0x9c, "vv", "v"),
  "i16x8.extmul_high_i8x16_s": simd(0x9d, "vv", "v"),
  "i16x8.extmul_low_i8x16_u": simd(0x9e, "vv", "v"),
  "i16x8.extmul_high_i8x16_u": simd(0x9f, "vv", "v"),

  // i32x4 arithmetic.
  "i32x4.extadd_pairwise_i16x8_s": simd(0x7e, "v", "v"),
  "i32x4.extadd_pairwise_i16x8_u": simd(0x7f, "v", "v"),
  "i32x4.abs": simd(0xa0, "v", "v"),
  "i32x4.neg": simd(0xa1, "v", "v"),
  "i32x4.all_true": simd(0xa3, "v", "i"),
  "i32x4.bitmask": simd(0xa4, "v", "i"),
  "i32x4.extend_low_i16x8_s": simd(0xa7, "v", "v"),
  "i32x4.extend_high_i16x8_s": simd(0xa8, "v", "v"),
  "i32x4.extend_low_i16x8_u": simd(0xa9, "v", "v"),
  "i32x4.extend_high_i16x8_u": simd(0xaa, "v", "v"),
  "i32x4.shl": simd(0xab, "vi", "v"),
  "i32x4.shr_s": simd(0xac, "vi", "v"),
  "i32x4.shr_u": simd(0xad, "vi", "v"),
  "i32x4.add": simd(0xae, "vv", "v"),
  "i32x4.sub": simd(0xb1, "vv", "v"),
  "i32x4.mul": simd(0xb5, "vv", "v"),
  "i32x4.min_s": simd(0xb6, "vv", "v"),
  "i32x4.min_u": simd(0xb7, "vv", "v"),
  "i32x4.max_s": simd(0xb8, "vv", "v"),
  "i32x4.max_u": simd(0xb9, "vv", "v"),
  "i32x4.dot_i16x8_s": simd(0xba, "vv", "v"),
  "i32x4.extmul_low_i16x8_s": simd(0xbc, "vv", "v"),
  "i32x4.extmul_high_i16x8_s": simd(0xbd, "vv", "v"),
  "i32x4.extmul_low_i16x8_u": simd(0xbe, "vv", "v"),
  "i32x4.extmul_high_i16x8_u": simd(0xbf, "vv", "v"),
  "i32x4.trunc_sat_f32x4_s": simd(0xf8, "v", "v"),
  "i32x4.trunc_sat_f32x4_u": simd(0xf9, "v", "v"),
  "i32x4.trunc_sat_f64x2_s_zero": simd(0xfc, "v", "v"),
  "i32x4.trunc_sat_f64x2_u_zero": simd(0xfd, "v", "v"),

  // i64x2 arithmetic.
  "i64x2.abs": simd(0xc0, "v", "v"),
  "i64x2.neg": simd(0xc1, "v", "v"),
  "i64x2.all_true": simd(0xc3, "v", "i"),
  "i64x2.bitmask": simd(0xc4, "v", "i"),
  "i64x2.extend_low_i32x4_s": simd(0xc7, "v", "v"),
  "i64x2.extend_high_i32x4_s": simd(0xc8, "v", "v"),
  "i64x2.extend_low_i32x4_u": simd(0xc9, "v", "v"),
  "i64x2.extend_high_i32x4_u": simd(0xca, "v", "v"),
  "i64x2.shl": simd(0xcb, "vi", "v"),
  "i64x2.shr_s": simd(0xcc, "vi", "v"),
  "i64x2.shr_u": simd(0xcd, "vi", "v"),
  "i64x2.add": simd(0xce, "vv", "v"),
  "i64x2.sub": simd(0xd1, "vv", "v"),
  "i64x2.mul": simd(0xd5, "vv", "v"),
  "i64x2.extmul_low_i32x4_s": simd(0xdc, "vv", "v"),
  "i64x2.extmul_high_i32x4_s": simd(0xdd, "vv", "v"),
  "i64x2.extmul_low_i32x4_u": simd(0xde, "vv", "v"),
  "i64x2.extmul_high_i32x4_u": simd(0xdf, "vv", "v"),

  // f32x4 arithmetic.
  "f32x4.demote_f64x2_zero": simd(0x5e, "v", "v"),
  "f32x4.ceil": simd(0x67, "v", "v"),
  "f32x4.floor": simd(0x68, "v", "v"),
  "f32x4.trunc": simd(0x69, "v", "v"),
  "f32x4.nearest": simd(0x6a, "v", "v"),
  "f32x4.abs": simd(0xe0, "v", "v"),
  "f32x4.neg": simd(0xe1, "v", "v"),
  "f32x4.sqrt": simd(0xe3, "v", "v"),
  "f32x4.add": simd(0xe4, "vv", "v"),
  "f32x4.sub": simd(0xe5, "vv", "v"),
  "f32x4.mul": simd(0xe6, "vv", "v"),
  "f32x4.div": simd(0xe7, "vv", "v"),
  "f32x4.min": simd(0xe8, "vv", "v"),
  "f32x4.max": simd(0xe9, "vv", "v"),
  "f32x4.pmin": simd(0xea, "vv", "v"),
  "f32x4.pmax": simd(0xeb, "vv", "v"),
  "f32x4.convert_i32x4_s": simd(0xfa, "v", "v"),
  "f32x4.convert_i32x4_u": simd(0xfb, "v", "v"),

  // f64x2 arithmetic.
  "f64x2.promote_low_f32x4": simd(0x5f, "v", "v"),
  "f64x2.ceil": simd(0x74, "v", "v"),
  "f64x2.floor": simd(0x75, "v", "v"),
  "f64x2.trunc": simd(0x7a, "v", "v"),
  "f64x2.nearest": simd(0x94, "v", "v"),
  "f64x2.abs": simd(0xec, "v", "v"),
  "f64x2.neg": simd(0xed, "v", "v"),
  "f64x2.sqrt": simd(0xef, "v", "v"),
  "f64x2.add": simd(0xf0, "vv", "v"),
  "f64x2.sub": simd(0xf1, "vv", "v"),
  "f64x2.mul": simd(0xf2, "vv", "v"),
  "f64x2.div": simd(0xf3, "vv", "v"),
  "f64x2.min": simd(0xf4, "vv", "v"),
  "f64x2.max": simd(0xf5, "vv", "v"),
  "f64x2.pmin": simd(0xf6, "vv", "v"),
  "f64x2.pmax": simd(0xf7, "vv", "v"),
  "f64x2.convert_low_i32x4_s": simd(0xfe, "v", "v"),
  "f64x2.convert_low_i32x4_u": simd(0xff, "v", "v"),

  // Threads.
  "memory.atomic.notify": atomic(0x00, "ii", "i", 2),
  "memory.atomic.wait32": atomic(0x01, "iil", "i", 2),
  "memory.atomic.wait64": atomic(0x02, "ill", "i", 3),
  "atomic.fence": fence(0x03),
  "i32.atomic.load": atomic(0x10, "i", "i", 2),
  "i64.atomic.load": atomic(0x11, "i", "l", 3),
  "i32.atomic.load8_u": atomic(0x12, "i", "i", 0),
  "i32.atomic.load16_u": atomic(0x13, "i", "i", 1),
  "i64.atomic.load8_u": atomic(0x14, "i", "l", 0),
  "i64.atomic.load16_u": atomic(0x15, "i", "l", 1),
  "i64.atomic.load32_u": atomic(0x16, "i", "l", 2),
  "i32.atomic.store": atomic(0x17, "ii", "", 2),
  "i64.atomic.store": atomic(0x18, "il", "", 3),
  "i32.atomic.store8": atomic(0x19, "ii", "", 0),
  "i32.atomic.store16": atomic(0x1a, "ii", "", 1),
  "i64.atomic.store8": atomic(0x1b, "il", "", 0),
  "i64.atomic.store16": atomic(0x1c, "il", "", 1),
  "i64.atomic.store32": atomic(0x1d, "il", "", 2),
  "i32.atomic.rmw.add": atomic(0x1e, "ii", "i", 2),
  "i64.atomic.rmw.add": atomic(0x1f, "il", "l", 3),
  "i32.atomic.rmw8.add_u": atomic(0x20, "ii", "i", 0),
  "i32.atomic.rmw16.add_u": atomic(0x21, "ii", "i", 1),
  "i64.atomic.rmw8.add_u": atomic(0x22, "il", "l", 0),
  "i64.atomic.rmw16.add_u": atomic(0x23, "il", "l", 1),
  "i64.atomic.rmw32.add_u": atomic(0x24, "il", "l", 2),
  "i32.atomic.rmw.sub": atomic(0x25, "ii", "i", 2),
  "i64.atomic.rmw.sub": atomic(0x26, "il", "l", 3),
  "i32.atomic.rmw8.sub_u": atomic(0x27, "ii", "i", 0),
  "i32.atomic.rmw16.sub_u": atomic(0x28, "ii", "i", 1),
  "i64.atomic.rmw8.sub_u": atomic(0x29, "il", "l", 0),
  "i64.atomic.rmw16.sub_u": atomic(0x2a, "il", "l", 1),
  "i64.atomic.rmw32.sub_u": atomic(0x2b, "il", "l", 2),
  "i32.atomic.rmw.and": atomic(0x2c, "ii", "i", 2),
  "i64.atomic.rmw.and": atomic(0x2d, "il", "l", 3),
  "i32.atomic.rmw8.and_u": atomic(0x2e, "ii", "i", 0),
  "i32.atomic.rmw16.and_u": atomic(0x2f, "ii", "i", 1),
  "i64.atomic.rmw8.and_u": atomic(0x30, "il", "l", 0),
  "i64.atomic.rmw16.and_u": atomic(0x31, "il", "l", 1),
  "i64.atomic.rmw32.and_u": atomic(0x32, "il", "l", 2),
  "i32.atomic.rmw.or": atomic(0x33, "ii", "i", 2),
  "i64.atomic.rmw.or": atomic(0x34, "il", "l", 3),
  "i32.atomic.rmw8.or_u": atomic(0x35, "ii", "i", 0),
  "i32.atomic.rmw16.or_u": atomic(0x36, "ii", "i", 1),
  "i64.atomic.rmw8.or_u": atomic(0x37, "il", "l", 0),
  "i64.atomic.rmw16.or_u": atomic(0x38, "il", "l", 1),
  "i64.atomic.rmw32.or_u": atomic(0x39, "il", "l", 2),
  "i32.atomic.rmw.xor": atomic(0x3a, "ii", "i", 2),
  "i64.atomic.rmw.xor": atomic(0x3b, "il", "l", 3),
  "i32.atomic.rmw8.xor_u": atomic(0x3c, "ii", "i", 0),
  "i32.atomic.rmw16.xor_u": atomic(0x3d, "ii", "i", 1),
  "i64.atomic.rmw8.xor_u": atomic(0x3e, "il", "l", 0),
  "i64.atomic.rmw16.xor_u": atomic(0x3f, "il", "l", 1),
  "i64.atomic.rmw32.xor_u": atomic(0x40, "il", "l", 2),
  "i32.atomic.rmw.xchg": atomic(0x41, "ii", "i", 2),
  "i64.atomic.rmw.xchg": atomic(0x42, "il", "l", 3),
  "i32.atomic.rmw8.xchg_u": atomic(0x43, "ii", "i", 0),
  "i32.atomic.rmw16.xchg_u": atomic(0x44, "ii", "i", 1),
  "i64.atomic.rmw8.xchg_u": atomic(0x45, "il", "l", 0),
  "i64.atomic.rmw16.xchg_u": atomic(0x46, "il", "l", 1),
  "i64.atomic.rmw32.xchg_u": atomic(0x47, "il", "l", 2),
  "i32.atomic.rmw.cmpxchg": atomic(0x48, "iii", "i", 2),
  "i64.atomic.rmw.cmpxchg": atomic(0x49, "ill", "l", 3),
  "i32.atomic.rmw8.cmpxchg_u": atomic(0x4a, "iii", "i", 0),
  "i32.atomic.rmw16.cmpxchg_u": atomic(0x4b, "iii", "i", 1),
  "i64.atomic.rmw8.cmpxchg_u": atomic(0x4c, "ill", "l", 0),
  "i64.atomic.rmw16.cmpxchg_u": atomic(0x4d, "ill", "l", 1),
  "i64.atomic.rmw32.cmpxchg_u": atomic(0x4e, "ill", "l", 2),
} satisfies Record<string, Opcode>;

export type OpName = keyof typeof OPCODES;

/** The atomic instructions without a result. */
export type AtomicStoreName = Extract<OpName, `${string}.atomic.store${string}`>;
