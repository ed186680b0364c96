import type { HostOperations } from "../../bus/host-operations.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { errnoOf } from "../../host/linux-errors.ts";
import type { SharedFolder } from "../../host/shared-folder.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { NinePSession } from "./nine-p-session.ts";
import { HEADER_BYTES, MOST_MESSAGE_BYTES, TYPE } from "./protocol.ts";

/** The device has a name to mount it by. */
const F_MOUNT_TAG = 1n << 0n;
const QUEUE_SIZE = 128;
/** A driver may give more descriptors than its message fills. */
const MOST_REQUEST_BYTES = MOST_MESSAGE_BYTES + 4096;
const ERROR_BYTES = HEADER_BYTES + 4;

/** What a 9p device is made from. */
export interface Virtio9pParts {
  /** By which the guest mounts it; ASCII. */
  readonly tag: string;
  /** Of this device alone. */
  readonly folder: SharedFolder;
  readonly operations: HostOperations;
}

/**
 * A folder of the host for the guest, over 9P2000.L.
 *
 * Source: virtio 1.2, "Device Types" (9P transport); Linux, include/uapi/linux/virtio_9p.h.
 */
export class Virtio9p implements VirtioDevice {
  readonly name = "virtio-9p";
  readonly deviceId = 9;
  readonly classCode = 0x000200;
  readonly features = F_MOUNT_TAG;
  readonly queueSizes = [QUEUE_SIZE];
  readonly #operations: HostOperations;
  readonly #session: NinePSession;
  readonly #config: Uint8Array;
  #driver: VirtioDriver | undefined;

  constructor({ tag, folder, operations }: Virtio9pParts) {
    this.#operations = operations;
    this.#session = new NinePSession(folder);
    // After a reset of the machine another device may have had the folder.
    this.#session.reset();
    const bytes = new TextEncoder().encode(tag);
    this.#config = Uint8Array.of(bytes.length & 0xff, bytes.length >> 8, ...bytes);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  handle(): void {
    const driver = this.#driver;
    const queue = driver?.queues[0];
    if (driver === undefined || queue === undefined) return;
    for (const chain of queue.requests()) {
      if (!this.#answer(driver, chain)) return;
    }
    queue.signal();
  }

  reset(): void {
    this.#driver = undefined;
    this.#session.reset();
  }

  /** False: the driver broke the rules. */
  #answer(driver: VirtioDriver, chain: DescriptorChain): boolean {
    const { readable, writable } = chain;
    const fits = readable.length >= HEADER_BYTES && readable.length <= MOST_REQUEST_BYTES;
    if (!fits || writable.length < ERROR_BYTES) {
      driver.needsReset(`a 9p request of ${readable.length} bytes, with ${writable.length} for the reply`);
      return false;
    }
    const body = new ByteReader(readable.read());
    body.skip(4); // the size, which the descriptors say too
    const [type, tag] = [body.u8(), body.u16()];
    const finish = (replyType: number, reply: ByteWriter) =>
      driver.queues[0]?.complete(chain, writeReply(chain, replyType, tag, reply));
    const fail = (error: unknown) => finish(TYPE.LERROR + 1, new ByteWriter(4).u32(errnoOf(error)));
    const later = (action: () => void) => {
      // After a reset the memory belongs to somebody else.
      if (driver !== this.#driver) return;
      action();
      driver.queues[0]?.signal();
    };
    try {
      const reply = this.#session.handle(type, tag, body, writable.length - HEADER_BYTES);
      if (reply instanceof Promise) {
        this.#operations.start(
          reply,
          (done) => later(() => finish(type + 1, done)),
          (error) => later(() => fail(error)),
        );
      } else finish(type + 1, reply);
    } catch (error) {
      fail(error);
    }
    return true;
  }
}

/** size[4] type[1] tag[2] and what comes behind; returns the length. */
function writeReply({ writable }: DescriptorChain, type: number, tag: number, reply: ByteWriter): number {
  const length = Math.min(HEADER_BYTES + reply.length, writable.length);
  writable.write(new ByteWriter(HEADER_BYTES).u32(length).u8(type).u16(tag).written);
  writable.write(reply.written.subarray(0, length - HEADER_BYTES), HEADER_BYTES);
  return length;
}
