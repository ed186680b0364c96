// What the thread of a `FileThread` executes: it makes the calls in the ring, one after the other, until it is terminated.
import { readSync, readvSync, writeSync, writevSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { FileThreadData } from "./ring.ts";

const { ring, memory, layout, awakeMs } = workerData as FileThreadData;
const { CONTROL_BYTES, CONTROL, SLOTS, SLOT, SLOT_DOUBLES, FAILED } = layout;
/** The clock takes longer to read than the ring. */
const LOOKS_PER_TIME = 16;
/** Of `awakeMs`, that it stays awake at least. */
const LEAST_PART = 16;

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

function answer(slot: number): void {
  const at = slot * SLOT_DOUBLES;
  const startMs = performance.now();
  let moved = FAILED;
  try {
    moved = move(at);
  } catch {
    // Who asked makes the call again in another way, which tells why.
  }
  doubles[at + SLOT.moved] = moved;
  doubles[at + SLOT.tookNs] = (performance.now() - startMs) * 1e6;
  Atomics.store(words, CONTROL.isDone + slot, 1);
  if (Atomics.exchange(words, CONTROL.wantsMessage, 0) === 1) parentPort?.postMessage(undefined);
}

/** The number of a call that nobody else makes; undefined: there is none. */
function take(): number | undefined {
  for (;;) {
    // In this order: what was asked for is only ever too old, and so too low.
    const asked = Atomics.load(words, CONTROL.asked);
    const taken = Atomics.load(words, CONTROL.taken);
    if (((asked - taken) | 0) <= 0) return undefined;
    if (Atomics.compareExchange(words, CONTROL.taken, taken, (taken + 1) | 0) === taken) return taken;
  }
}

/** How long it stays awake the next time: less where that was in vain, which keeps others from a processor that they share. */
let nextAwakeMs = awakeMs;

/** The number of the next call, which may be long in coming. */
function awaitCall(): number {
  let startMs = performance.now();
  for (let looks = 1; ; looks++) {
    const asked = Atomics.load(words, CONTROL.asked);
    const call = take();
    if (call !== undefined) return call;
    if (looks % LOOKS_PER_TIME !== 0) Atomics.pause();
    else if (performance.now() - startMs >= nextAwakeMs) {
      Atomics.store(words, CONTROL.sleeps, 1);
      // Who asks looks at `sleeps` behind changing `asked`, so one of the two notices the other.
      Atomics.wait(words, CONTROL.asked, asked);
      Atomics.store(words, CONTROL.sleeps, 0);
      const nowMs = performance.now();
      nextAwakeMs = nowMs - startMs < awakeMs ? awakeMs : Math.max(nextAwakeMs / 2, awakeMs / LEAST_PART);
      startMs = nowMs;
    }
  }
}

for (;;) answer((awaitCall() >>> 0) % SLOTS);
