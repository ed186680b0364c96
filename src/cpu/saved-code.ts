/**
 * What an engine has decoded and generated, so that one made anew over the same memory need not do it again. Nothing of
 * it can be told by the guest: without it an engine only starts more slowly.
 */
export interface SavedCode {
  /** Names all that it depends on. An engine of another key cannot use it. */
  readonly key: string;
  /** Handlers in the order of their numbers: number of the handler, and where the shape comes from. */
  readonly shapes: Int32Array;
  /** How many of those are in the loop itself. */
  readonly inlineShapes: number;
  /** The number of the next handler. */
  readonly nextHandler: number;
  /** The loop as a WebAssembly module. */
  readonly runModule: Uint8Array<ArrayBuffer>;
  /** All other handlers as one. */
  readonly handlerModule: Uint8Array<ArrayBuffer>;
  /** Which guest pages have decoded code, and which group has it. */
  readonly pages: Int32Array;
  /** The code of some pages each: first of those used lately, which will be needed soon. */
  readonly recentGroups: readonly Uint8Array[];
  readonly groups: readonly Uint8Array[];
}

/** Decoded code of some pages, packed until one of them is needed. */
export interface PackedCode {
  readonly sizeBytes: number;
  unpack(): Uint8Array;
}

/** Saved code, with the guest pages that have changed since: code of these is void. */
export interface RestoredCode extends Omit<SavedCode, "recentGroups" | "groups"> {
  /** All of them. */
  readonly groups: readonly PackedCode[];
  readonly changedPages: ReadonlySet<number>;
}
