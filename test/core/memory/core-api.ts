/** The exports of core/memory and core/processor. Addresses and 64-bit values are bigint; results come back signed. */
export interface CoreApi {
  initialize?(): void;

  readSlow(va: bigint, bytes: number): number;
  writeSlow(va: bigint, bytes: number, value: bigint): number;
  writeSlow128(va: bigint, low: bigint, high: bigint): number;
  writeSlow80(va: bigint, low: bigint, high: bigint): number;
  modifySlow(va: bigint, bytes: number): number;
  commitWrite(): number;
  prepareWrite(va: bigint, bytes: number): number;
  readLinear8(va: bigint): bigint;
  readLinear16(va: bigint): bigint;
  readLinear32(va: bigint): bigint;
  readLinear64(va: bigint): bigint;
  writeLinear8(va: bigint, value: bigint): void;
  writeLinear16(va: bigint, value: bigint): void;
  writeLinear32(va: bigint, value: bigint): void;
  writeLinear64(va: bigint, value: bigint): void;
  readSystem64(va: bigint): bigint;
  writeSystem64(va: bigint, value: bigint): void;
  hostForRead(va: bigint): number;
  hostForWrite(va: bigint): number;
  readPhysical32(physical: bigint): bigint;
  readPhysical64(physical: bigint): bigint;
  writePhysical32(physical: bigint, value: bigint): void;
  writePhysical64(physical: bigint, value: bigint): void;
  translateExecute(va: bigint): bigint;
  writeSlow256(va: bigint, a: bigint, b: bigint, c: bigint, d: bigint): number;
  enterCode(physical: number, nextPage: number, record: number): void;
  findCode(): number;
  forgetCode(): void;
  initialiseTlb(): void;
  flushTlb(keepGlobal: number): void;
  invalidatePage(va: bigint): void;
  protectCodePage(page: number): void;
  flushJumpCache(): void;

  reset(): void;
  updateMode(): void;
  readFlags(): bigint;
  writeFlags(value: bigint, mask: bigint): void;
  writeStatusFlags(
    carry: number,
    parity: number,
    adjust: number,
    zero: number,
    sign: number,
    overflow: number,
  ): void;
  raise(vector: number): number;
  raiseWithCode(vector: number, code: number): number;
  raiseGP(code: number): number;
  raiseDebug(conditions: bigint): number;
  clearFault(): void;
  deliverFault(): number;
  deliverInterrupt(vector: number): number;
  deliverNmi(): number;
  nmiBlocked(): number;
  softwareInterrupt(vector: number): number;
  softwareException(vector: number): number;
  debugInterrupt(): number;
  loadSegment(index: number, selector: number): number;
  segmentAddress(index: number, offset: bigint, bytes: number, write: number): bigint;
  lldt(selector: number): number;
  ltr(selector: number): number;
  lar(selector: number): bigint;
  lsl(selector: number): bigint;
  verr(selector: number): number;
  verw(selector: number): number;
  push(value: bigint, bits: number): number;
  pop(bits: number): bigint;
  farJump(selector: number, offset: bigint, operandBits: number): number;
  farCall(selector: number, offset: bigint, operandBits: number): number;
  farReturn(operandBits: number, popBytes: number): number;
  interruptReturn(operandBits: number): number;
  syscall(): number;
  sysret(operandBits: number): number;
  sysenter(): number;
  sysexit(operandBits: number): number;
  swapgs(): number;
  cli(): number;
  sti(): number;
  flagsForPush(bits: number): bigint;
  checkPoppedFlags(value: bigint, bits: number): number;
  popFlags(value: bigint, bits: number): number;
  halt(): number;
  clac(): number;
  stac(): number;
}
