import path from "node:path";
import { parentPort, type Transferable, Worker } from "node:worker_threads";
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

/** Threads that have loaded their module and wait for something to do, by module. */
const spares = new Map<string, Worker>();

/** Starts a module, named by its path from the root, in a thread of its own, with `data` as its first message. */
export function startThread<Sent, Received>(file: string, data: unknown): StartedThread<Sent, Received> {
  const worker = spares.get(file) ?? new Worker(path.join(ROOT, file));
  spares.delete(file);
  worker.removeAllListeners();
  worker.ref();
  worker.postMessage(data);
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

/** Lets a thread load a module now, so that the next `startThread` of it need not. It does not keep the process. */
export function prepareThread(file: string): void {
  if (spares.has(file)) return;
  const worker = new Worker(path.join(ROOT, file));
  const forget = () => {
    if (spares.get(file) === worker) spares.delete(file);
  };
  worker.on("error", forget).on("exit", forget).unref();
  spares.set(file, worker);
}

/** This thread's end. The first message is what it was started with. */
export function thisThread<Sent, Received, Data>(): ThreadEnd<Sent, Received> & {
  readonly data: Promise<Data>;
} {
  const port = parentPort;
  if (port === null) throw new Error("internal error (please report): not in a machine's thread");
  const waiting: Received[] = [];
  let take: (message: Received) => void = (message) => void waiting.push(message);
  const data = new Promise<Data>((resolve) => {
    port.once("message", (first: Data) => {
      resolve(first);
      port.on("message", (message: Received) => take(message));
    });
  });
  return {
    data,
    post: (message, moved) => port.postMessage(message, buffersOf(moved)),
    listen: (receive) => {
      take = receive;
      for (const message of waiting.splice(0)) receive(message);
    },
  };
}

function buffersOf(moved: readonly Uint8Array<ArrayBuffer>[] = []): Transferable[] {
  return moved.map(({ buffer }) => buffer);
}
