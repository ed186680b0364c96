import { FORMS } from "../decode/form-table.ts";
import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import type { Fusion } from "./block-decoder.ts";
import { FUSED_SHAPES, HOT_SHAPES } from "./hot-shapes.ts";
import type { InlineHandler } from "./run-module-builder.ts";

/** Which handlers lie inside the interpreter's loop, and which runs of records are executed as one. */
export class HotHandlers implements Fusion {
  readonly inline: readonly InlineHandler[];
  readonly #inlineIds: ReadonlySet<number>;
  readonly #fused = new Map<number, number>();

  /** How many shapes lie inside the loop by themselves: the first of the table. */
  readonly inlineShapes: number;

  /**
   * Must be the first to add shapes, so that the loop's handlers have the lowest numbers.
   *
   * @param restored How many lie inside the loop, where a restored table has them already.
   */
  constructor(shapes: ShapeTable, enabled: boolean, restored?: number) {
    if (!enabled) {
      this.inline = [];
      this.inlineShapes = 0;
      this.#inlineIds = new Set();
      return;
    }
    const fusedNames = FUSED_SHAPES.flat();
    if (restored === undefined) shapes.addByName([...new Set([...HOT_SHAPES, ...fusedNames])], FORMS);
    this.inlineShapes = restored ?? shapes.shapes.length;
    const singles: InlineHandler[] = shapes.shapes
      .slice(0, this.inlineShapes)
      .map((shape) => ({ id: shape.id, shapes: [shape] }));
    const pairs = FUSED_SHAPES.flatMap(([first, second]) => {
      const pair = [shapes.byName(first), shapes.byName(second)];
      return pair.every((shape) => shape !== undefined) ? [pair] : [];
    });
    const firstFused = shapes.reserveIds(pairs.length);
    const fused = pairs.map((pair, i): InlineHandler => ({ id: firstFused + i, shapes: pair }));
    for (const { id, shapes: pair } of fused) this.#fused.set(pairKey(pair[0]!, pair[1]!), id);
    this.inline = [...singles, ...fused];
    this.#inlineIds = new Set(this.inline.map((handler) => handler.id));
  }

  /** The number behind the highest that lies inside the loop. */
  get end(): number {
    return Math.max(-1, ...this.#inlineIds) + 1;
  }

  isInline(id: number): boolean {
    return this.#inlineIds.has(id);
  }

  fusedHandler(first: HandlerShape, second: HandlerShape): number | undefined {
    return this.#fused.get(pairKey(first, second));
  }
}

function pairKey(first: HandlerShape, second: HandlerShape): number {
  return first.id * 65536 + second.id;
}
