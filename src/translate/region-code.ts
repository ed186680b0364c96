import type { HandlerShape } from "../decode/shape.ts";

/** One instruction of a region, with the records the interpreter has for it. */
export interface RegionInstruction {
  readonly shape: HandlerShape;
  /** The record with the operands. */
  readonly record: number;
  /** The record at which the interpreter starts: that, or one that computes the address for it. */
  readonly firstRecord: number;
  /** Page offset of the instruction and of the next one. */
  readonly offset: number;
  readonly nextOffset: number;
  /** Page offset of a relative target. */
  readonly target: number | undefined;
  /** It cannot be translated: the interpreter has to execute it. */
  readonly interpreted: boolean;
}

/** How a block of a region ends. */
export type BlockEnd =
  /** Goes on with the next block, without a jump. */
  | { readonly kind: "onward"; readonly next: number }
  /** A conditional jump: to `target`, or on to `next`. */
  | { readonly kind: "branch"; readonly target: number; readonly next: number }
  | { readonly kind: "jump"; readonly target: number }
  /** A near call of code in the region, which may come back to `returnSite`. */
  | { readonly kind: "call"; readonly target: number; readonly returnSite: number }
  /** A near return, perhaps to the return site of a call in the region. */
  | { readonly kind: "return" }
  /** Leaves the region in its last instruction: indirect jumps, calls of other code. */
  | { readonly kind: "leave" };

/** A basic block, identified by its page offset. */
export interface RegionBlock {
  readonly start: number;
  readonly instructions: readonly RegionInstruction[];
  readonly end: BlockEnd;
  /** The record of the fallback behind the last instruction, for a block that the region goes no further from. */
  readonly behind: number;
}

/** Blocks of one page that are translated together; the first is the entry. */
export interface RegionCode {
  readonly blocks: ReadonlyMap<number, RegionBlock>;
  readonly entry: number;
  /** Where calls inside the region return to, by page offset. */
  readonly returnSites: readonly number[];
}
