import { REGION_FUNCTIONS, type RegionFunction } from "../cpu/region-functions.ts";
import {
  HANDLER_BUDGET,
  HANDLER_CONTINUE,
  HANDLER_CROSSING,
  HANDLER_FORWARD,
  HANDLER_PAGE_END,
  HANDLER_STALE,
  HANDLER_STOP,
  HANDLER_TOO_LONG,
  HANDLER_UNDEFINED,
} from "../decode/record-writer.ts";
import type { HandlerShape } from "../decode/shape.ts";
import { HELPERS, type HelperName } from "../isa/helpers.ts";
import { HANDLER, RECORD_BYTES } from "../layout/record.ts";
import { buildRecord } from "../lower/build-record.ts";
import { helperType } from "../lower/helper-type.ts";
import type { RecordOps } from "../lower/record-ops.ts";
import { type Expr, FunctionBuilder, type Label } from "../wasm/function-builder.ts";
import type { FunctionRef, TableRef } from "../wasm/module-writer.ts";
import { ModuleWriter } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import * as address from "./address-handlers.ts";
import { HANDLER_TYPE, type MemoryPages } from "./handler-module.ts";
import { InterpretedRecord } from "./interpreted-record.ts";
import * as links from "./region-links.ts";
import * as shared from "./run-module.ts";
import { type HandlerContext, SHARED_FUNCTIONS, type SharedFunction } from "./shared-functions.ts";

/** A handler that lies in the loop itself: one record, or several that are executed as one. */
export interface InlineHandler {
  readonly id: number;
  readonly shapes: readonly HandlerShape[];
}

/**
 * Builds the interpreter's own module: `run(record)`, a loop that executes
 * records until one says to leave, with the commonest handlers inside and all
 * others through the handler table. When `observed`, every record is reported
 * to an imported function first.
 */
export function buildRunModule(
  inline: readonly InlineHandler[],
  pages: MemoryPages,
  available: ReadonlySet<string>,
  observed: boolean,
  hotCount: number | undefined,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", pages);
  const table = module.importTable("env", "handlers", { initial: 0 });
  const helpers = new Map<string, FunctionRef>();
  for (const name of Object.keys(HELPERS) as HelperName[]) {
    if (available.has(name)) helpers.set(name, module.importFunction("core", name, helperType(name)));
  }
  const observe = observed
    ? module.importFunction("env", "observe", { params: ["i32"], results: [] })
    : undefined;
  const findCode = module.importFunction("core", "findCode", { params: [], results: ["i32"] });
  const deliverFault = module.importFunction("core", "deliverFault", { params: [], results: ["i32"] });
  const fill = module.importFunction("core", "fillForRegion", { params: ["i64", "i32"], results: ["i32"] });
  const refs = Object.fromEntries(
    Object.entries(SHARED_FUNCTIONS).map(([name, type]) => [
      name,
      module.declareFunction(name, type as FunctionType),
    ]),
  ) as Record<SharedFunction, FunctionRef>;
  const onward = module.declareFunction("dispatchOnward", SHARED_FUNCTIONS.dispatch);
  module.defineFunction(refs.dispatch, shared.buildDispatch(findCode, true, hotCount));
  module.defineFunction(refs.dispatchReturn, shared.buildDispatch(findCode, true, undefined));
  module.defineFunction(onward, shared.buildDispatch(findCode, false, undefined));
  module.defineFunction(refs.jumpHot, shared.buildJumpHot());
  module.defineFunction(refs.leaveFault, shared.buildLeaveFault(deliverFault, refs.dispatch));
  module.defineFunction(refs.leaveStackFault, shared.buildLeaveStackFault(refs.leaveFault));
  module.defineFunction(refs.leaveStatus, shared.buildLeaveStatus(refs.dispatch, refs.leaveFault));
  module.defineFunction(refs.jumpUnlinked, shared.buildJumpUnlinked(refs.dispatch));
  module.defineFunction(refs.jumpBudget, shared.buildJumpBudget());
  module.defineFunction(refs.setFault, shared.buildSetFault());
  for (const name of Object.keys(refs) as SharedFunction[]) module.exportFunction(name, refs[name]);
  if (hotCount !== undefined) addRegionFunctions(module, table, findCode, fill, hotCount);

  const helper = (name: HelperName): FunctionRef => {
    const ref = helpers.get(name);
    if (ref === undefined) throw new Error(`internal error (please report): no function ${name} in src/core`);
    return ref;
  };
  const pseudo = (id: number, name: string, builder: FunctionBuilder): void => {
    const ref = module.declareFunction(name, HANDLER_TYPE);
    module.defineFunction(ref, builder);
    module.addElements(table, id, [ref]);
  };
  pseudo(HANDLER_STALE, "stale", shared.buildStale());
  pseudo(HANDLER_FORWARD, "forward", shared.buildForward());
  pseudo(HANDLER_CONTINUE, "continue", shared.buildContinue(onward));
  pseudo(HANDLER_PAGE_END, "pageEnd", shared.buildContinue(refs.dispatch));
  pseudo(HANDLER_UNDEFINED, "undefined", shared.buildRaise(refs.setFault, refs.leaveFault, 6, -1));
  pseudo(HANDLER_TOO_LONG, "tooLong", shared.buildRaise(refs.setFault, refs.leaveFault, 13, 0));
  pseudo(HANDLER_CROSSING, "crossing", shared.buildCrossing(refs.dispatch));
  pseudo(HANDLER_BUDGET, "budget", shared.buildBudget());
  pseudo(HANDLER_STOP, "stop", shared.buildStop());
  for (const [id, name, build] of address.ADDRESS_HANDLERS) {
    pseudo(id, name, build(helper("segmentAddress"), refs.leaveFault));
  }

  const run = module.declareFunction("run", HANDLER_TYPE);
  module.defineFunction(
    run,
    buildRun(inline, table, observe, hotCount, helper, (name) => refs[name]),
  );
  module.exportFunction("run", run);
  return module.finish();
}

