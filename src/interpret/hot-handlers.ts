import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import type { Fusion } from "./block-cache.ts";
import type { InlineHandler } from "./run-module-builder.ts";

/** Shapes met at run time get handler numbers below this, fused pairs from here on. */
const FIRST_FUSED_ID = 12000;

/** Which handlers lie inside the interpreter's loop, and which pairs of records are executed as one. */
export class HotHandlers implements Fusion {
  readonly inline: readonly InlineHandler[] = [];
  readonly firstFusedId = FIRST_FUSED_ID;
  readonly #inlineIds: ReadonlySet<number>;

  constructor(shapes: ShapeTable) {
    void shapes;
    this.#inlineIds = new Set(this.inline.map((handler) => handler.id));
  }

  isInline(id: number): boolean {
    return this.#inlineIds.has(id);
  }

  fusedHandler(first: HandlerShape, second: HandlerShape): number | undefined {
    void first;
    void second;
    return undefined;
  }
}
