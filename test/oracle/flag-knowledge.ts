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

  execute(shape: EncodingShape): void {
    // Behind a branch an instruction may be skipped, so it defines nothing for sure.
    const defined = shape.conditionalFlags || this.#branches ? 0 : shape.writesFlags;
    this.undefinedNow = (this.undefinedNow & ~defined) | shape.undefinedFlags;
    this.undefinedAnywhere |= this.undefinedNow | shape.undefinedWhenFaulting;
    this.#branches ||= shape.branches;
  }
}
