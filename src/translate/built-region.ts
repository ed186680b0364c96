import type { LinkableFunction } from "../wasm/linking.ts";
import type { ControlFlow } from "./control-flow.ts";
import { RegionBuilder } from "./region-builder.ts";
import type { RegionCode } from "./region-code.ts";
import { REGION_TYPE } from "./region-plan.ts";
import { type InstructionAddress, RegionSymbols } from "./region-symbols.ts";
import type { StateUse } from "./state-use.ts";

/** The code of a region, for any place of its slots and cells: it depends on the guest's code alone, and on the translator's mode. */
export interface BuiltRegion {
  readonly code: LinkableFunction;
  /** What SYMBOL_FUNCTION numbers: `module.name`, or SELF. */
  readonly functions: readonly string[];
  /** Link slots that it takes. */
  readonly slots: number;
  /** What is in its cells: see RegionSymbols. */
  readonly cells: readonly number[];
  /** Addresses that the code takes from the guest's instructions by its cells: they may be others in code that is else the same. */
  readonly addresses: readonly InstructionAddress[];
}

/** What a region's code is built from. */
export interface RegionSource {
  readonly code: RegionCode;
  readonly flow: ControlFlow;
  readonly use: StateUse;
  /** The one memory, in which the records are. */
  readonly memory: DataView;
}

export function buildRegion({ code, flow, use, memory }: RegionSource): BuiltRegion {
  const { entry, pages } = code;
  const symbols = new RegionSymbols();
  const blocks = [...code.blocks.values()];
  const returns = blocks.some(({ end }) => end.kind === "return");
  const callsItselfAlone =
    pages.length === 1 &&
    blocks.every(
      ({ end, instructions }) =>
        (end.kind !== "call" || end.body !== undefined || end.target === entry) &&
        !instructions.some(({ stepped }) => stepped),
    );
  const builder = new RegionBuilder({
    flow,
    entry,
    returns,
    callsItselfAlone,
    pageCount: pages.length,
    use,
    symbols,
    imports: symbols.imports(),
    memory,
  });
  const linkable = builder.build().assemble(REGION_TYPE);
  const { functions, slotCount: slots, cells, addresses } = symbols;
  return { code: linkable, functions, slots, cells, addresses };
}
