import type { EncodingShape } from "./encoding-shape.ts";

/** Which flags are undefined while a sequence of instructions runs. */
export class FlagKnowledge {
  undefinedNow = 0;
  undefinedAnywhere = 0;
  #branches = false;

  /** The instruction's outcome depends on an undefined flag. */
  hides(shape: EncodingShape): boolean {
    return (shape.readsFlags & this.undefinedNow) !== 0;
  }

  /** `skippable`: the instruction may be skipped, so it defines nothing for sure. Unless told, any behind a branch may. */
  execute(shape: EncodingShape, skippable = this.#branches): void {
    const defined = shape.conditionalFlags || skippable ? 0 : shape.writesFlags;
    this.undefinedNow = (this.undefinedNow & ~defined) | shape.undefinedFlags;
    this.undefinedAnywhere |= this.undefinedNow | shape.undefinedWhenFaulting;
    this.#branches ||= shape.branches;
  }
}
