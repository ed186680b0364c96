import type { BlockEnd, RegionBlock, RegionCode } from "./region-code.ts";

/** A block of the control-flow graph of a region. */
export interface FlowNode {
  readonly block: RegionBlock;
  /** Position in reverse postorder; the entry is 0. */
  readonly order: number;
  readonly successors: readonly number[];
  /** Blocks that this one immediately dominates. */
  readonly children: FlowNode[];
  /** Some block that this one dominates jumps back to it. */
  isLoopHeader: boolean;
  /** Two or more edges from blocks before it in order lead to it. */
  isMerge: boolean;
}

/**
 * Control flow of a region, ready to be written as nested blocks and loops
 * (N. Ramsey, "Beyond Relooper", 2022). Edges that enter a loop elsewhere
 * than at its header are no part of it: `hasEdge` is false, and the code
 * leaves the region there.
 */
export class ControlFlow {
  readonly entry: FlowNode;
  readonly #nodes = new Map<number, FlowNode>();
  readonly #dominator: number[] = [];
  readonly #byOrder: FlowNode[] = [];

  constructor(code: RegionCode) {
    const postorder: RegionBlock[] = [];
    this.#visit(code, code.entry, new Set(), postorder);
    postorder.reverse();
    postorder.forEach((block, order) => {
      const node: FlowNode = {
        block,
        order,
        successors: successorsOf(block, code),
        children: [],
        isLoopHeader: false,
        isMerge: false,
      };
      this.#nodes.set(block.start, node);
      this.#byOrder.push(node);
    });
    this.entry = this.#byOrder[0]!;
    this.#computeDominators();
    this.#classify();
  }

  node(start: number): FlowNode {
    return this.#nodes.get(start)!;
  }

  /** Whether the region goes on inside itself from `from` to the block at `start`. */
  hasEdge(from: FlowNode, start: number): boolean {
    const to = this.#nodes.get(start);
    if (to === undefined || !from.successors.includes(start)) return false;
    return to.order > from.order || this.dominates(to, from);
  }

  isBackEdge(from: FlowNode, to: FlowNode): boolean {
    return to.order <= from.order;
  }

  dominates(a: FlowNode, b: FlowNode): boolean {
    let at = b.order;
    while (at > a.order) at = this.#dominator[at]!;
    return at === a.order;
  }

  #visit(code: RegionCode, start: number, seen: Set<number>, postorder: RegionBlock[]): void {
    seen.add(start);
    const block = code.blocks.get(start)!;
    for (const next of successorsOf(block, code))
      if (!seen.has(next)) this.#visit(code, next, seen, postorder);
    postorder.push(block);
  }

  /** K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm", 2001. */
  #computeDominators(): void {
    const predecessors: number[][] = this.#byOrder.map(() => []);
    for (const node of this.#byOrder) {
      for (const next of node.successors) predecessors[this.node(next).order]!.push(node.order);
    }
    const dominator = this.#dominator;
    dominator[0] = 0;
    const intersect = (a: number, b: number): number => {
      while (a !== b) {
        while (a > b) a = dominator[a]!;
        while (b > a) b = dominator[b]!;
      }
      return a;
    };
    for (let changed = true; changed; ) {
      changed = false;
      for (let order = 1; order < this.#byOrder.length; order++) {
        let found: number | undefined;
        for (const p of predecessors[order]!) {
          if (dominator[p] !== undefined) found = found === undefined ? p : intersect(p, found);
        }
        if (found !== dominator[order]) {
          dominator[order] = found!;
          changed = true;
        }
      }
    }
  }

  #classify(): void {
    const forward = this.#byOrder.map(() => 0);
    for (const node of this.#byOrder) {
      if (node.order > 0) this.#byOrder[this.#dominator[node.order]!]!.children.push(node);
      for (const next of node.successors) {
        const to = this.node(next);
        if (to.order > node.order) forward[to.order]!++;
        else if (this.dominates(to, node)) to.isLoopHeader = true;
      }
    }
    // Both arms of one branch may lead to the same place: two edges.
    for (const node of this.#byOrder) node.isMerge = forward[node.order]! > 1;
  }
}

function successorsOf(block: RegionBlock, code: RegionCode): number[] {
  const { end } = block;
  return targetsOf(end, code).filter((start) => code.blocks.has(start));
}

function targetsOf(end: BlockEnd, code: RegionCode): readonly number[] {
  switch (end.kind) {
    case "onward":
      return [end.next];
    case "branch":
      return [end.target, end.next];
    case "jump":
    case "call":
      return [end.target];
    case "return":
      return code.returnSites;
    case "leave":
      return [];
  }
}
