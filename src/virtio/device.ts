import type { AccessBytes } from "../bus/port-bus.ts";
import type { GuestBuffer } from "./queue/guest-buffer.ts";
import type { SplitQueue } from "./queue/split-queue.ts";

/** The guest's driver as a device sees it, from DRIVER_OK to the next reset. */
export interface VirtioDriver {
  /** What the driver has accepted of what was offered. */
  readonly features: bigint;
  readonly queues: readonly SplitQueue[];
  /** RAM that a request names by its address; undefined where not all of it is RAM, or the device may not reach it. */
  memory(address: number, length: number): GuestBuffer | undefined;
  /** The device's configuration has changed. */
  configChanged(): void;
  /** The driver broke the rules: the device stands still until it is reset. */
  needsReset(reason: string): void;
}

/**
 * A virtio device behind its transport. Every device is a class of this shape
 * in a folder of its own.
 *
 * Nothing here may block: what takes time goes through `HostOperations`, and
 * an outcome that comes when the driver is another one is dropped.
 */
export interface VirtioDevice {
  /** For statistics and messages, such as "virtio-blk". */
  readonly name: string;
  /** virtio 1.2, "Device Types" */
  readonly deviceId: number;
  /** PCI class, subclass and programming interface, as 0xbbsspp. */
  readonly classCode: number;
  /** Feature bits of this device type; the transport adds its own. */
  readonly features: bigint;
  /** The largest size of each queue, a power of two. */
  readonly queueSizes: readonly number[];
  /** The device's configuration space, from offset 0. Behind its end it reads 0. */
  readConfig(offset: number, bytes: AccessBytes): number;
  writeConfig(offset: number, bytes: AccessBytes, value: number): void;
  /** The driver is ready (DRIVER_OK). */
  start(driver: VirtioDriver): void;
  /** The driver has put requests into a queue. Called between `start` and `reset` only. */
  handle(queue: number): void;
  /** The driver is gone. */
  reset(): void;
  /** Memory of requests is still read or written; a reset is over when it no longer is. */
  readonly usesMemory?: boolean;
  /**
   * Plain data that a snapshot must carry beside the transport's; requests that were taken are completed then, or given
   * back to their queue. A machine with a device that lacks this is not saved.
   */
  saveState?(): unknown;
  /** Takes over what `saveState` gave, before `start`. Returns what does not fit this device, such as "a disk of 512 bytes". */
  restoreState?(state: unknown): string | undefined;
}
