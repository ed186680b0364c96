import type { BootOrder, PageMessage, WorkerMessage } from "../protocol.ts";

/** A machine in a worker of its own, as the page sees it. */
export class MachineClient {
  readonly #worker: Worker;

  /** Starts a worker and boots in it. `onMessage` gets no more after "ended" or "failed". */
  constructor(order: BootOrder, onMessage: (message: WorkerMessage) => void) {
    const worker = new Worker(new URL("../worker/machine-worker.ts", import.meta.url), { type: "module" });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      // The worker's memory goes with it.
      if (data.kind === "ended" || data.kind === "failed") worker.terminate();
      onMessage(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      const why = event.message === undefined ? "its script cannot be loaded" : event.message;
      onMessage({ kind: "failed", line: `the machine's worker has failed: ${why}` });
    };
    this.#tell({ kind: "boot", order });
  }

  type(bytes: Uint8Array): void {
    this.#tell({ kind: "keys", bytes });
  }

  /** Tells the machine that so many bytes of its serial output have been shown; without that it waits. */
  shown(byteCount: number): void {
    this.#tell({ kind: "shown", byteCount });
  }

  stop(): void {
    this.#tell({ kind: "stop" });
  }

  #tell(message: PageMessage): void {
    this.#worker.postMessage(message);
  }
}
