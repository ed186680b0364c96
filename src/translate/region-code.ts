import type { CodeRange } from "../cpu/region-translator.ts";
import type { HandlerShape } from "../decode/shape.ts";
import { PAGE_BYTES } from "../layout/memory-map.ts";

/**
 * Where code of a region lies: bytes from the start of the page in which the
 * region is entered. The page behind that one begins at 4096, the one before it at -4096.
 */
export type Position = number;

/** One instruction of a region, with the records the interpreter has for it. */
export interface RegionInstruction {
  /** Counts the region's instructions in the order in which they were described. */
  readonly number: number;
  /** Its place in its block. */
  readonly inBlock: number;
  /** Bytes from the first record of its block to `firstRecord`. */
  readonly recordInBlock: number;
  readonly shape: HandlerShape;
  /** The shape's number that is the same in other runs (decode/shape.ts). */
  readonly shapeKey: number;
  /** The record with the operands. */
  readonly record: number;
  /** The record at which the interpreter starts: that, or one that computes the address for it. */
  readonly firstRecord: number;
  readonly position: Position;
  readonly next: Position;
  /** Of a relative jump or call. */
  readonly target: Position | undefined;
  /** It cannot be translated: the interpreter has to execute it. */
  readonly interpreted: boolean;
  /** Of such a one: the region calls its handler and goes on. */
  readonly stepped: boolean;
  /** Of such a one: the region calls its handler and goes on where that leads. */
  readonly transfers: boolean;
}

/** How a block of a region ends. */
export type BlockEnd =
  /** Goes on with the next block, without a jump. */
  | { readonly kind: "onward"; readonly next: Position }
  /** A conditional jump: to `target`, or on to `next`. */
  | { readonly kind: "branch"; readonly target: Position; readonly next: Position }
  | { readonly kind: "jump"; readonly target: Position }
  /**
   * A near call, which comes back to `next`; `target` is undefined when it is indirect. `body` is the function called, where it is
   * a single block that ends in a return: its code stands in the place of the call.
   */
  | {
      readonly kind: "call";
      readonly target: Position | undefined;
      readonly next: Position;
      readonly body: RegionBlock | undefined;
    }
  /** A near indirect jump, perhaps to one of the region's indirect targets. */
  | { readonly kind: "indirect" }
  | { readonly kind: "return" }
  /** The last instruction leaves the region. */
  | { readonly kind: "leave" };

/** A basic block, identified by its position. */
export interface RegionBlock {
  readonly start: Position;
  readonly instructions: readonly RegionInstruction[];
  readonly end: BlockEnd;
  /** It is one instruction that goes on in the next page. */
  readonly crosses: boolean;
}

/** A guest page that a region has code on. */
export interface RegionPage {
  /** In pages from the one in which the region is entered. */
  readonly delta: number;
  /** Number of the guest physical page. */
  readonly page: number;
}

/** Blocks that are translated together. */
export interface RegionCode {
  readonly blocks: ReadonlyMap<Position, RegionBlock>;
  readonly entry: Position;
  /** Blocks that an indirect jump of the region may go to. */
  readonly indirectTargets: readonly Position[];
  /** All pages; the first is the one of the entry. */
  readonly pages: readonly RegionPage[];
}

export const pageDelta = (position: Position): number => position >> 12;

/** Whether the bytes from one position up to another lie on two pages. */
export const isOnTwoPages = (start: Position, end: Position): boolean =>
  pageDelta(start) !== pageDelta(end - 1);

/** Where the code between two positions lies: it may end in the next page. */
export function rangesOf(start: Position, end: Position, pages: readonly RegionPage[]): CodeRange[] {
  const delta = pageDelta(start);
  const base = delta * PAGE_BYTES;
  const pageOf = (wanted: number): number => pages.find((page) => page.delta === wanted)!.page;
  const first = { page: pageOf(delta), start: start - base, end: Math.min(end - base, PAGE_BYTES) };
  if (!isOnTwoPages(start, end)) return [first];
  return [first, { page: pageOf(delta + 1), start: 0, end: end - base - PAGE_BYTES }];
}
