import { replacesFlags } from "../lower/flag-state.ts";
import type { ControlFlow, FlowNode } from "./control-flow.ts";
import type { RegionBlock, RegionInstruction } from "./region-code.ts";

/** Instructions that set all status flags from their operands, without a look at the words. */
const FLAG_SETTERS: ReadonlySet<string> = new Set([
  ...["add", "sub", "cmp", "and", "or", "xor", "test", "neg"],
]);

const QUIET_OPERANDS: ReadonlySet<string> = new Set(["general", "immediate", "address"]);
/** Moves between registers: they look at no flags, and nothing happens at them. */
const QUIET_MOVES: ReadonlySet<string> = new Set(["mov", "movzx", "movsx", "movsxd", "lea"]);

/** Where flag words are read, or written in part, before they are all set anew or control leaves by the exit block. */
export class FlagLiveness {
  /** By the nodes' order. */
  readonly #live: boolean[];

  constructor({ nodes }: ControlFlow) {
    const live = nodes.map(() => false);
    for (let changed = true; changed; ) {
      changed = false;
      for (const node of nodes.toReversed()) {
        if (live[node.order] || !isLiveBefore(node, live)) continue;
        live[node.order] = true;
        changed = true;
      }
    }
    this.#live = live;
  }

  isLive(node: FlowNode): boolean {
    return this.#live[node.order] === true;
  }
}

function isLiveBefore({ block, successors }: FlowNode, live: readonly boolean[]): boolean {
  if (block === undefined) return true;
  return usedIn(block) ?? successors.some(({ order }) => live[order]);
}

/** Whether a block uses the words; undefined when what follows decides. */
function usedIn({ instructions, end }: RegionBlock): boolean | undefined {
  for (const instruction of instructions) {
    const used = usedBy(instruction);
    if (used !== undefined) return used;
  }
  switch (end.kind) {
    case "onward":
    case "branch":
    case "jump":
      return undefined;
    case "call": {
      if (end.body === undefined) return true;
      for (const instruction of end.body.instructions) {
        const used = usedBy(instruction);
        if (used !== undefined) return used;
      }
      return undefined;
    }
    default:
      return true;
  }
}

function usedBy({ shape, interpreted, stepped, transfers }: RegionInstruction): boolean | undefined {
  // The exit block comes before what the interpreter goes on with; a handler that is called finds the words in memory.
  if (interpreted) return stepped || transfers;
  const { mnemonic, flags } = shape.instruction;
  if (flags.reads !== undefined) return true;
  if (flags.writes === undefined) return undefined;
  return !(replacesFlags(flags) && FLAG_SETTERS.has(mnemonic));
}

/** Whether a block sets all status flags before it can be left, or anything can look at them. */
export function replacesAllFlags({ instructions, crosses }: RegionBlock): boolean {
  if (crosses) return false;
  for (const { shape, interpreted } of instructions) {
    const { mnemonic, flags } = shape.instruction;
    if (interpreted || shape.operands.some(({ kind }) => !QUIET_OPERANDS.has(kind))) return false;
    if (replacesFlags(flags)) return FLAG_SETTERS.has(mnemonic);
    if (!QUIET_MOVES.has(mnemonic)) return false;
  }
  return false;
}
