import type { Position, RegionBlock, RegionCode } from "./region-code.ts";

/** A node of the control-flow graph of a region. */
export interface FlowNode {
  /** Undefined for the dispatcher. */
  readonly block: RegionBlock | undefined;
  /** Position in reverse postorder; the entry is 0. */
  readonly order: number;
  readonly successors: readonly FlowNode[];
  /** Nodes that this one immediately dominates. */
  readonly children: FlowNode[];
  /** Some node that this one dominates jumps back to it. */
  isLoopHeader: boolean;
  /** Two or more edges from nodes before it in order lead to it. */
  isMerge: boolean;
}

/** Stands for the dispatcher where a block would be named by its position. */
const DISPATCHER = Number.NaN;

/**
 * Control flow of a region, ready to be written as nested blocks and loops
 * (N. Ramsey, "Beyond Relooper", 2022).
 *
 * Where a region has indirect jumps, or edges that enter a loop elsewhere than
 * at its header, it begins with a *dispatcher*: a node that goes to one of
 * `dispatched` by number. Those edges lead to it instead, which makes
 * the graph reducible and leaves all other edges as they are.
 */
export class ControlFlow {
  readonly entry: FlowNode;
  /** What the dispatcher goes to, by number; 0 is the entry. Empty when there is no dispatcher. */
  readonly dispatched: readonly Position[];
  /** Some block may be reached by an indirect jump of the region. */
  readonly hasIndirectTargets: boolean;
  /** In reverse postorder. */
  readonly nodes: readonly FlowNode[];
  readonly #nodes: ReadonlyMap<Position, FlowNode>;
  readonly #dominator: readonly number[];

  constructor(code: RegionCode) {
    this.hasIndirectTargets = code.indirectTargets.length > 0;
    const dispatched = code.indirectTargets.length > 0 ? [code.entry, ...code.indirectTargets] : [];
    for (;;) {
      const graph = new Graph(code, dispatched);
      const wild = graph.irregularTargets();
      if (wild.length === 0) {
        this.entry = graph.byOrder[0]!;
        this.nodes = graph.byOrder;
        this.#nodes = graph.nodes;
        this.#dominator = graph.dominator;
        break;
      }
      if (dispatched.length === 0) dispatched.push(code.entry);
      dispatched.push(...wild);
    }
    this.dispatched = dispatched;
  }

  node(start: Position): FlowNode | undefined {
    return this.#nodes.get(start);
  }

  get dispatcher(): FlowNode | undefined {
    return this.#nodes.get(DISPATCHER);
  }

  /** Whether the edge from a node to a block goes by the dispatcher. */
  isDispatched(from: FlowNode, to: FlowNode): boolean {
    return from.block !== undefined && to.order <= from.order && !this.dominates(to, from);
  }

  isBackEdge(from: FlowNode, to: FlowNode): boolean {
    return to.order <= from.order;
  }

  dominates(a: FlowNode, b: FlowNode): boolean {
    return dominates(this.#dominator, a.order, b.order);
  }
}

function dominates(dominator: readonly number[], a: number, b: number): boolean {
  let at = b;
  while (at > a) at = dominator[at]!;
  return at === a;
}

/** The graph with a given set of dispatched blocks. */
class Graph {
  readonly nodes = new Map<Position, FlowNode>();
  readonly byOrder: FlowNode[] = [];
  readonly dominator: number[] = [];

  constructor(code: RegionCode, dispatched: readonly Position[]) {
    const successors = new Map<Position, readonly Position[]>();
    for (const block of code.blocks.values()) successors.set(block.start, successorsOf(block, code));
    const hasDispatcher = dispatched.length > 0;
    if (hasDispatcher) successors.set(DISPATCHER, [...new Set(dispatched)]);
    const order = reversePostorder(hasDispatcher ? DISPATCHER : code.entry, successors);
    const children: FlowNode[][] = [];
    for (const [index, key] of order.entries()) {
      const node = {
        block: code.blocks.get(key),
        order: index,
        successors: [] as FlowNode[],
        children: [],
        isLoopHeader: false,
        isMerge: false,
      };
      children.push(node.successors);
      this.nodes.set(key, node);
      this.byOrder.push(node);
    }
    for (const [index, key] of order.entries())
      for (const next of successors.get(key)!) children[index]!.push(this.nodes.get(next)!);
    this.#computeDominators();
    this.#classify();
  }

  /** Targets of edges that go back to a block which does not dominate where they come from. */
  irregularTargets(): Position[] {
    const found = new Set<Position>();
    const dispatcher = this.nodes.get(DISPATCHER);
    for (const node of this.byOrder) {
      for (const to of node.successors) {
        if (to.order > node.order || dominates(this.dominator, to.order, node.order)) continue;
        if (dispatcher === undefined || !dispatcher.successors.includes(to)) found.add(to.block!.start);
      }
    }
    return [...found];
  }

  /** K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm", 2001. */
  #computeDominators(): void {
    const predecessors: number[][] = this.byOrder.map(() => []);
    for (const node of this.byOrder)
      for (const next of node.successors) predecessors[next.order]!.push(node.order);
    const { dominator } = this;
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
      for (let order = 1; order < this.byOrder.length; order++) {
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
    const forward = this.byOrder.map(() => 0);
    for (const node of this.byOrder) {
      if (node.order > 0) this.byOrder[this.dominator[node.order]!]!.children.push(node);
      for (const to of node.successors) {
        if (to.order > node.order) forward[to.order]!++;
        else if (dominates(this.dominator, to.order, node.order)) to.isLoopHeader = true;
      }
    }
    // Both arms of one branch may lead to the same place: two edges.
    for (const node of this.byOrder) node.isMerge = forward[node.order]! > 1;
    const dispatcher = this.nodes.get(DISPATCHER);
    if (dispatcher === undefined) return;
    dispatcher.isLoopHeader = true;
    // A jump table names labels: its targets stand behind blocks, all of them.
    for (const to of dispatcher.successors) to.isMerge = true;
  }
}

/** Successors are visited last to first, so that what an instruction falls through to comes late. */
function reversePostorder(
  entry: Position,
  successors: ReadonlyMap<Position, readonly Position[]>,
): Position[] {
  const seen = new Set<Position>();
  const postorder: Position[] = [];
  const visit = (at: Position): void => {
    seen.add(at);
    for (const next of successors.get(at)!) if (!seen.has(next)) visit(next);
    postorder.push(at);
  };
  visit(entry);
  return postorder.reverse();
}

function successorsOf(block: RegionBlock, code: RegionCode): Position[] {
  return targetsOf(block).filter((start) => code.blocks.has(start));
}

/** Indirect jumps go to the dispatcher, which the graph has no edges for: it dominates everything. */
function targetsOf({ end }: RegionBlock): readonly Position[] {
  switch (end.kind) {
    case "onward":
    case "call":
      return [end.next];
    case "branch":
      return [end.target, end.next];
    case "jump":
      return [end.target];
    case "indirect":
    case "return":
    case "leave":
      return [];
  }
}
