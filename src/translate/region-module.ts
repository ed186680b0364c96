import { REGION_FUNCTIONS, type RegionFunction } from "../cpu/region-functions.ts";
import type { TranslatorHost } from "../cpu/region-translator.ts";
import type { HelperName } from "../isa/helpers.ts";
import { helperType } from "../lower/helper-type.ts";
import { type FunctionRef, ModuleWriter } from "../wasm/module-writer.ts";
import type { ControlFlow } from "./control-flow.ts";
import {
  LEAVE_STATUS_TYPE,
  REGION_TYPE,
  RegionBuilder,
  type RegionPlaces,
  VALIDATE_TYPE,
} from "./region-builder.ts";
import type { ScannedRegion } from "./region-scanner.ts";
import { StateUse } from "./region-state.ts";

/** A region that is to be compiled. */
export interface RegionSource {
  readonly name: string;
  readonly scanned: ScannedRegion;
  readonly flow: ControlFlow;
  readonly places: RegionPlaces;
}

const LINKS = Object.keys(REGION_FUNCTIONS) as RegionFunction[];

/** A region's functions by name, as if they were imported: for the first pass, whose code is thrown away. */
function pretend(helpers: Set<HelperName>) {
  const ref = (name: string, type: FunctionRef["type"]): FunctionRef => ({ index: 0, name, type });
  return {
    self: ref("self", REGION_TYPE),
    helper: (name: HelperName) => {
      helpers.add(name);
      return ref(name, helperType(name));
    },
    link: (name: RegionFunction) => ref(name, REGION_FUNCTIONS[name]),
    leaveStatus: ref("leaveStatus", LEAVE_STATUS_TYPE),
    validate: ref("validate", VALIDATE_TYPE),
    handlers: 0,
  };
}

/** Builds the module of some regions; when it is instantiated, their functions are in the handler table. */
export function buildRegionModule(
  sources: readonly RegionSource[],
  host: TranslatorHost,
): Uint8Array<ArrayBuffer> {
  const memory = new DataView(host.memory.buffer);
  const used = new Set<HelperName>();
  const first = pretend(used);
  const plans = sources.map(({ scanned, flow, places }) => {
    const { entry, pages } = scanned.code;
    const plan = { flow, entry, pageCount: pages.length, places, memory };
    const use = new StateUse();
    new RegionBuilder({ ...plan, imports: first }, use, undefined).build();
    return { plan, use };
  });
  const module = new ModuleWriter();
  module.importMemory("env", "memory", host.pages);
  const handlers = module.importTable("env", "handlers", { initial: 0 });
  const helpers = new Map<HelperName, FunctionRef>();
  for (const name of used) helpers.set(name, module.importFunction("core", name, helperType(name)));
  const links = new Map<RegionFunction, FunctionRef>();
  for (const name of LINKS) links.set(name, module.importFunction("run", name, REGION_FUNCTIONS[name]));
  const leaveStatus = module.importFunction("run", "leaveStatus", LEAVE_STATUS_TYPE);
  const validate = module.importFunction("env", "validate", VALIDATE_TYPE);
  const refs = sources.map(({ name }) => module.declareFunction(name, REGION_TYPE));
  for (const [i, { plan, use }] of plans.entries()) {
    const self = refs[i]!;
    const imports = {
      self,
      helper: (name: HelperName) => helpers.get(name)!,
      link: (name: RegionFunction) => links.get(name)!,
      leaveStatus,
      validate,
      handlers,
    };
    module.defineFunction(self, new RegionBuilder({ ...plan, imports }, new StateUse(), use).build());
    module.addElements(handlers, plan.places.handler, [self]);
  }
  return module.finish();
}
