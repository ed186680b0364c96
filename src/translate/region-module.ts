import { REGION_FUNCTIONS, type RegionFunction } from "../cpu/region-functions.ts";
import type { TranslatorHost } from "../cpu/region-translator.ts";
import type { HelperName } from "../isa/helpers.ts";
import { helperType } from "../lower/helper-type.ts";
import { type FunctionRef, ModuleWriter } from "../wasm/module-writer.ts";
import type { ControlFlow } from "./control-flow.ts";
import { RegionBuilder } from "./region-builder.ts";
import { LEAVE_STATUS_TYPE, REGION_TYPE, type RegionPlaces, VALIDATE_TYPE } from "./region-plan.ts";
import type { ScannedRegion } from "./region-scanner.ts";
import type { StateUse } from "./region-state.ts";

/** A region that is to be compiled. */
export interface RegionSource {
  readonly name: string;
  readonly scanned: ScannedRegion;
  readonly flow: ControlFlow;
  readonly use: StateUse;
  readonly helpers: ReadonlySet<HelperName>;
  readonly places: RegionPlaces;
}

const LINKS = Object.keys(REGION_FUNCTIONS) as RegionFunction[];

/** Builds the module of some regions, whose functions it exports by their number. */
export function buildRegionModule(
  sources: readonly RegionSource[],
  host: TranslatorHost,
): Uint8Array<ArrayBuffer> {
  const memory = new DataView(host.memory.buffer);
  const used = new Set(sources.flatMap(({ helpers }) => [...helpers]));
  const module = new ModuleWriter();
  module.importMemory("env", "memory", host.pages);
  const handlers = module.importTable("env", "handlers", { initial: 0 });
  const helpers = new Map<HelperName, FunctionRef>();
  for (const name of used) helpers.set(name, module.importFunction("core", name, helperType(name)));
  const links = new Map<RegionFunction, FunctionRef>();
  for (const name of LINKS) links.set(name, module.importFunction("run", name, REGION_FUNCTIONS[name]));
  const leaveStatus = module.importFunction("run", "leaveStatus", LEAVE_STATUS_TYPE);
  const validate = module.importFunction("core", "validateRegion", VALIDATE_TYPE);
  const refs = sources.map(({ name }) => module.declareFunction(name, REGION_TYPE));
  const shared = {
    helper: (name: HelperName) => helpers.get(name)!,
    link: (name: RegionFunction) => links.get(name)!,
    leaveStatus,
    validate,
    handlers,
  };
  for (const [i, { scanned, flow, use, places }] of sources.entries()) {
    const { entry, pages } = scanned.code;
    const imports = { ...shared, self: refs[i]! };
    const blocks = [...scanned.code.blocks.values()];
    const returns = blocks.some(({ end }) => end.kind === "return");
    const callsItselfAlone =
      pages.length === 1 &&
      blocks.every(
        ({ end, instructions }) =>
          (end.kind !== "call" || end.body !== undefined || end.target === entry) &&
          !instructions.some(({ stepped }) => stepped),
      );
    const plan = {
      flow,
      entry,
      returns,
      callsItselfAlone,
      pageCount: pages.length,
      use,
      places,
      imports,
      memory,
    };
    const builder = new RegionBuilder(plan);
    module.defineFunction(refs[i]!, builder.build());
    module.exportFunction(`${i}`, refs[i]!);
  }
  return module.finish();
}
