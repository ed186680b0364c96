import { availableParallelism } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { invariant } from "../../../layout/invariant.ts";
import { type BytePieces, byteCount } from "../../byte-pieces.ts";
import type { PolledOutcomes } from "../../polled-outcomes.ts";
import { BUNDLE, currentBundle } from "../bundle.ts";
import { readGroup, writeGroup } from "../group-calls.ts";
import { monotonicNowNs } from "../monotonic-clock.ts";
import {
  CONTROL,
  CONTROL_BYTES,
  FAILED,
  type FileThreadData,
  LAYOUT,
  MOST_PIECES,
  RING_BYTES,
  SLOT,
  SLOT_DOUBLES,
  SLOTS,
} from "./ring.ts";

/** The thread is started at the last of so many calls in WINDOW_NS: starting it costs 17 ms and 13 MB, and it saves 0.05 ms a call. */
const CALLS_TO_START = 64;
const WINDOW_NS = 1e9;
/** How long the thread stays awake for more. To wake it takes 0.05 ms of who asks. */
const AWAKE_NS = 200_000;
/** How long an outcome is waited for, behind the one before. To sleep meanwhile costs both sides a wake. */
const SOON_NS = 300_000;
const LEAST_WAIT_NS = 20_000;
/**
 * A call that took this, and a nanosecond for each byte, waited for a disk. The thread makes one call after the other:
 * while disks are that slow, calls go another way, where several wait at once.
 */
const SLOW_NS = 1_000_000;
const CALLS_TO_SKIP = 16;

/** A call of the host that moves bytes between a file and memory. */
export interface FileCall {
  readonly descriptor: number;
  readonly position: number;
  readonly isWrite: boolean;
  readonly pieces: BytePieces;
}

/** Takes how many bytes were moved; undefined: none or some, which must be moved in another way, that tells why. */
export type TakeMoved = (moved: number | undefined) => void;

/** What tests choose. */
export interface FileThreadOptions {
  readonly callsToStart?: number;
  readonly awakeNs?: number;
  /** The file that the thread executes. */
  readonly entry?: string;
}

interface CallUnderWay {
  readonly slot: number;
  readonly call: FileCall;
  readonly take: TakeMoved;
}

interface Running {
  readonly worker: Worker;
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly doubles: Float64Array<SharedArrayBuffer>;
}

/**
 * A thread that moves bytes between files and the memory of one machine. To hand it a call costs little, because it stays
 * awake for a while when it has nothing to do; threads of Node.js's own are woken for each call.
 *
 * Outcomes come to who polls, and else by the event loop.
 */
export class FileThread implements PolledOutcomes {
  readonly #callsToStart: number;
  readonly #awakeNs: number;
  readonly #entry: string | undefined;
  #running: Running | undefined;
  readonly #users = new Set<object>();
  /** In the order in which they were begun, and are made. */
  readonly #calls: CallUnderWay[] = [];
  #asked = 0;
  /** When the thread may have begun with the first of `#calls`. */
  #sinceNs = 0;
  /** Less where outcomes did not come soon: the thread may have to share a processor with who waits for it. */
  #nextWaitNs = SOON_NS;
  /** When a wait began that was in vain, for an outcome that has not come yet. */
  #gaveUpOnNs: number | undefined;
  #toSkip = 0;
  #windowStartNs = 0;
  #callsInWindow = 0;
  /** Looks for outcomes in the next turn of the event loop. */
  #turn: NodeJS.Immediate | undefined;
  #wantsMessage = false;
  #hasFailed = false;

  constructor({ callsToStart = CALLS_TO_START, awakeNs = AWAKE_NS, entry }: FileThreadOptions = {}) {
    this.#callsToStart = callsToStart;
    this.#awakeNs = awakeNs;
    this.#entry = entry;
  }

  get underWay(): number {
    return this.#calls.length;
  }

