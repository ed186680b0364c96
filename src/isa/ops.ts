import type { FaultName } from "./faults.ts";
import type { HelperName } from "./helpers.ts";
import type { Condition, GeneralRegister, SegmentRegister, StatusFlag } from "./registers.ts";

/** Width of a value in bits. 1 is a truth value; 128 a vector; 256 two of them, on which only `half` and `joined` work. */
export type Bits = 1 | 8 | 16 | 32 | 64 | 128 | 256;
/** Width of an integer operand. */
export type OperandBits = 8 | 16 | 32 | 64;
export type LaneBits = 8 | 16 | 32 | 64;

/** Integer operations on two vectors, lane by lane. */
export type LaneOp =
  | "add"
  | "subtract"
  | "multiply"
  | "addSaturateSigned"
  | "addSaturateUnsigned"
  | "subtractSaturateSigned"
  | "subtractSaturateUnsigned"
  | "minSigned"
  | "minUnsigned"
  | "maxSigned"
  | "maxUnsigned"
  | "averageUnsigned"
  | "equal"
  | "greaterSigned"
  /** High half of the double-width product. */
  | "multiplyHighSigned"
  | "multiplyHighUnsigned";

/** Shifts of every lane by one count; a count of the lane's width or more gives 0 (or the sign). */
export type LaneShift = "shiftLeft" | "shiftRight" | "shiftRightSigned";

/**
 * The vocabulary in which instruction semantics are written.
 *
 * A back end picks `V`: the reference evaluator uses numbers, the interpreter
 * and the translator use WebAssembly expressions. Semantics never look inside
 * a `V`. Every value has a width in bits; operands of a binary operation have
 * one width, and so has its result, unless said otherwise. Values wrap.
 *
 * Effects happen in the order they are written. An instruction must be
 * restartable: whatever can fault (loads, stores, `raise`, `system`) comes
 * before the first change of a register or flag.
 */
export interface Ops<V> {
  /** Operand size of the running form: 8, 16, 32 or 64. */
  readonly operandBits: OperandBits;
  /** The form runs in 64-bit code; otherwise in 16 or 32-bit code. */
  readonly code64: boolean;

  // Values.
  constant(value: bigint | number, bits: Bits): V;
  bitsOf(v: V): Bits;
  add(a: V, b: V): V;
  subtract(a: V, b: V): V;
  /** Low half of the product. */
  multiply(a: V, b: V): V;
  /** Quotients and remainders of 32 or 64 bits; the divisor is not 0, and signed quotients fit. */
  divideUnsigned(a: V, b: V): V;
  divideSigned(a: V, b: V): V;
  remainderUnsigned(a: V, b: V): V;
  remainderSigned(a: V, b: V): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  not(a: V): V;
  negate(a: V): V;
  /** Shifts and rotates: `count` is a number or a value of any width, and less than the width of `a`. */
  shiftLeft(a: V, count: V | number): V;
  shiftRight(a: V, count: V | number): V;
  shiftRightSigned(a: V, count: V | number): V;
  rotateLeft(a: V, count: V | number): V;
  rotateRight(a: V, count: V | number): V;
  /** Comparisons give a truth value (1 bit). */
  lessUnsigned(a: V, b: V): V;
  lessSigned(a: V, b: V): V;
  equal(a: V, b: V): V;
  isZero(a: V): V;
  /** Bit `index` of `a`, as a truth value. */
  bit(a: V, index: number): V;
  zeroExtend(a: V, bits: Bits): V;
  signExtend(a: V, bits: Bits): V;
  /** The low `bits` bits. */
  truncate(a: V, bits: Bits): V;
  /** `condition` (1 bit) chooses; both values are computed. */
  select(condition: V, whenTrue: V, whenFalse: V): V;
  /** 1 when the low eight bits of `a` hold an even number of ones. */
  parityOfLowByte(a: V): V;
  /** Of a value that is zero: its width. */
  countLeadingZeros(a: V): V;
  countTrailingZeros(a: V): V;
  populationCount(a: V): V;
  byteSwap(a: V): V;
  /** Computes now: later effects do not change the value. */
  keep(a: V): V;