/** What regions of a translator need to lead to other code. */
function addRegionFunctions(
  module: ModuleWriter,
  table: TableRef,
  findCode: FunctionRef,
  fill: FunctionRef,
  hotCount: number,
): void {
  const declare = (name: RegionFunction) => module.declareFunction(name, REGION_FUNCTIONS[name]);
  const continueAt = declare("continueAt");
  const returnTo = declare("returnTo");
  const findRegion = declare("findRegion");
  const hostAddress = declare("hostAddress");
  const splitRead = declare("splitRead");
  const splitStore = declare("splitStore");
  const continueBySlot = declare("continueBySlot");
  const onwardBySlot = declare("onwardBySlot");
  const continueRecord = declare("continueRecord");
  const vacant = module.declareFunction("vacant", HANDLER_TYPE);
  module.defineFunction(continueAt, links.buildContinueAt(table, findCode, true, hotCount));
  module.defineFunction(returnTo, links.buildContinueAt(table, findCode, true, undefined));
  module.defineFunction(findRegion, links.buildFindRegion(findCode));
  module.defineFunction(continueBySlot, links.buildContinueBySlot(table, findRegion, continueAt, true));
  const onward = module.declareFunction("onwardAt", REGION_FUNCTIONS.continueAt);
  module.defineFunction(onward, links.buildContinueAt(table, findCode, false, hotCount));
  module.defineFunction(onwardBySlot, links.buildContinueBySlot(table, findRegion, onward, false));
  module.defineFunction(continueRecord, links.buildContinueRecord(table));
  module.defineFunction(vacant, links.buildVacant(continueAt));
  module.defineFunction(hostAddress, links.buildHostAddress(fill, splitRead));
  module.defineFunction(splitRead, links.buildSplitRead());
  module.defineFunction(splitStore, links.buildSplitStore());
  const going = [continueAt, returnTo, findRegion, continueBySlot, onwardBySlot, continueRecord, vacant];
  for (const ref of [...going, hostAddress, splitRead, splitStore]) module.exportFunction(ref.name, ref);
}

function buildRun(
  inline: readonly InlineHandler[],
  table: ReturnType<ModuleWriter["importTable"]>,
  observe: FunctionRef | undefined,
  hotCount: number | undefined,
  helper: (name: HelperName) => FunctionRef,
  sharedFunction: (name: SharedFunction) => FunctionRef,
): FunctionBuilder {
  const b = new FunctionBuilder(HANDLER_TYPE);
  const pc = b.variable("i32", b.parameter(0));
  b.loop((again) => {
    b.block((leave) => {
      // `leave` is reached with pc = 0.
      const arms = [...inline];
      const nest = (i: number, labels: readonly Label[]): void => {
        if (i < arms.length) {
          b.block((label) => nest(i + 1, [...labels, label]));
          // Here the code of arm `arms.length - 1 - i` stands, behind its block.
          buildArm(b, pc, arms[i]!, again, leave, hotCount, helper, sharedFunction);
          return;
        }
        b.block((other) => {
          const handler = b.load("i32.load16_u", b.getLazy(pc), HANDLER);
          const targets: Label[] = [];
          const highest = Math.max(-1, ...arms.map((a) => a.id));
          for (let id = 0; id <= highest; id++) {
            const arm = arms.findIndex((a) => a.id === id);
            targets.push(arm >= 0 ? labels[arm]! : other);
          }
          b.brTable(handler, targets, other);
        });
        b.scope(() => {
          if (observe !== undefined) b.call(observe, b.getLazy(pc));
          const handler = b.load("i32.load16_u", b.getLazy(pc), HANDLER);
          b.set(pc, b.callIndirect(table, HANDLER_TYPE, handler, b.getLazy(pc))!);
        });
        b.brIf(again, b.getLazy(pc));
        b.br(leave);
      };
      nest(0, []);
    });
  });
  b.return(b.i32(0));
  return b;
}

function buildArm(
  b: FunctionBuilder,
  pc: ReturnType<FunctionBuilder["variable"]>,
  arm: InlineHandler,
  again: Label,
  leave: Label,
  hotCount: number | undefined,
  helper: (name: HelperName) => FunctionRef,
  sharedFunction: (name: SharedFunction) => FunctionRef,
): void {
  b.scope(() => {
    const goTo = (record: Expr): void => {
      b.set(pc, record);
      b.br(again);
    };
    const context: HandlerContext = {
      b,
      pc: b.getLazy(pc),
      helper,
      shared: sharedFunction,
      hotCount,
      next: (bytes) => goTo(b.op("i32.add", b.getLazy(pc), b.i32(bytes))),
      goTo,
      leave: (record) => {
        b.set(pc, record);
        b.brIf(again, b.getLazy(pc));
        b.br(leave);
      },
    };
    let offset = 0;
    let last: RecordOps | undefined;
    for (const shape of arm.shapes) {
      last = buildRecord(new InterpretedRecord(context, shape, offset), shape, last?.flags);
      offset += RECORD_BYTES;
    }
    if (!last?.left) context.next(offset);
  });
}
