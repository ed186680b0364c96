import path from "node:path";
import { parentPort, type Transferable, Worker, workerData } from "node:worker_threads";
import { ROOT } from "./bundle.ts";

/** One end of the way between a program and the thread of one of its machines. */
export interface ThreadEnd<Sent, Received> {
  /** Bytes in `moved` change hands instead of being copied. */
  post(message: Sent, moved?: readonly Uint8Array<ArrayBuffer>[]): void;
  /** Called with every message; they wait until this has been set. */
  listen(receive: (message: Received) => void): void;
}

/** A thread as its starter sees it. */
export interface StartedThread<Sent, Received> extends ThreadEnd<Sent, Received> {
  /** Called once, when the thread has ended; with what it died of, if it did. */
  onExit(ended: (cause: unknown) => void): void;
  /** Ends it at once. */
  terminate(): Promise<void>;
  /** Whether the thread keeps the process from ending. */
  keepProcess(on: boolean): void;
}

/** Starts a module, named by its path from the root, in a thread of its own. */
export function startThread<Sent, Received>(file: string, data: unknown): StartedThread<Sent, Received> {
  const worker = new Worker(path.join(ROOT, file), { workerData: data });
  let cause: unknown;
  worker.on("error", (error) => {
    cause = error;
  });
  return {
    post: (message, moved) => worker.postMessage(message, buffersOf(moved)),
    listen: (receive) => void worker.on("message", receive),
    onExit: (ended) => void worker.on("exit", () => ended(cause)),
    terminate: async () => void (await worker.terminate()),
    keepProcess: (on) => (on ? worker.ref() : worker.unref()),
  };
}

/** This thread's end, and what it was started with. */
export function thisThread<Sent, Received, Data>(): ThreadEnd<Sent, Received> & { readonly data: Data } {
  const port = parentPort;
  if (port === null) throw new Error("internal error (please report): not in a machine's thread");
  return {
    data: workerData as Data,
    post: (message, moved) => port.postMessage(message, buffersOf(moved)),
    listen: (receive) => void port.on("message", receive),
  };
}

function buffersOf(moved: readonly Uint8Array<ArrayBuffer>[] = []): Transferable[] {
  return moved.map(({ buffer }) => buffer);
}
