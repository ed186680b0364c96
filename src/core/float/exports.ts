// Floating point as the processor does it: the SSE scalar operations and the x87 unit.
export { f32Add, f32Div, f32Mul, f32Sqrt, f32Sub, f64Add, f64Div, f64Mul, f64Sqrt, f64Sub } from "./sse/arithmetic";
export { f32Compare, f32CompareFlags, f32Max, f32Min, f64Compare, f64CompareFlags, f64Max, f64Min } from "./sse/compare";
export { commitSse, setCompareFlags } from "./sse/control";
export { f32ToF64, f32ToI32, f32ToI64, f64ToF32, f64ToI32, f64ToI64, i32ToF32, i32ToF64, i64ToF32, i64ToF64 } from "./sse/convert";
export { f32RcpApprox, f32RsqrtApprox } from "./sse/approximation";
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
export { x87FinishEnvironment, x87ReadEnvironment, x87ReadState, x87WriteEnvironment, x87WriteState } from "./x87/environment";
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
} from "./x87/store";
export { x87Check } from "./x87/unit";
export { x87Arctangent } from "./x87/arctangent";
export { x87Exponential, x87Logarithm } from "./x87/exponential";
export { x87Cosine, x87Sine, x87SineCosine, x87Tangent } from "./x87/trigonometry";
