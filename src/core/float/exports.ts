// Floating point as the processor does it: the SSE scalar operations and the x87 unit.
//
// Reading order: kernel/number, unpack, round, pack, then one operation a file;
// sse/exact, then its fast paths in sse/arithmetic; x87/unit, then the instructions.
//
// SSE: an instruction calls an operation for each of its lanes (raw bits in and out)
// and then commitSse, before it writes its result: a fault leaves the destination as it was.
//
// x87: every function is one instruction, pending exceptions and all; the caller only
// checks CR0.EM and CR0.TS first, with x87Check. A status that is not STATUS_OK ends the instruction.
// - x87Arith(op, dst, src, pop): op is that of the mnemonic (FSUB 4, FSUBR 5, FDIV 6, FDIVR 7). The reg field of
//   DC and DE with a register has FSUB and FSUBR, FDIV and FDIVR the other way round.
// - A store is x87PrepareStore*, the write of SCRATCH+40.. to guest memory, x87FinishStore(pop). With SCRATCH+56
//   not 0 an unmasked exception keeps the value from being written; the second step makes it pending.
// - FNSTENV is x87WriteEnvironment, the write, x87FinishEnvironment; FNSAVE is x87WriteState, the write, x87Initialise.

export { f32RcpApprox, f32RsqrtApprox } from "./sse/approximation";
export {
  f32Add,
  f32Div,
  f32Mul,
  f32Sqrt,
  f32Sub,
  f64Add,
  f64Div,
  f64Mul,
  f64Sqrt,
  f64Sub,
} from "./sse/arithmetic";
export {
  f32Compare,
  f32CompareFlags,
  f32Max,
  f32Min,
  f64Compare,
  f64CompareFlags,
  f64Max,
  f64Min,
} from "./sse/compare";
export { commitSse, setCompareFlags } from "./sse/control";
export {
  f32ToF64,
  f32ToI32,
  f32ToI64,
  f64ToF32,
  f64ToI32,
  f64ToI64,
  i32ToF32,
  i32ToF64,
  i64ToF32,
  i64ToF64,
} from "./sse/convert";
export { f32MultiplyAdd, f64MultiplyAdd } from "./sse/fused";
export { f16ToF32, f32ToF16 } from "./sse/half";
export { f32Round, f64Round } from "./sse/round";
export { x87Arctangent } from "./x87/arctangent";
export { x87Arith, x87Arith32, x87Arith64, x87ArithI16, x87ArithI32, x87Unary } from "./x87/arithmetic";
export { x87Compare, x87CompareFlags, x87ConditionalMove, x87Examine, x87Test } from "./x87/compare";
export {
  mmxEmpty,
  mmxEnter,
  mmxWritten,
  x87ClearExceptions,
  x87DecTop,
  x87IncTop,
  x87Initialise,
  x87LoadControl,
  x87SetPointers,
  x87SetStatus,
  x87SetTagWord,
  x87StoreControl,
  x87StoreStatus,
  x87TagWord,
} from "./x87/control";
export {
  x87FinishEnvironment,
  x87ReadEnvironment,
  x87ReadState,
  x87WriteEnvironment,
  x87WriteState,
} from "./x87/environment";
export { x87Exponential, x87Logarithm } from "./x87/exponential";
export {
  x87Load32,
  x87Load64,
  x87Load80,
  x87LoadBcd,
  x87LoadConstant,
  x87LoadI16,
  x87LoadI32,
  x87LoadI64,
  x87LoadSt,
} from "./x87/load";
export {
  x87PlainAdd,
  x87PlainCompare,
  x87PlainDivide,
  x87PlainMultiply,
  x87PlainRoot,
} from "./x87/plain-registers";
export { x87Remainder } from "./x87/remainder";
export { x87Extract, x87Scale } from "./x87/scale";
export {
  x87Exchange,
  x87FinishStore,
  x87Free,
  x87PrepareStore32,
  x87PrepareStore64,
  x87PrepareStore80,
  x87PrepareStoreBcd,
  x87PrepareStoreI16,
  x87PrepareStoreI32,
  x87PrepareStoreI64,
  x87PrepareStoreTruncI16,
  x87PrepareStoreTruncI32,
  x87PrepareStoreTruncI64,
  x87StoreSt,
  x87MoveSt,
} from "./x87/store";
export { x87Cosine, x87Sine, x87SineCosine, x87Tangent } from "./x87/trigonometry";
export { x87Check } from "./x87/unit";
