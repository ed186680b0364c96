// What the thread of a `FileThread` executes: it makes the calls in the ring, one after the other, until it is terminated.
import { readSync, readvSync, writeSync, writevSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { FileThreadData } from "./ring.ts";

const { ring, memory, layout, awakeMs } = workerData as FileThreadData;
const { CONTROL_BYTES, CONTROL, SLOTS, SLOT, SLOT_DOUBLES, FAILED } = layout;
/** The clock takes longer to read than the ring. */
const LOOKS_PER_TIME = 16;

const words = new Int32Array(ring, 0, CONTROL_BYTES / 4);
const doubles = new Float64Array(ring, CONTROL_BYTES);
const bytes = new Uint8Array(memory);

const field = (at: number): number => doubles[at] ?? 0;

/** Makes the call of the slot at `at`; returns how many bytes it moved. */
function move(at: number): number {
  const descriptor = field(at + SLOT.descriptor);
  const position = field(at + SLOT.position);
  const isWrite = field(at + SLOT.isWrite) === 1;
  const pieces = Array.from({ length: field(at + SLOT.pieces) }, (_, i) => {
    const piece = at + SLOT.firstPiece + 2 * i;
    return { offset: field(piece), length: field(piece + 1) };
  });
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) {
    const { offset, length } = only;
    return isWrite
      ? writeSync(descriptor, bytes, offset, length, position)
      : readSync(descriptor, bytes, offset, length, position);
  }
  const views = pieces.map(({ offset, length }) => bytes.subarray(offset, offset + length));
  return isWrite ? writevSync(descriptor, views, position) : readvSync(descriptor, views, position);
}

function answer(at: number): void {
  const startMs = performance.now();
  let moved = FAILED;
  try {
    moved = move(at);
  } catch {
    // Who asked makes the call again in another way, which tells why.
  }
  doubles[at + SLOT.moved] = moved;
  doubles[at + SLOT.tookNs] = (performance.now() - startMs) * 1e6;
}

/** Returns when more calls have been asked for than `done`. */
function awaitMore(done: number): void {
  let untilMs = performance.now() + awakeMs;
  for (let looks = 1; Atomics.load(words, CONTROL.asked) === done; looks++) {
    if (looks % LOOKS_PER_TIME !== 0) Atomics.pause();
    else if (performance.now() >= untilMs) {
      Atomics.store(words, CONTROL.sleeps, 1);
      // Who asks looks at `sleeps` behind changing `asked`, so one of the two notices the other.
      Atomics.wait(words, CONTROL.asked, done);
      Atomics.store(words, CONTROL.sleeps, 0);
      untilMs = performance.now() + awakeMs;
    }
  }
}

for (let done = 0; ; ) {
  awaitMore(done);
  answer(((done >>> 0) % SLOTS) * SLOT_DOUBLES);
  done = (done + 1) | 0;
  Atomics.store(words, CONTROL.done, done);
  if (Atomics.exchange(words, CONTROL.wantsMessage, 0) === 1) parentPort?.postMessage(undefined);
}