  // Control inside an instruction.
  when(condition: V, then: () => void, otherwise?: () => void): void;

  // Registers and flags.
  /** The low `bits` bits of a general register. */
  register(register: GeneralRegister, bits: OperandBits): V;
  /** Writes as an instruction of that operand size does: 32 bits clear the upper half, 8 and 16 leave the rest. */
  setRegister(register: GeneralRegister, value: V): void;
  flag(flag: StatusFlag): V;
  setFlag(flag: StatusFlag, value: V): void;
  /** SF, ZF and PF of a result (Intel SDM Vol. 1, "Status Flags"). */
  setResultFlags(result: V): void;
  /** OF and AF of `sum` = `a` + `b` (plus a carry). CF is set apart. */
  setAdditionOverflow(a: V, b: V, sum: V): void;
  /** OF and AF of `difference` = `a` - `b` (minus a borrow). CF is set apart. */
  setSubtractionOverflow(a: V, b: V, difference: V): void;
  /** All flags are those of `a` - `b`: a condition may be found by comparing the two instead. Said after the flags are set. */
  setComparison(a: V, b: V): void;
  /** All flags are those of `a` + `b`. Said after the flags are set. */
  setSum(a: V, b: V): void;
  /** Truth value of a condition code on the present flags. */
  condition(condition: Condition): V;

  // Memory. Addresses are linear, 64 bits wide, and come from operands of kind `m` or from `segmented`.
  load(bits: Exclude<Bits, 1>, address: V): V;
  store(address: V, value: V): void;
  /** Reads and writes memory that is checked for writing first; `change` cannot fault. */
  modify(bits: Exclude<Bits, 1>, address: V, change: (old: V) => V): void;
  /** Linear address of an offset in a segment; in legacy modes checked against its limit. */
  segmented(segment: SegmentRegister, offset: V, bytes: number, access: "read" | "write"): V;
  /** The same in the segment that `stringPrefixes` tells: of a memory operand, or DS or a prefix's. */
  dataSegmented(offset: V, bytes: number, access: "read" | "write"): V;
  /** The selector, 16 bits, of the segment register with a given number (32 bits). */
  selectorOf(segment: V): V;
  /** Pushes by the present stack size. Nothing has changed when it faults. */
  push(value: V): void;
  /** Pops; RSP has changed afterwards, so it comes last of what can fault, or `peekStack` and `releaseStack` are used. */
  pop(bits: 16 | 32 | 64): V;
  /** The value `offsetBytes` above the top of the stack; RSP stays. */
  peekStack(bits: 16 | 32 | 64, offsetBytes: number): V;
  /** The value at an offset in the stack segment, cut to the stack size. */
  loadStack(bits: 16 | 32 | 64, pointer: V): V;
  /** Faults as a store at an offset in the stack segment would; writes nothing. */
  probeStack(bits: 16 | 32 | 64, pointer: V): void;
  /** Stores `offsetBytes` above the top of the stack (below it when negative); RSP stays. */
  pokeStack(value: V, offsetBytes: number): void;
  /** Adds to RSP within the stack size. */
  releaseStack(bytes: V | number): void;

  // Leaving.
  /** Offset of the next instruction in the code segment, 64 bits. */
  nextInstruction(): V;
  /**
   * #GP(0) when a near transfer may not go to an offset, 64 bits: it is not
   * canonical, or beyond the limit of CS. `before` may raise another fault then.
   */
  checkTarget(target: V, before?: () => void): void;
  /** Continues at an offset in the code segment; near. The last thing an instruction does. */
  jump(target: V): void;
  /** Continues at `target` if `condition`; a relative target only. */
  branch(condition: V, target: V): void;
  /** Ends the instruction with a fault; error code 0 where the fault has one. */
  raise(fault: FaultName): void;
  raiseWhen(condition: V, fault: FaultName): void;
  /** #GP(0) unless CPL is 0. */
  requirePrivilege(): void;

