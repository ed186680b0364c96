import type { AccessBytes } from "../../bus/port-bus.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import type { GuestBuffer } from "../queue/guest-buffer.ts";
import type { SplitQueue } from "../queue/split-queue.ts";
import type { BalloonControl, BalloonDevice, MemoryStatistics } from "./balloon-control.ts";

// virtio 1.2, "Traditional Memory Balloon Device", "Feature bits".
const F_STATS_VQ = 1n << 1n;
const F_DEFLATE_ON_OOM = 1n << 2n;
const F_PAGE_REPORTING = 1n << 5n;

const INFLATE = 0;
const DEFLATE = 1;
const STATISTICS = 2;
const QUEUE_SIZE = 128;
const STATISTICS_QUEUE_SIZE = 16;
/** Pages of the balloon are of 4 KiB, whatever the guest's are. */
export const PAGE_BYTES = 4096;
const NUM_PAGES = 0;
const ACTUAL = 4;
/** Linux sends at most 256 page numbers at a time. */
const MOST_LIST_BYTES = 65536;
/** What is filled while one notification is dealt with; what is more stays as it is. */
const MOST_REPORTED_BYTES = 256 << 20;
const STATISTIC_BYTES = 10;
const MOST_STATISTICS = 64;

/** "Memory Statistics Tags" */
const TAGS: readonly (keyof MemoryStatistics)[] = [
  ...(["swappedInBytes", "swappedOutBytes", "majorFaults", "minorFaults"] as const),
  ...(["freeBytes", "totalBytes", "availableBytes", "cacheBytes"] as const),
];

/**
 * Takes memory from the guest and gives it back. Pages that the guest gives up, or reports as free, are filled with
 * zeroes: snapshots leave those out. The host's process keeps them, since WebAssembly has no way to give back a part of
 * its memory.
 *
 * Source: virtio 1.2, "Traditional Memory Balloon Device".
 */