  /**
   * Has the thread make a call. False: it must be made in another way.
   *
   * @param user Calls `leave` when it has no more to ask.
   */
  begin(user: object, call: FileCall, take: TakeMoved): boolean {
    const memory = sharedMemoryOf(call.pieces);
    if (memory === undefined || call.pieces.length > MOST_PIECES || this.#calls.length === SLOTS)
      return false;
    if (this.#toSkip > 0) {
      this.#toSkip--;
      return false;
    }
    const running = this.#running ?? this.#startFor(memory);
    if (running?.memory !== memory) return false;
    this.#users.add(user);
    const slot = (this.#asked >>> 0) % SLOTS;
    fill(running.doubles, slot * SLOT_DOUBLES, call);
    Atomics.store(running.words, CONTROL.isDone + slot, 0);
    if (this.#calls.length === 0) this.#sinceNs = monotonicNowNs();
    this.#calls.push({ slot, call, take });
    this.#asked = (this.#asked + 1) | 0;
    Atomics.store(running.words, CONTROL.asked, this.#asked);
    if (Atomics.load(running.words, CONTROL.sleeps) === 1) Atomics.notify(running.words, CONTROL.asked);
    this.#lookInNextTurn();
    return true;
  }

  poll(): void {
    const running = this.#running;
    if (running === undefined || this.#calls.length === 0) return;
    this.#collect(running);
    if (this.#calls.length > 0) this.#lookInNextTurn();
  }

  awaitSoon(mostNs: number): boolean {
    const running = this.#running;
    if (running === undefined || this.#calls.length === 0) return false;
    const nowNs = monotonicNowNs();
    if (!this.#isFirstDone(running) && this.#help(running, nowNs)) {
      this.poll();
      return true;
    }
    const untilNs = Math.min(nowNs + Math.min(mostNs, this.#nextWaitNs), this.#sinceNs + SOON_NS);
    do {
      if (this.#isFirstDone(running)) {
        this.poll();
        return true;
      }
      Atomics.pause();
    } while (monotonicNowNs() < untilNs);
    this.#gaveUpOnNs ??= nowNs;
    return false;
  }

  /** Makes a call that the thread has not come to. False: there is none. */
  #help({ words, doubles }: Running, nowNs: number): boolean {
    const taken = Atomics.load(words, CONTROL.taken);
    if (taken === this.#asked) return false;
    // Where it fails, the thread has just taken it.
    if (Atomics.compareExchange(words, CONTROL.taken, taken, (taken + 1) | 0) !== taken) return false;
    const slot = (taken >>> 0) % SLOTS;
    const call = this.#calls.find((other) => other.slot === slot)?.call;
    invariant(call !== undefined, "what nobody has made is under way");
    let moved = FAILED;
    try {
      const { descriptor, position, isWrite, pieces } = call;
      moved = (isWrite ? writeGroup : readGroup)(descriptor, pieces, position);
    } catch {
      // Made again in another way, which tells why.
    }
    doubles[slot * SLOT_DOUBLES + SLOT.moved] = moved;
    doubles[slot * SLOT_DOUBLES + SLOT.tookNs] = monotonicNowNs() - nowNs;
    Atomics.store(words, CONTROL.isDone + slot, 1);
    return true;
  }

  #isFirstDone({ words }: Running): boolean {
    const [first] = this.#calls;
    return first !== undefined && Atomics.load(words, CONTROL.isDone + first.slot) === 1;
  }

  /** All that was begun for `user` is over. */
  leave(user: object): void {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    const running = this.#running;
    this.#running = undefined;
    void running?.worker.terminate();
  }

  #collect(running: Running): void {
    const { worker, words, doubles } = running;
    if (this.#wantsMessage) {
      this.#wantsMessage = false;
      Atomics.store(words, CONTROL.wantsMessage, 0);
      worker.unref();
    }
    if (!this.#isFirstDone(running)) return;
    this.#sinceNs = monotonicNowNs();
    if (this.#gaveUpOnNs !== undefined) {
      const wasSoon = this.#sinceNs - this.#gaveUpOnNs < SOON_NS;
      this.#nextWaitNs = wasSoon ? SOON_NS : Math.max(this.#nextWaitNs / 2, LEAST_WAIT_NS);
      this.#gaveUpOnNs = undefined;
    }
    while (this.#isFirstDone(running)) {
      const first = this.#calls.shift();
      if (first === undefined) break;
      const { slot, call, take } = first;
      const moved = doubles[slot * SLOT_DOUBLES + SLOT.moved] ?? FAILED;
      const tookNs = doubles[slot * SLOT_DOUBLES + SLOT.tookNs] ?? 0;
      if (tookNs > SLOW_NS + byteCount(call.pieces)) this.#toSkip = CALLS_TO_SKIP;
      take(moved === FAILED ? undefined : moved);
    }
  }

  /** Whoever asked may have nothing to do now but wait for the event loop: behind the next turn, it is told by a message. */
  #lookInNextTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      const running = this.#running;
      if (running === undefined) return;
      this.#collect(running);
      if (this.#calls.length === 0) return;
      this.#wantsMessage = true;
      running.worker.ref();
      Atomics.store(running.words, CONTROL.wantsMessage, 1);
      // The thread looks at `wantsMessage` behind setting `isDone`, so one of the two notices the other.
      if (this.#isFirstDone(running)) this.poll();
    });
  }

  /** Starts the thread, if there are calls enough. */
  #startFor(memory: SharedArrayBuffer): Running | undefined {
    if (this.#hasFailed) return undefined;
    const nowNs = monotonicNowNs();
    if (nowNs - this.#windowStartNs > WINDOW_NS) {
      this.#windowStartNs = nowNs;
      this.#callsInWindow = 0;
    }
    // Two threads that stay awake on one processor keep each other from it.
    if (++this.#callsInWindow < this.#callsToStart || availableParallelism() === 1) return undefined;
    const ring = new SharedArrayBuffer(RING_BYTES);
    const workerData: FileThreadData = { ring, memory, layout: LAYOUT, awakeMs: this.#awakeNs / 1e6 };
    const worker = new Worker(this.#entry ?? usualEntry(), { workerData, name: "ringfence-files" });
    const words = new Int32Array(ring, 0, CONTROL_BYTES / 4);
    const running = { worker, memory, words, doubles: new Float64Array(ring, CONTROL_BYTES) };
    worker.unref();
    worker.on("message", () => this.poll());
    // "exit" follows.
    worker.on("error", () => {});
    worker.on("exit", () => this.#ended(running));
    this.#asked = 0;
    this.#running = running;
    return running;
  }

  /** The thread has ended, of which only `leave` is the cause where all is well: what it has not done goes another way. */
  #ended(running: Running): void {
    if (this.#running !== running) return;
    this.#hasFailed = true;
    this.#collect(running);
    this.#running = undefined;
    for (const { take } of this.#calls.splice(0)) take(undefined);
  }
}

/** The one of this thread, in which one machine runs. */
export const fileThread = new FileThread();

function usualEntry(): string {
  return currentBundle() === undefined
    ? path.join(import.meta.dirname, "serve-calls.ts")
    : path.join(BUNDLE, "file-thread.cjs");
}

/** The memory that all pieces lie in, if threads share it. */
function sharedMemoryOf(pieces: BytePieces): SharedArrayBuffer | undefined {
  const memory = pieces[0]?.buffer;
  if (!(memory instanceof SharedArrayBuffer)) return undefined;
  return pieces.every(({ buffer }) => buffer === memory) ? memory : undefined;
}

function fill(
  doubles: Float64Array,
  slot: number,
  { descriptor, position, isWrite, pieces }: FileCall,
): void {
  doubles[slot + SLOT.descriptor] = descriptor;
  doubles[slot + SLOT.position] = position;
  doubles[slot + SLOT.isWrite] = isWrite ? 1 : 0;
  doubles[slot + SLOT.pieces] = pieces.length;
  let at = slot + SLOT.firstPiece;
  for (const { byteOffset, length } of pieces) {
    doubles[at++] = byteOffset;
    doubles[at++] = length;
  }
}