  // Functions of src/core (isa/helpers.ts).
  /** A helper that returns a value and cannot fault. */
  call(helper: HelperName, ...args: V[]): V;
  /** A helper that returns a value, or sets a fault, which ends the instruction. */
  query(helper: HelperName, ...args: V[]): V;
  /** A helper that returns nothing and cannot fault. */
  perform(helper: HelperName, ...args: V[]): void;
  /** A helper that returns a STATUS_*: it may fault, or continue elsewhere. */
  system(helper: HelperName, ...args: V[]): void;
  /** What the last `system` helper left, 64 bits: 0 first result (a quotient), 1 second (a remainder). */
  helperResult(index: 0 | 1): V;
  /** A field of the processor state (layout/cpu-state.ts), zero-extended or truncated to `bits`. */
  state(offset: number, bits: 8 | 16 | 32 | 64): V;
  setState(offset: number, value: V): void;
  /**
   * What the prefixes of a `repeatable` or `addressPrefixes` form say, 32 bits each: address size
   * (16, 32, 64), repetition (0 none, 1 REP or REPE, 2 REPNE), segment index.
   */
  stringPrefixes(): { addressBits: V; repeat: V; segment: V };
  /** How far the indices of a gather are shifted, 8 bits: 0..3. */
  indexScale(): V;
  /** The low `addressBits` of RCX, zero-extended to 64 bits, and a way to write it: LOOP and JCXZ. */
  counter(): V;
  setCounter(value: V): void;

  // Vectors of 128 bits; MMX operands are 64-bit integers that `vector64` and `low64` convert.
  laneOp(op: LaneOp, laneBits: LaneBits, a: V, b: V): V;
  /** `count` is 64 bits wide. */
  laneShift(op: LaneShift, laneBits: 16 | 32 | 64, a: V, count: V): V;
  /** PMADDWD: sums of neighbouring products of signed 16-bit lanes. */
  multiplyAddPairs(a: V, b: V): V;
  /** PMULUDQ: 64-bit products of the even 32-bit lanes, unsigned. */
  multiplyEvenUnsigned(a: V, b: V): V;
  /** PSADBW: for each half, the sum of absolute differences of bytes. */
  sumAbsoluteDifferences(a: V, b: V): V;
  /** Narrows both vectors' lanes with saturation: `a` gives the low half. */
  packSaturate(fromBits: 16 | 32, signed: boolean, a: V, b: V): V;
  /** Byte `i` of the result is byte `indices[i]` of `a` (0..15) followed by `b` (16..31). */
  shuffleBytes(indices: readonly number[], a: V, b: V): V;
  /**
   * PSHUFx: lane `firstLane + i`, i in 0..3, becomes lane `firstLane + s`, where s is bits 2i and 2i + 1
   * of `selector` (8 bits). Other lanes stay.
   */
  shuffleLanes(laneBits: 16 | 32, firstLane: 0 | 4, a: V, selector: V): V;
  /** A vector from its lanes, lowest first. */
  fromLanes(lanes: readonly V[]): V;
  /** One lane, `index` 0 = lowest. */
  lane(laneBits: LaneBits, a: V, index: number): V;
  /** Lane chosen by a value (taken modulo the number of lanes). */
  laneAt(laneBits: LaneBits, a: V, index: V): V;
  withLane(a: V, index: number, value: V): V;
  withLaneAt(a: V, index: V, value: V): V;
  /** The top bits of all lanes as an integer of 32 bits, lane 0 in bit 0. */
  laneSigns(laneBits: LaneBits, a: V): V;
  /** Shifts the 16 bytes by whole bytes, 0..16, zeros in. */
  shiftBytes(direction: "left" | "right", a: V, count: V): V;
  /** A vector whose low half is a 64-bit integer and whose high half is 0. */
  vector64(low: V): V;
  low64(a: V): V;
  /** A vector with one value in all lanes. */
  splat(value: V): V;
  /** Byte `i` of the result is the byte of `a` whose number is byte `i` of `indices`; 0 where that is above 15. */
  lookupBytes(a: V, indices: V): V;
  /** One half of 256 bits, and both put together. */
  half(a: V, index: 0 | 1): V;
  joined(low: V, high: V): V;
}
