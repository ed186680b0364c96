import type { VirtioDevice, VirtioDriver } from "../device.ts";

const QUEUE_SIZE = 64;
/** A request is filled up to here; the driver asks again for more. */
const MOST_BYTES = 4096;

/**
 * Entropy for the guest: each buffer is filled with random bytes.
 *
 * Source: virtio 1.2, "Entropy Device".
 */
export class VirtioRng implements VirtioDevice {
  readonly name = "virtio-rng";
  readonly deviceId = 4;
  readonly classCode = 0x00ff00;
  readonly features = 0n;
  readonly queueSizes = [QUEUE_SIZE];
  readonly #random: (bytes: number) => Uint8Array;
  #driver: VirtioDriver | undefined;

  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  handle(): void {
    const queue = this.#driver?.queues[0];
    if (queue === undefined) return;
    for (const request of queue.requests()) {
      const bytes = this.#random(Math.min(request.writable.length, MOST_BYTES));
      queue.complete(request, request.writable.write(bytes));
    }
    queue.signal();
  }

  reset(): void {
    this.#driver = undefined;
  }

  /** It has none. */
  saveState(): object {
    return {};
  }

  restoreState(): undefined {}
}
