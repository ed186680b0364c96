import type { EncodingShape } from "./encoding-shape.ts";
import { FlagKnowledge } from "./flag-knowledge.ts";

// What the judge's word does not count for: what the manual leaves undefined, what is an affair of the processor's
// own, and where AMD's processors differ from Intel's, which are what CPUID presents (src/core/processor/vendor.ts).
// Three more stand elsewhere: what Intel's processors do otherwise than AMD's, as which the guest behaves where the
// manuals leave it open (vendor/rules.ts); forms that cannot run natively (exclusions.ts), and the present bit of a page fault's
// error code at addresses that Linux keeps for itself (KERNEL_ADDRESSES in protocol.ts).

/** What is tolerated in one case. */
export interface Tolerance {
  /** RFLAGS bits that may differ when the case ends at its end, and when it ends otherwise. */
  readonly undefinedAtEnd: number;
  readonly undefinedAnywhere: number;
  /** The last instruction gives an approximation: C1 and the last bit of ST0 and ST1 may differ. */
  readonly approximate: boolean;
  /** A long memory operand: which of its bytes, and which page, a page fault names depends on the order of accesses. */
  readonly anyFaultOffset: boolean;
  /** Two memory operands: which of them faults first depends on the order of accesses. */
  readonly anyFaultAddress: boolean;
  /** MXCSR_MASK is stored or applied: the host may have bit 17 (misaligned exception mask, AMD), which is no architecture. */
  readonly anyMxcsrMask: boolean;
  /** MASKMOVQ: before it faults, AMD makes the x87 tags and TOP those of an MMX instruction; Intel documents no such thing. */
  readonly anyMmxTags: boolean;
  /** FXRSTOR64: AMD extends the sign of FIP and FDP from a bit of its own choice; Intel keeps 64 bits. */
  readonly shortPointers: boolean;
  /**
   * MASKMOVDQU with EFLAGS.AC: what alignment it wants is left to the processor; AMD's take 8 bytes, as for its
   * halves. And SHA's instructions want their operand aligned on Intel's processors (exceptions of type 4).
   */
  readonly anyAlignment: boolean;
  /** A gather that faults: how many elements it has finished, and cleared the masks of, is the processor's affair. */
  readonly anyGather: boolean;
}

/** Why a difference is tolerated, for the run's summary. */
export const REASONS: Readonly<Record<keyof Tolerance, string>> = {
  undefinedAtEnd: "flags that the manual leaves undefined",
  undefinedAnywhere: "flags that the manual leaves undefined, or of an unfinished comparison, at a fault",
  approximate: "the last bit of a transcendental function",
  anyFaultOffset: "which part of a long operand faults first",
  anyFaultAddress: "which of two memory operands faults first",
  anyMxcsrMask: "MXCSR bit 17, AMD's",
  anyMmxTags: "x87 tags after a MASKMOVQ that faults, AMD's",
  anyAlignment: "what alignment MASKMOVDQU wants with EFLAGS.AC, and SHA's instructions always",
  anyGather: "how far a gather got before it faulted",
  shortPointers: "upper bits of FIP and FDP after FXRSTOR64, AMD's",
};

export const NO_TOLERANCE: Tolerance = {
  undefinedAtEnd: 0,
  undefinedAnywhere: 0,
  approximate: false,
  anyFaultOffset: false,
  anyFaultAddress: false,
  anyMxcsrMask: false,
  anyMmxTags: false,
  shortPointers: false,
  anyAlignment: false,
  anyGather: false,
};

/** What a sequence of instructions asks tolerance for, instruction by instruction. */
export class ToleranceCollector {
  readonly flags = new FlagKnowledge();
  #bits = 0;

  /** `skippable` as for `FlagKnowledge`. */
  execute(shape: EncodingShape, skippable?: boolean): void {
    this.flags.execute(shape, skippable);
    if (shape.approximate) this.#bits |= APPROXIMATE;
    if (shape.longOperand) this.#bits |= ANY_FAULT_OFFSET;
    if (shape.twoMemoryOperands) this.#bits |= ANY_FAULT_ADDRESS;
    if (shape.usesMxcsrMask) this.#bits |= ANY_MXCSR_MASK;
    const { mnemonic } = shape.instruction;
    if (mnemonic === "maskmovq") this.#bits |= ANY_MMX_TAGS;
    if (/^v?maskmovdqu$/.test(mnemonic) || /^sha(1|256)/.test(mnemonic)) this.#bits |= ANY_ALIGNMENT;
    if (/^vp?gather/.test(mnemonic)) this.#bits |= ANY_GATHER;
    if (mnemonic === "fxrstor") this.#bits |= SHORT_POINTERS;
  }

  get packed(): number {
    return this.#bits | this.flags.undefinedNow | (this.flags.undefinedAnywhere << ANYWHERE_SHIFT);
  }
}

/** The tolerance for a sequence of instructions; with `everyFlag`, undefined flags count. */
export function toleranceOf(shapes: readonly EncodingShape[], everyFlag = false): Tolerance {
  const collector = new ToleranceCollector();
  for (const shape of shapes) collector.execute(shape);
  return unpackTolerance(everyFlag ? withEveryFlag(collector.packed) : collector.packed);
}

/** The same tolerance without undefined flags. */
export const withEveryFlag = (packed: number): number => packed & ~0xff_ffff;

// A tolerance as 32 bits: status flags lie in bits 0 to 11.
const ANYWHERE_SHIFT = 12;
const APPROXIMATE = 1 << 24;
const ANY_FAULT_OFFSET = 1 << 25;
const ANY_FAULT_ADDRESS = 1 << 26;
const ANY_MXCSR_MASK = 1 << 27;
const ANY_MMX_TAGS = 1 << 28;
const SHORT_POINTERS = 1 << 29;
const ANY_ALIGNMENT = 1 << 30;
const ANY_GATHER = 1 << 31;

export function unpackTolerance(packed: number): Tolerance {
  return {
    undefinedAtEnd: packed & 0xfff,
    undefinedAnywhere: (packed >> ANYWHERE_SHIFT) & 0xfff,
    approximate: (packed & APPROXIMATE) !== 0,
    anyFaultOffset: (packed & ANY_FAULT_OFFSET) !== 0,
    anyFaultAddress: (packed & ANY_FAULT_ADDRESS) !== 0,
    anyMxcsrMask: (packed & ANY_MXCSR_MASK) !== 0,
    anyMmxTags: (packed & ANY_MMX_TAGS) !== 0,
    shortPointers: (packed & SHORT_POINTERS) !== 0,
    anyAlignment: (packed & ANY_ALIGNMENT) !== 0,
    anyGather: (packed & ANY_GATHER) !== 0,
  };
}
