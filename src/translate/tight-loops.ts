import type { ControlFlow, FlowNode } from "./control-flow.ts";

/** Whether some loop of a region runs without calls, and is entered and left by jumps that are known. */
export function hasTightLoop(flow: ControlFlow): boolean {
  // Behind the dispatcher all is one loop, of which nobody knows which way it goes.
  if (flow.dispatcher !== undefined) return false;
  const predecessors = new Map<FlowNode, FlowNode[]>();
  for (const node of flow.nodes) {
    for (const to of node.successors) {
      const list = predecessors.get(to);
      if (list === undefined) predecessors.set(to, [node]);
      else list.push(node);
    }
  }
  return flow.nodes.some((node) =>
    node.successors.some((to) => flow.isBackEdge(node, to) && isTight(node, to, predecessors)),
  );
}

/** Whether the loop that a back edge makes has nothing that the state must be in memory for. */
function isTight(
  from: FlowNode,
  header: FlowNode,
  predecessors: ReadonlyMap<FlowNode, readonly FlowNode[]>,
): boolean {
  const body = new Set([header]);
  const queue = [from];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (body.has(node)) continue;
    body.add(node);
    queue.push(...(predecessors.get(node) ?? []));
  }
  return [...body].every(({ block }) => block !== undefined && !needsMemory(block));
}

function needsMemory({ end, instructions }: NonNullable<FlowNode["block"]>): boolean {
  return (
    (end.kind === "call" && end.body === undefined) || instructions.some(({ interpreted }) => interpreted)
  );
}
