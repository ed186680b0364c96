/**
 * What the engine and the processor call in the compiled src/core. 64-bit
 * integers cross as bigint, status values are STATUS_* of layout/cpu-state.ts.
 */
export interface CoreExports {
  initialize(): void;
  initialiseTlb(): void;
  reset(): void;
  resetMsrs(): void;
  setFirmwareMemoryTypes(): void;
  /** Address of four u32: index of the last MSR that does not exist, 1 if it was written, reads, writes. */
  unknownMsrs(): number;
  /** CR4 bits of features that are not announced. */
  withholdControl4(bits: bigint): void;
  /** Components that XCR0 may have, and EAX of CPUID leaf 0xd, subleaf 1. */
  offerStates(components: bigint, variants: number): void;
  /** Whether the performance counters' MSRs exist. */
  offerPerformanceCounters(offered: number): void;
  /** How many instructions may be executed until a performance counter is to interrupt; Infinity where none is. */
  instructionsToPerformanceInterrupt(): number;
  /** 1 when a performance counter is to interrupt since the last call. */
  takePerformanceInterrupt(): number;
  updateMode(): void;
  readFlags(): bigint;
  writeFlags(value: bigint, mask: bigint): void;
  translateExecute(linear: bigint): bigint;
  /** Guest physical page that code at a linear address may be executed from, or -1; notes that it is, and changes nothing. */
  regionPageAt(linear: bigint): number;
  enterCode(physical: number, nextPage: number, record: number): void;
  forgetCode(): void;
  protectCodePage(page: number): void;
  protectAllPages(): void;
  noteDeviceWrite(address: number, bytes: number): void;
  flushTlb(keepGlobal: number): void;
  flushJumpCache(): void;
  deliverFault(): number;
  deliverInterrupt(vector: number): number;
  deliverNmi(): number;
  nmiBlocked(): number;
  takeStepTrapInhibition(): number;
  mustStep(linear: bigint): number;
  beginStep(inhibited: number): number;
  endStep(completed: number): number;
  fetchableBytes(): number;
  readSlow(linear: bigint, bytes: number): number;
}
