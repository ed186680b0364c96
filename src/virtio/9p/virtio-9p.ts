import type { HostOperations } from "../../bus/host-operations.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { errnoOf } from "../../host/linux-errors.ts";
import type { SharedFolder } from "../../host/shared-folder.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { DataReply, messageMemory } from "../sharing/message-memory.ts";
import { NinePSession } from "./nine-p-session.ts";
import { HEADER_BYTES, MOST_MESSAGE_BYTES, TYPE, WRITE_FIELD_BYTES } from "./protocol.ts";

/** The device has a name to mount it by. */
const F_MOUNT_TAG = 1n << 0n;
const QUEUE_SIZE = 128;
/** A driver may give more descriptors than its message fills. */
const MOST_REQUEST_BYTES = MOST_MESSAGE_BYTES + 4096;
/** Of requests without data: 16 names of 64 KiB, as the protocol can have them, do not fit, and no file has such names. */
const MOST_BODY_BYTES = 64 << 10;
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
  readonly #tag: string;
  readonly #session: NinePSession;
  readonly #config: Uint8Array;
  /** The request that is being answered, but for the data of a write. */
  readonly #request = new Uint8Array(MOST_BODY_BYTES);
  readonly #body = new ByteReader(this.#request);
  readonly #header = new ByteWriter(ERROR_BYTES);
  #driver: VirtioDriver | undefined;

  constructor({ tag, folder, operations }: Virtio9pParts) {
    this.#operations = operations;
    this.#tag = tag;
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

  saveState(): object {
    return { tag: this.#tag, ...this.#session.saveState() };
  }

  restoreState(state: unknown): string | undefined {
    const { tag } = state as { tag?: unknown };
    if (tag !== this.#tag) return `a folder with the tag ${String(tag)}`;
    return this.#session.restoreState(state);
  }

  /** False: the driver broke the rules. */
  #answer(driver: VirtioDriver, chain: DescriptorChain): boolean {
    const { readable, writable } = chain;
    const fits = readable.length >= HEADER_BYTES && readable.length <= MOST_REQUEST_BYTES;
    if (!fits || writable.length < ERROR_BYTES) {
      driver.needsReset(`a 9p request of ${readable.length} bytes, with ${writable.length} for the reply`);
      return false;
    }
    const body = this.#readBody(chain);
    body.skip(4); // the size, which the descriptors say too
    const [type, tag] = [body.u8(), body.u16()];
    const finish = (replyType: number, reply: ByteWriter | DataReply) =>
      driver.queues[0]?.complete(chain, this.#writeReply(chain, replyType, tag, reply));
    const fail = (error: unknown) => finish(TYPE.LERROR + 1, new ByteWriter(4).u32(errnoOf(error)));
    const later = (action: () => void) => {
      // After a reset the memory belongs to somebody else.
      if (driver !== this.#driver) return;
      action();
      driver.queues[0]?.signal();
    };
    try {
      const reply = this.#session.handle(type, tag, body, messageMemory(chain, HEADER_BYTES, HEADER_BYTES));
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

  /** The data of a write stay where they are. */
  #readBody({ readable }: DescriptorChain): ByteReader {
    const head = this.#request.subarray(0, HEADER_BYTES + WRITE_FIELD_BYTES);
    const got = readable.readInto(head);
    const isWrite = head[4] === TYPE.WRITE;
    return this.#body.restart(isWrite ? got : readable.readInto(this.#request));
  }

  /** size[4] type[1] tag[2] and what comes behind; returns the length. */
  #writeReply(
    { writable }: DescriptorChain,
    type: number,
    tag: number,
    reply: ByteWriter | DataReply,
  ): number {
    const head = reply instanceof DataReply ? reply.head : reply.written;
    const dataBytes = reply instanceof DataReply ? reply.dataBytes : 0;
    const length = Math.min(HEADER_BYTES + head.length + dataBytes, writable.length);
    writable.write(this.#header.clear().u32(length).u8(type).u16(tag).written);
    writable.write(head, HEADER_BYTES);
    return length;
  }
}
