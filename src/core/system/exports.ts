export { clts, lmsw, readControl, smsw, withholdControl4, writeControl } from "./control-registers";
export { readDebug, writeDebug } from "./debug-registers";
export { loadGdtr, loadIdtr } from "./descriptor-registers";
export { divide128, divideSigned128, multiplyHigh, multiplyHighSigned } from "./divide";
export { xgetbv, xsetbv } from "./extended-control";
export { identify, rdrand } from "./identification";
export { setFirmwareMemoryTypes } from "./memory-types";
export { rdmsr, readMsr, resetMsrs, unknownMsrs, writeMsr, wrmsr } from "./msr";
export { ldmxcsr, stmxcsr } from "./mxcsr";
export { offerStates } from "./offered-states";
export { checkPort, portIn, portOut } from "./ports";
export { fxrstor, fxsave, xrstor, xsave, xsavec, xsaveopt } from "./save-area";
export {
  instructionsToPerformanceInterrupt,
  offerPerformanceCounters,
  rdpmc,
  takePerformanceInterrupt,
} from "./performance-counters";
export { rdpkru, wrpkru } from "./protection-keys";
export { invpcid } from "./process-context";
export { monitor, mwait } from "./waiting";
export { rdtsc, rdtscp } from "./time-stamp";
export { x87LoadEnvironment, x87RestoreState, x87SaveState, x87StoreEnvironment, x87Wait } from "./x87-image";