export class VirtioBalloon implements VirtioDevice, BalloonDevice {
  readonly name = "virtio-balloon";
  readonly deviceId = 5;
  readonly classCode = 0x00ff00;
  readonly features = F_STATS_VQ | F_DEFLATE_ON_OOM | F_PAGE_REPORTING;
  /** To inflate, to deflate, statistics, reported pages: a queue for hints, which is not offered, takes no number. */
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, STATISTICS_QUEUE_SIZE, QUEUE_SIZE];
  readonly #control: BalloonControl;
  readonly #wake: () => void;
  readonly #config = new Uint8Array(16);
  readonly #view = new DataView(this.#config.buffer);
  #driver: VirtioDriver | undefined;
  /** The driver's buffer for statistics, which it gets back when they are asked for. */
  #held: DescriptorChain | undefined;

  /** @param wake The guest was given something: if the machine sleeps, it has something to do. */
  constructor(control: BalloonControl, wake: () => void) {
    this.#control = control;
    this.#wake = wake;
    control.inflatedBytes = 0;
    this.#setTarget();
    control.attach(this);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  /** The driver writes how many pages it has given up. */
  writeConfig(offset: number, bytes: AccessBytes, value: number): void {
    if (offset < ACTUAL || offset + bytes > ACTUAL + 4) return;
    for (let i = 0; i < bytes; i++) this.#config[offset + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
    this.#control.inflatedBytes = this.#view.getUint32(ACTUAL, true) * PAGE_BYTES;
  }

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  handle(queueIndex: number): void {
    if (queueIndex === STATISTICS) return this.#handleStatistics();
    const queue = this.#driver?.queues[queueIndex];
    if (queue === undefined) return;
    let reported = 0;
    for (const chain of queue.requests()) {
      if (queueIndex === INFLATE) {
        if (!this.#inflate(chain)) return;
      } else if (queueIndex !== DEFLATE && reported + chain.writable.length <= MOST_REPORTED_BYTES) {
        reported += zero(chain.writable);
        this.#control.reportedBytes += chain.writable.length;
      }
      queue.complete(chain, 0);
    }
    queue.signal();
  }

  reset(): void {
    this.#driver = undefined;
    this.#held = undefined;
    this.#view.setUint32(ACTUAL, 0, true);
    this.#control.inflatedBytes = 0;
  }

  saveState(): object {
    if (this.#held !== undefined) this.#driver?.queues[STATISTICS]?.putBack(1);
    this.#held = undefined;
    return { targetBytes: this.#control.targetBytes, inflatedBytes: this.#control.inflatedBytes };
  }

  restoreState(state: unknown): string | undefined {
    const { targetBytes, inflatedBytes } = state as { targetBytes?: unknown; inflatedBytes?: unknown };
    const isSize = (bytes: unknown): bytes is number =>
      Number.isSafeInteger(bytes) && (bytes as number) >= 0 && (bytes as number) < PAGE_BYTES * 2 ** 32;
    if (!isSize(targetBytes) || !isSize(inflatedBytes)) return "a balloon of another version";
    this.#view.setUint32(ACTUAL, inflatedBytes / PAGE_BYTES, true);
    this.#control.inflatedBytes = inflatedBytes;
    this.#control.setTarget(targetBytes);
    return undefined;
  }

  targetChanged(): void {
    this.#setTarget();
    this.#driver?.configChanged();
    this.#wake();
  }

  askForStatistics(): void {
    const queue = this.#driver?.queues[STATISTICS];
    if (queue === undefined || !this.#control.isAsked) return;
    // Linux puts the first buffer there before it says that it is ready, so no notification came.
    const chain = this.#held ?? takeOnly(queue);
    if (chain === undefined) return;
    this.#held = undefined;
    queue.complete(chain, 0);
    queue.signal();
    this.#wake();
  }

  #setTarget(): void {
    this.#view.setUint32(NUM_PAGES, Math.floor(this.#control.targetBytes / PAGE_BYTES), true);
  }

  /** False: the driver broke the rules. */
  #inflate({ readable, writable }: DescriptorChain): boolean {
    if (readable.length > MOST_LIST_BYTES || readable.length % 4 !== 0 || writable.length > 0) {
      this.#driver?.needsReset(`a list of ${readable.length} bytes for the balloon`);
      return false;
    }
    const list = new DataView(readable.read().buffer);
    for (let at = 0; at < list.byteLength; at += 4) {
      const page = this.#driver?.memory(list.getUint32(at, true) * PAGE_BYTES, PAGE_BYTES);
      if (page !== undefined) zero(page);
    }
    return true;
  }

  /** The driver's buffer comes with statistics; it stays here until they are asked for again. */
  #handleStatistics(): void {
    const queue = this.#driver?.queues[STATISTICS];
    const chain = queue === undefined || this.#held !== undefined ? undefined : takeOnly(queue);
    if (queue === undefined || chain === undefined) return;
    this.#held = chain;
    const bytes = chain.readable.read(0, STATISTIC_BYTES * MOST_STATISTICS);
    // The first buffer is no answer.
    if (this.#control.isAsked && bytes.length > 0) this.#control.answer(readStatistics(bytes));
    else this.askForStatistics();
  }
}

/** The driver's one buffer. The queue is looked at to its end, or the driver would not tell of the next one. */
function takeOnly(queue: SplitQueue): DescriptorChain | undefined {
  let only: DescriptorChain | undefined;
  for (const chain of queue.requests()) {
    if (only !== undefined) queue.complete(only, 0);
    only = chain;
  }
  return only;
}

function readStatistics(bytes: Uint8Array<ArrayBuffer>): MemoryStatistics {
  const view = new DataView(bytes.buffer);
  const found: Partial<Record<keyof MemoryStatistics, number>> = {};
  for (let at = 0; at + STATISTIC_BYTES <= bytes.length; at += STATISTIC_BYTES) {
    const name = TAGS[view.getUint16(at, true)];
    if (name !== undefined) found[name] = Number(view.getBigUint64(at + 2, true));
  }
  return found;
}

/** Fills with zeroes what is not zero, so that pages that nobody ever touched stay so; returns how long it is. */
function zero(buffer: GuestBuffer): number {
  let at = 0;
  for (const view of buffer.views(0, buffer.length)) {
    for (let page = 0; page < view.length; page += PAGE_BYTES) {
      const part = view.subarray(page, page + PAGE_BYTES);
      if (isZero(part)) continue;
      part.fill(0);
      buffer.noteWritten(at + page, part.length);
    }
    at += view.length;
  }
  return buffer.length;
}

function isZero(bytes: Uint8Array): boolean {
  const isAligned = bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0;
  if (!isAligned) return bytes.every((byte) => byte === 0);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}
