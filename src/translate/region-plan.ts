import type { RegionFunction } from "../cpu/region-functions.ts";
import type { HelperName } from "../isa/helpers.ts";
import type { FunctionRef, TableRef } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import type { ControlFlow } from "./control-flow.ts";
import type { Position } from "./region-code.ts";
import type { StateUse } from "./region-state.ts";

/** `region(caller) -> record`: see REGION_FUNCTIONS. */
export const REGION_TYPE: FunctionType = { params: ["i32"], results: ["i32"] };
export const LEAVE_STATUS_TYPE: FunctionType = { params: ["i32", "i32"], results: ["i32"] };
/** `validate(pages, count, slot) -> whether the region's pages are where they were`. */
export const VALIDATE_TYPE: FunctionType = { params: ["i32", "i32", "i32"], results: ["i32"] };

/** What a region's code refers to besides the records. */
export interface RegionImports {
  readonly self: FunctionRef;
  helper(name: HelperName): FunctionRef;
  link(name: RegionFunction): FunctionRef;
  readonly leaveStatus: FunctionRef;
  readonly validate: FunctionRef;
  readonly handlers: TableRef;
}

/** Places in memory that belong to a region. */
export interface RegionPlaces {
  /** A link slot for what leads out of the region at a position. */
  slot(target: Position): number;
  /** Another cell of four bytes for what a look-up in the TLB has found. */
  addendCell(): number;
  /** The slot that says for which address space the region's pages have been validated. */
  readonly validation: number;
  /** Its pages but the one of the entry, for the validation. */
  readonly pages: number;
  /** For each byte of the entry's page: the number of the dispatched block that begins there, or NOT_DISPATCHED. 0 where there is none. */
  readonly dispatchTable: number;
  readonly handler: number;
}

/** What is known of a region before its code is built. */
export interface RegionPlan {
  readonly flow: ControlFlow;
  readonly entry: Position;
  /** It has a RET. */
  readonly returns: boolean;
  /** It is on one page, and calls no other region, nor the interpreter's handlers. */
  readonly callsItselfAlone: boolean;
  readonly pageCount: number;
  /** All that its instructions use. */
  readonly use: StateUse;
  readonly places: RegionPlaces;
  readonly imports: RegionImports;
  /** The one memory, in which the records are. */
  readonly memory: DataView;
}
