import type { RegionFunction } from "../cpu/region-functions.ts";
import type { HelperName } from "../isa/helpers.ts";
import type { FunctionRef, TableRef } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import type { ControlFlow } from "./control-flow.ts";
import type { Position } from "./region-code.ts";
import type { RegionSymbols } from "./region-symbols.ts";
import type { StateUse } from "./state-use.ts";

/** `region(caller) -> record`: see REGION_FUNCTIONS. */
export const REGION_TYPE: FunctionType = { params: ["i32"], results: ["i32"] };
export const LEAVE_STATUS_TYPE: FunctionType = { params: ["i32", "i32"], results: ["i32"] };
/** `validate(pages, count, slot) -> whether the region's pages are where they were`. */
export const VALIDATE_TYPE: FunctionType = { params: ["i32", "i32", "i32"], results: ["i32"] };

/** The table of handlers is the only one of a region's module. */
export const HANDLERS: TableRef = 0;

/** The functions that a region calls. */
export interface RegionImports {
  readonly self: FunctionRef;
  helper(name: HelperName): FunctionRef;
  link(name: RegionFunction): FunctionRef;
  readonly leaveStatus: FunctionRef;
  readonly validate: FunctionRef;
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
  readonly symbols: RegionSymbols;
  readonly imports: RegionImports;
  /** The one memory, in which the records are. */
  readonly memory: DataView;
}
