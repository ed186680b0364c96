/** What a region needs of the processor: found by building it once. */
export class StateUse {
  /** Registers and flag words that it keeps in locals, by their offset. */
  readonly used = new Set<number>();
  readonly written = new Set<number>();
  /** Lanes of vector registers in which it computes with binary64 numbers, by their offset. */
  readonly floatLanes = new Set<number>();
  /** It computes with the host's floating point, which takes a certain MXCSR. */
  usesHostFloat = false;
  /** It has instructions of the x87 unit. */
  usesX87 = false;
  /** Those are done inline, with status, TOP and tags in locals, under the control word that nearly all programs have. */
  inlinesX87 = false;
  /** It has instructions of SSE, which have to be enabled. */
  usesSse = false;
  /** The bank that accesses go by in a region that does not change it; 0 when that is not known. */
  tlbBank = 0;
  /** It has instructions that change which TLB bank accesses go by. */
  changesTlbBank = false;
  /** Registers and flag words stay in memory, where every write goes at once. */
  staysInMemory = false;
}
