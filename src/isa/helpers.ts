/**
 * Functions of src/core that instructions call: parameters, then what comes
 * back. `status` is a STATUS_* of layout/cpu-state.ts; `-` is nothing.
 */
export const HELPERS = {
  // memory/
  readSlow: "i64 i32 -> i32",
  writeSlow: "i64 i32 i64 -> i32",
  writeSlow128: "i64 i64 i64 -> i32",
  modifySlow: "i64 i32 -> i32",
  commitWrite: "-> i32",
  invalidatePage: "i64 -> -",
  // processor/
  segmentAddress: "i32 i64 i32 i32 -> i64",
  loadSegment: "i32 i32 -> status",
  farJump: "i32 i64 i32 -> status",
  farCall: "i32 i64 i32 -> status",
  farReturn: "i32 i32 -> status",
  interruptReturn: "i32 -> status",
  softwareInterrupt: "i32 -> status",
  softwareException: "i32 -> status",
  debugInterrupt: "-> status",
  syscall: "-> status",
  sysret: "i32 -> status",
  sysenter: "-> status",
  sysexit: "i32 -> status",
  swapgs: "-> status",
  cli: "-> status",
  sti: "-> status",
  clac: "-> status",
  stac: "-> status",
  halt: "-> status",
  flagsForPush: "-> i64",
  popFlags: "i64 i32 -> status",
  lldt: "i32 -> status",
  ltr: "i32 -> status",
  lar: "i32 -> i64",
  lsl: "i32 -> i64",
  verr: "i32 -> i32",
  verw: "i32 -> i32",
  // strings/: element bits, repetition, address bits, segment
  stringMovs: "i32 i32 i32 i32 -> status",
  stringCmps: "i32 i32 i32 i32 -> status",
  stringScas: "i32 i32 i32 i32 -> status",
  stringLods: "i32 i32 i32 i32 -> status",
  stringStos: "i32 i32 i32 i32 -> status",
  stringIns: "i32 i32 i32 i32 -> status",
  stringOuts: "i32 i32 i32 i32 -> status",
  // system/
  readControl: "i32 -> i64",
  writeControl: "i32 i64 -> status",
  readDebug: "i32 -> status",
  writeDebug: "i32 i64 -> status",
  lmsw: "i32 -> status",
  smsw: "-> i64",
  clts: "-> status",
  loadGdtr: "i32 i64 -> status",
  loadIdtr: "i32 i64 -> status",
  divide128: "i64 i64 i64 -> status",
  divideSigned128: "i64 i64 i64 -> status",
  multiplyHigh: "i64 i64 -> i64",
  multiplyHighSigned: "i64 i64 -> i64",
  xgetbv: "-> status",
  xsetbv: "-> status",
  identify: "-> status",
  rdrand: "i32 -> i64",
  rdmsr: "-> status",
  wrmsr: "-> status",
  rdtsc: "-> status",
  rdtscp: "-> status",
  rdpmc: "-> status",
  checkPort: "i32 i32 -> status",
  portIn: "i32 i32 -> i32",
  portOut: "i32 i32 i32 -> -",
  ldmxcsr: "i32 -> status",
  stmxcsr: "-> i32",
  fxsave: "i64 i32 -> status",
  fxrstor: "i64 i32 -> status",
  xsave: "i64 i32 -> status",
  xrstor: "i64 i32 -> status",
  // float/
  // float/sse/: raw bits; exceptions gather until commitSse
  commitSse: "-> status",
  f32Add: "i32 i32 -> i32",
  f32Sub: "i32 i32 -> i32",
  f32Mul: "i32 i32 -> i32",
  f32Div: "i32 i32 -> i32",
  f32Min: "i32 i32 -> i32",
  f32Max: "i32 i32 -> i32",
  f32Sqrt: "i32 -> i32",
  f32Compare: "i32 i32 i32 -> i32",
  f32CompareFlags: "i32 i32 i32 -> -",
  f32ToI32: "i32 i32 -> i32",
  f32ToI64: "i32 i32 -> i64",
  i32ToF32: "i32 -> i32",
  i64ToF32: "i64 -> i32",
  f64Add: "i64 i64 -> i64",
  f64Sub: "i64 i64 -> i64",
  f64Mul: "i64 i64 -> i64",
  f64Div: "i64 i64 -> i64",
  f64Min: "i64 i64 -> i64",
  f64Max: "i64 i64 -> i64",
  f64Sqrt: "i64 -> i64",
  f64Compare: "i64 i64 i32 -> i32",
  f64CompareFlags: "i64 i64 i32 -> -",
  f64ToI32: "i64 i32 -> i32",
  f64ToI64: "i64 i32 -> i64",
  i32ToF64: "i32 -> i64",
  i64ToF64: "i64 -> i64",
  f32ToF64: "i32 -> i64",
  f64ToF32: "i64 -> i32",
  f32RcpApprox: "i32 -> i32",
  f32RsqrtApprox: "i32 -> i32",
  // float/x87/
  x87Check: "-> status",
  mmxEnter: "-> -",
  mmxEmpty: "-> -",
} as const satisfies Record<string, string>;

export type HelperName = keyof typeof HELPERS;

export interface HelperSignature {
  readonly parameters: readonly ("i32" | "i64")[];
  readonly result: "i32" | "i64" | "status" | "-";
}

/** The signature of a helper, parsed from its line in the table. */
export function helperSignature(name: HelperName): HelperSignature {
  const [parameters = "", result = "-"] = HELPERS[name].split("->").map((part) => part.trim());
  return {
    parameters: parameters.split(" ").filter(Boolean) as ("i32" | "i64")[],
    result: result as HelperSignature["result"],
  };
}
