import type { CoreExports } from "../cpu/core-exports.ts";
import type { Processor } from "../cpu/processor.ts";
import type { StateView } from "../cpu/state-view.ts";

/** One of the two processors that run side by side, with what is needed to look into it and to set it back. */
export interface Side {
  /** Of its engine, for reports. */
  readonly name: string;
  readonly processor: Processor;
  readonly engine: { codeWritten(page: number, first: number, last: number): void; forgetCode(): void };
  readonly state: StateView;
  readonly core: CoreExports;
  readonly memory: WebAssembly.Memory;
}
