import type { SavedCode } from "../cpu/saved-code.ts";

/** An interpreter's handlers without the guest's code: what the next machine of the same kind begins with. */
export interface SavedHandlers
  extends Pick<SavedCode, "key" | "shapes" | "inlineShapes" | "nextHandler" | "runModule"> {
  /** Modules of handlers, the oldest first. They stay as they are, so that the host can know them again; what is new goes into another. */
  readonly handlerModules: readonly Uint8Array<ArrayBuffer>[];
}

/** What a host keeps of interpreters from one run to the next. Nothing of it depends on what a guest has in memory. */
export interface InterpreterCache {
  /** Compiles a module that is the same in each run, with what the host's compiler made of it in earlier ones. */
  compile(wireBytes: Uint8Array<ArrayBuffer>): WebAssembly.Module;
  /** The handlers that were saved with this key. */
  handlers(key: string): SavedHandlers | undefined;
  /** `save` is asked at the end of the run; it gives nothing where nothing new is worth keeping. */
  saveAtEnd(save: () => SavedHandlers | undefined): void;
}
