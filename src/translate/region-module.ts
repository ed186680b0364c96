import { REGION_FUNCTIONS, type RegionFunction } from "../cpu/region-functions.ts";
import type { CompiledPlaces } from "../cpu/region-translator.ts";
import type { HelperName } from "../isa/helpers.ts";
import { GUEST_RAM, LINK_SLOT_BYTES, REGION_CELL_BYTES } from "../layout/memory-map.ts";
import { helperType } from "../lower/helper-type.ts";
import { linkFunction } from "../wasm/linking.ts";
import { type FunctionRef, ModuleWriter } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import type { BuiltRegion } from "./built-region.ts";
import { LEAVE_STATUS_TYPE, REGION_TYPE, VALIDATE_TYPE } from "./region-plan.ts";
import { SELF, SYMBOL_CELL, SYMBOL_KIND_BITS, SYMBOL_SLOT } from "./region-symbols.ts";

/** A region that goes into a module. */
export interface ModuleRegion {
  readonly name: string;
  readonly built: Pick<BuiltRegion, "code" | "functions">;
  /** Addresses of its slots and cells. */
  readonly places: CompiledPlaces;
}

/** Memories of all sizes have this much, and at most that: the module is good for each of them. */
const LEAST_PAGES = GUEST_RAM / 65536;
const MOST_PAGES = 65536;

/** Builds the module of some regions, whose functions it exports by their number. */
export function buildRegionModule(
  regions: readonly ModuleRegion[],
  isShared: boolean,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.declareFirstType(REGION_TYPE);
  module.importMemory("env", "memory", {
    initialPages: LEAST_PAGES,
    maximumPages: MOST_PAGES,
    shared: isShared,
  });
  module.importTable("env", "handlers", { initial: 0 });
  const imported = new Map<string, FunctionRef>();
  for (const name of new Set(regions.flatMap(({ built }) => built.functions))) {
    if (name === SELF) continue;
    const [from, what] = name.split(".") as [string, string];
    imported.set(name, module.importFunction(from, what, typeOf(from, what)));
  }
  const refs = regions.map(({ name }) => module.declareFunction(name, REGION_TYPE));
  for (const [i, { built, places }] of regions.entries()) {
    const self = refs[i]!;
    const linked = linkFunction(built.code, (symbol) => {
      const [kind, index] = [symbol & ((1 << SYMBOL_KIND_BITS) - 1), symbol >> SYMBOL_KIND_BITS];
      if (kind === SYMBOL_SLOT) return places.slots + index * LINK_SLOT_BYTES;
      if (kind === SYMBOL_CELL) return places.cells + index * REGION_CELL_BYTES;
      const name = built.functions[index]!;
      return (name === SELF ? self : imported.get(name)!).index;
    });
    module.defineLinked(self, linked);
    module.exportFunction(`${i}`, self);
  }
  return module.finish();
}

/** The type of a function that regions import. */
function typeOf(module: string, name: string): FunctionType {
  if (module === "core") return name === "validateRegion" ? VALIDATE_TYPE : helperType(name as HelperName);
  return name === "leaveStatus" ? LEAVE_STATUS_TYPE : REGION_FUNCTIONS[name as RegionFunction];
}
