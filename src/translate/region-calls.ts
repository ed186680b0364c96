import { REGION_RETURNED } from "../cpu/region-functions.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, LINK_HANDLER, LINK_TAG, RECORDS } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { Position } from "./region-code.ts";
import { REGION_TYPE, type RegionPlan } from "./region-plan.ts";
import type { RegionState } from "./region-state.ts";
import type { RegionWayOut } from "./region-way-out.ts";

/** Regions that have called each other; what is deeper goes on without coming back. */
const MAX_DEPTH = 200;

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
   * Calls the region at `rip`, if there is one, after the return address has been pushed. `target` is the position that `rip` is,
   * unless the call is indirect. Behind it the region that was called has returned to the position `next`; the state is still to be read.
   */
  call(target: Position | undefined, rip: Expr, next: Position): void {
    const b = this.#b;
    const out = this.#out;
    out.storeRip(rip);
    out.writeBack();
    const caller = b.parameter(0);
    const isCalled = b.op("i32.lt_u", caller, b.i32(RECORDS));
    const depth = b.bind(b.op("i32.add", b.select(isCalled, caller, b.i32(0)), b.i32(1)));
    const tooDeep = b.op("i32.gt_u", depth, b.i32(MAX_DEPTH));
    b.if(b.op("i32.or", tooDeep, out.isExhausted()), () => out.jumpSynced(), undefined, "unlikely");
    const result = this.#run(target, rip, depth);
    b.if(b.op("i32.ne", result, b.i32(REGION_RETURNED)), () => b.return(result), undefined, "unlikely");
    const returned = b.load("i64.load", b.i32(0), CPU_STATE + cpu.RIP);
    const elsewhere = b.op("i64.ne", returned, out.ripOf(next));
    out.loadBudget();
    const cannotGoOn = b.op("i32.or", out.isExhausted(), this.#state.hasOtherTlbBank());
    b.if(b.op("i32.or", elsewhere, cannotGoOn), () => out.returnSynced(), undefined, "unlikely");
  }

  #run(target: Position | undefined, rip: Expr, depth: Expr): Expr {
    const b = this.#b;
    const { places, imports, entry } = this.#plan;
    if (target === entry) {
      this.#out.storeRipBase(0);
      return b.call(imports.self, depth)!;
    }
    const handler =
      target === undefined
        ? b.call(imports.link("findRegion"), b.i32(0))!
        : this.#linked(rip, places.slot(target));
    b.if(b.op("i32.eqz", handler), () => this.#out.jumpSynced(), undefined, "unlikely");
    return b.callIndirect(imports.handlers, REGION_TYPE, handler, depth)!;
  }

  /** The handler that a link slot leads to for `rip`; 0 when there is no region. */
  #linked(rip: Expr, slot: number): Expr {
    const b = this.#b;
    const handler = b.local("i32");
    const at = b.i32(slot);
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
