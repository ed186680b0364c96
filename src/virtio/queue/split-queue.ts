import type { DmaMemory } from "../../bus/dma-memory.ts";
import { type DescriptorChain, readChain } from "./descriptor-chain.ts";

const DESCRIPTOR_BYTES = 16;
const USED_ELEMENT_BYTES = 8;
/** In the driver's flags: it wants no interrupts. */
const NO_INTERRUPT = 1;

/** Everything a snapshot must carry. */
export interface SplitQueueState {
  /** As the driver has chosen it, up to the device's maximum */
  size: number;
  enabled: boolean;
  /** Guest physical addresses of the three areas; from the guest, and not checked */
  descriptorArea: number;
  driverArea: number;
  deviceArea: number;
  /** MSI-X vector, or 0xffff for none */
  vector: number;
  /** Requests taken so far, modulo 2**16 */
  taken: number;
  /** Requests given back so far, modulo 2**16 */
  used: number;
  /** `used` when the driver was last told */
  signalled: number;
}

export const NO_VECTOR = 0xffff;

export const resetState = (size: number): SplitQueueState => ({
  size,
  enabled: false,
  descriptorArea: 0,
  driverArea: 0,
  deviceArea: 0,
  vector: NO_VECTOR,
  taken: 0,
  used: 0,
  signalled: 0,
});

/** What a queue is handed by its transport. */
export interface QueueConnections {
  readonly memory: DmaMemory;
  /** The function may reach memory. */
  canReachMemory(): boolean;
  readonly indirectDescriptors: boolean;
  readonly eventIndex: boolean;
  /** Tells the driver that requests came back. */
  interrupt(): void;
  /** The driver broke the rules: the device needs a reset. */
  broken(reason: string): void;
}

/**
 * The device's side of a split virtqueue. Nothing that the driver writes is
 * trusted; the first thing that is wrong is reported, and the queue stands still.
 *
 * Source: virtio 1.2, "Split Virtqueues".
 */
export class SplitQueue {
  readonly #to: QueueConnections;
  readonly #state: SplitQueueState;
  #stopped = false;

  /** `state` stays the transport's, and changes as the queue is used. */
  constructor(connections: QueueConnections, state: SplitQueueState) {
    this.#to = connections;
    this.#state = state;
    if (state.enabled && !this.#areasAreSound()) this.#fail("a queue that is not all in RAM");
  }

  get size(): number {
    return this.#state.size;
  }

  /** The next request; undefined when there is none, or the queue is not in use. */
  take(): DescriptorChain | undefined {
    const { memory } = this.#to;
    const state = this.#state;
    if (!this.#usable) return undefined;
    const waiting = (memory.readU16(state.driverArea + 2) - state.taken) & 0xffff;
    if (waiting === 0) {
      this.#askForNotification();
      return undefined;
    }
    if (waiting > state.size) return this.#fail(`${waiting} requests in a queue of ${state.size}`);
    const head = memory.readU16(state.driverArea + 4 + 2 * (state.taken & (state.size - 1)));
    const table = {
      memory,
      address: state.descriptorArea,
      size: state.size,
      indirectAllowed: this.#to.indirectDescriptors,
    };
    const chain = readChain(table, head);
    if (typeof chain === "string") return this.#fail(chain);
    state.taken = (state.taken + 1) & 0xffff;
    return chain;
  }

  /**
   * The requests that wait, up to the queue's size: a driver whose rings lie
   * over each other would otherwise give new ones as fast as they are taken.
   */
  *requests(): Generator<DescriptorChain> {
    for (let left = this.#state.size; left > 0; left--) {
      const chain = this.take();
      if (chain === undefined) return;
      yield chain;
    }
    this.#askForNotification();
  }

  /** Makes the last `count` requests taken, none of which has been completed, wait again. */
  putBack(count: number): void {
    this.#state.taken = (this.#state.taken - count) & 0xffff;
  }

  /** Gives a request back, with the number of bytes written to it. `signal` must follow. */
  complete(chain: DescriptorChain, writtenBytes: number): void {
    if (!this.#usable) return;
    const { memory } = this.#to;
    const state = this.#state;
    const element = state.deviceArea + 4 + USED_ELEMENT_BYTES * (state.used & (state.size - 1));
    memory.writeU32(element, chain.head);
    memory.writeU32(element + 4, writtenBytes);
    state.used = (state.used + 1) & 0xffff;
    memory.writeU16(state.deviceArea + 2, state.used);
  }

  /** Interrupts the driver, if it wants that for what came back since the last call. */
  signal(): void {
    if (!this.#usable) return;
    const { memory, eventIndex } = this.#to;
    const state = this.#state;
    const back = (state.used - state.signalled) & 0xffff;
    if (back === 0) return;
    if (eventIndex) {
      const event = memory.readU16(state.driverArea + 4 + 2 * state.size);
      // "Used Buffer Notification Suppression": the index passed the event.
      if (((state.used - event - 1) & 0xffff) < back) this.#to.interrupt();
    } else if ((memory.readU16(state.driverArea) & NO_INTERRUPT) === 0) {
      this.#to.interrupt();
    }
    state.signalled = state.used;
  }

  /** "Available Buffer Notification Suppression": the driver is to tell of the next request. */
  #askForNotification(): void {
    const { memory, eventIndex } = this.#to;
    const state = this.#state;
    if (eventIndex && this.#usable)
      memory.writeU16(state.deviceArea + 4 + USED_ELEMENT_BYTES * state.size, state.taken);
  }

  get #usable(): boolean {
    return this.#state.enabled && !this.#stopped && this.#to.canReachMemory();
  }

  #areasAreSound(): boolean {
    const { memory } = this.#to;
    const { size, descriptorArea, driverArea, deviceArea } = this.#state;
    const powerOfTwo = size > 0 && (size & (size - 1)) === 0;
    const aligned = descriptorArea % 16 === 0 && driverArea % 2 === 0 && deviceArea % 4 === 0;
    return (
      powerOfTwo &&
      aligned &&
      memory.contains(descriptorArea, DESCRIPTOR_BYTES * size) &&
      memory.contains(driverArea, 6 + 2 * size) &&
      memory.contains(deviceArea, 6 + USED_ELEMENT_BYTES * size)
    );
  }

  #fail(reason: string): undefined {
    this.#stopped = true;
    this.#to.broken(reason);
    return undefined;
  }
}
