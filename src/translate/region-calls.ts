import {
  DEPTH_STEP,
  REGION_RETURNED,
  REGION_RETURNED_TO_RIP,
  RETURN_KILLS_FLAGS,
} from "../cpu/region-functions.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, LINK_HANDLER, LINK_TAG, RECORDS } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder, LinkedNumber } from "../wasm/function-builder.ts";
import type { Position } from "./region-code.ts";
import { HANDLERS, REGION_TYPE, type RegionPlan } from "./region-plan.ts";
import type { RegionState } from "./region-state.ts";
import type { RegionWayOut } from "./region-way-out.ts";

/** Regions that have called each other; what is deeper goes on without coming back. */
const MAX_DEPTH = 200;

/** One call. */
export interface RegionCall {
  /** The position that `rip` is, unless the call is indirect. */
  readonly target: Position | undefined;
  readonly rip: Expr;
  readonly next: Position;
  /** Status flags that are still to be written; `areDead` when what is called sets them before anyone may look at them. */
  readonly flags: { readonly areDead: boolean; spill(): void };
  /** The code behind the call does so. */
  readonly killsFlags: boolean;
}

/** The guest's near calls, which are calls of one region by another with the state in memory. */
export class RegionCalls {
  readonly #b: FunctionBuilder;
  readonly #plan: RegionPlan;
  readonly #state: RegionState;
  readonly #out: RegionWayOut;

  constructor(b: FunctionBuilder, plan: RegionPlan, state: RegionState, out: RegionWayOut) {
    this.#b = b;
    this.#plan = plan;
    this.#state = state;
    this.#out = out;
  }

  /**
   * Calls the region at `rip`, if there is one, after the return address has been pushed. Behind it the region that was called has
   * returned to the position `next`; the state is still to be read, and RIP in memory is any.
   */
  call({ target, rip, next, flags, killsFlags }: RegionCall): void {
    const b = this.#b;
    const out = this.#out;
    const { callsItselfAlone } = this.#plan;
    const isSelf = target === this.#plan.entry;
    if (!isSelf) out.storeRip(rip);
    out.writeBack("others");
    const caller = b.parameter(0);
    const isCalled = b.op("i32.lt_u", caller, b.i32(RECORDS));
    const above = b.op("i32.and", b.select(isCalled, caller, b.i32(0)), b.i32(-DEPTH_STEP));
    const depth = b.bind(b.op("i32.add", above, b.i32(DEPTH_STEP)));
    const withFlags = (): void => {
      flags.spill();
      this.#state.writeBack(this.#plan.use, "flags");
    };
    const giveUp = (): void => {
      if (flags.areDead) withFlags();
      if (isSelf) out.storeRip(rip);
      out.jumpSynced();
    };
    if (!flags.areDead) withFlags();
    b.if(b.op("i32.gt_u", depth, b.i32(MAX_DEPTH * DEPTH_STEP)), giveUp, undefined, "unlikely");
    b.if(out.isExhausted(), giveUp, undefined, "unlikely");
    const back = out.ripOf(next);
    b.store("i64.store", b.i32(0), back, CPU_STATE + cpu.EXPECTED_RETURN);
    const given = killsFlags ? b.op("i32.or", depth, b.i32(RETURN_KILLS_FLAGS)) : depth;
    const result = this.#run(target, rip, given);
    const isElsewhere = (): Expr => {
      const returned = b.load("i64.load", b.i32(0), CPU_STATE + cpu.RIP);
      const cannotGoOn = b.op("i32.or", out.isExhausted(), this.#state.hasOtherTlbBank());
      return b.op("i32.or", b.op("i64.ne", returned, back), cannotGoOn);
    };
    b.if(
      b.op("i32.ne", result, b.i32(REGION_RETURNED)),
      () => {
        b.if(b.op("i32.ne", result, b.i32(REGION_RETURNED_TO_RIP)), () => b.return(result));
        out.loadBudget();
        b.if(isElsewhere(), () => out.returnSynced());
        // Another region may have come in between.
        if (callsItselfAlone) out.storeRipBase(0);
      },
      undefined,
      "unlikely",
    );
    out.loadBudget();
    const leave = (): void => {
      out.storeRip(back);
      out.returnSynced();
    };
    b.if(this.#state.mayHaveOtherTlbBank(), leave, undefined, "unlikely");
  }

  #run(target: Position | undefined, rip: Expr, depth: Expr): Expr {
    const b = this.#b;
    const { symbols, imports, entry, callsItselfAlone } = this.#plan;
    if (target === entry) {
      if (!callsItselfAlone) this.#out.storeRipBase(0);
      return b.call(imports.self, depth)!;
    }
    const handler =
      target === undefined
        ? b.call(imports.link("findRegion"), b.i32(0))!
        : this.#linked(rip, symbols.slot(target));
    b.if(b.op("i32.eqz", handler), () => this.#out.jumpSynced(), undefined, "unlikely");
    return b.callIndirect(HANDLERS, REGION_TYPE, handler, depth)!;
  }

  /** The handler that a link slot leads to for `rip`; 0 when there is no region. */
  #linked(rip: Expr, slot: LinkedNumber): Expr {
    const b = this.#b;
    const handler = b.local("i32");
    const at = b.linked(slot);
    const tag = b.op("i64.xor", rip, this.#state.modeKey);
    b.if(
      b.op("i64.eq", b.load("i64.load", at, LINK_TAG), tag),
      () => {
        b.store("i64.store", b.i32(0), b.op("i64.and", rip, b.i64(-4096n)), CPU_STATE + cpu.RIP_BASE);
        b.set(handler, b.load("i32.load", at, LINK_HANDLER));
      },
      () => b.set(handler, b.call(this.#plan.imports.link("findRegion"), at)!),
      "likely",
    );
    return b.get(handler);
  }
}
