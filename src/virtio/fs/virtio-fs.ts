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
import { FuseSession } from "./fuse-session.ts";
import {
  IN_HEADER_BYTES,
  MOST_DATA_BYTES,
  OPCODE,
  OUT_HEADER_BYTES,
  PAGE_BYTES,
  WRITE_FIELD_BYTES,
} from "./protocol.ts";
import { type RequestHeader, readHeader } from "./structures.ts";

const PRIORITY_QUEUE_SIZE = 128;
/** So large that a driver, which needs a descriptor for each page, can move `MOST_DATA_BYTES` at once. */
const REQUEST_QUEUE_SIZE = 512;
export const MOST_TAG_BYTES = 36;
/** No request is longer: a write with all its fields, or two names. */
const MOST_REQUEST_BYTES = MOST_DATA_BYTES + 2 * PAGE_BYTES;
/** Of requests without data: the value of an extended attribute, which Linux limits to 64 KiB, is the longest. */
const MOST_BODY_BYTES = (64 << 10) + PAGE_BYTES;
/** Requests to which there is no reply. */
const ONE_WAY: readonly number[] = [OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT];

/** What a file system device is made from. */
export interface VirtioFsParts {
  /** By which the guest mounts it; 1 to 36 bytes of UTF-8. */
  readonly tag: string;
  /** Of this device alone. */
  readonly folder: SharedFolder;
  readonly operations: HostOperations;
}

/**
 * A folder of the host for the guest, over the FUSE protocol.
 *
 * Source: virtio 1.2, "File System Device".
 */
export class VirtioFs implements VirtioDevice {
  readonly name = "virtio-fs";
  readonly deviceId = 26;
  readonly classCode = 0x018000;
  readonly features = 0n;
  readonly queueSizes = [PRIORITY_QUEUE_SIZE, REQUEST_QUEUE_SIZE];
  readonly #operations: HostOperations;
  readonly #tag: string;
  readonly #session: FuseSession;
  readonly #config: Uint8Array;
  /** The request that is being answered, but for the data of a write. */
  readonly #request = new Uint8Array(MOST_BODY_BYTES);
  readonly #message = new ByteReader(this.#request);
  readonly #header = new ByteWriter(OUT_HEADER_BYTES);
  #driver: VirtioDriver | undefined;

  constructor({ tag, folder, operations }: VirtioFsParts) {
    this.#operations = operations;
    this.#tag = tag;
    this.#session = new FuseSession(folder);
    // After a reset of the machine another device may have had the folder.
    this.#session.reset();
    this.#config = layOutConfig(tag);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  handle(queueIndex: number): void {
    const driver = this.#driver;
    const queue = driver?.queues[queueIndex];
    if (driver === undefined || queue === undefined) return;
    for (const chain of queue.requests()) {
      if (!this.#answer(driver, queueIndex, chain)) return;
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
  #answer(driver: VirtioDriver, queueIndex: number, chain: DescriptorChain): boolean {
    const { readable, writable } = chain;
    if (readable.length < IN_HEADER_BYTES || readable.length > MOST_REQUEST_BYTES) {
      driver.needsReset(`a FUSE request of ${readable.length} bytes`);
      return false;
    }
    const message = this.#readMessage(chain);
    const header = readHeader(message);
    const isOneWay = ONE_WAY.includes(header.opcode);
    if (!isOneWay && writable.length < OUT_HEADER_BYTES) {
      driver.needsReset(`no room for the reply to FUSE request ${header.opcode}`);
      return false;
    }
    const finish = (error: number, reply: Uint8Array | DataReply) => {
      const room = writable.length >= OUT_HEADER_BYTES;
      const written = room && !isOneWay ? this.#writeReply(chain, header, error, reply) : 0;
      driver.queues[queueIndex]?.complete(chain, written);
    };
    const finishLater = (error: number, body: Uint8Array) => {
      // After a reset the memory belongs to somebody else.
      if (driver !== this.#driver) return;
      finish(error, body);
      driver.queues[queueIndex]?.signal();
    };
    try {
      const reply = this.#session.handle(
        header,
        message,
        messageMemory(chain, IN_HEADER_BYTES, OUT_HEADER_BYTES),
      );
      if (reply instanceof Promise) {
        this.#operations.start(
          reply,
          (body) => finishLater(0, body),
          (error) => finishLater(errnoOf(error), NOTHING),
        );
      } else finish(0, reply ?? NOTHING);
    } catch (error) {
      finish(errnoOf(error), NOTHING);
    }
    return true;
  }

  /** The data of a write stay where they are. */
  #readMessage({ readable }: DescriptorChain): ByteReader {
    const head = this.#request.subarray(0, IN_HEADER_BYTES + WRITE_FIELD_BYTES);
    const got = readable.readInto(head);
    const isWrite = head[4] === OPCODE.WRITE && head[5] === 0 && head[6] === 0 && head[7] === 0;
    return this.#message.restart(isWrite ? got : readable.readInto(this.#request));
  }

  /** struct fuse_out_header and what comes behind it; returns their length. */
  #writeReply(
    { writable }: DescriptorChain,
    { unique }: RequestHeader,
    error: number,
    reply: Uint8Array | DataReply,
  ): number {
    const head = reply instanceof DataReply ? reply.head : reply;
    const dataBytes = reply instanceof DataReply ? reply.dataBytes : 0;
    const length = Math.min(OUT_HEADER_BYTES + head.length + dataBytes, writable.length);
    const header = this.#header
      .clear()
      .u32(length)
      .u32(-error >>> 0)
      .u64(unique);
    writable.write(header.written);
    writable.write(head, OUT_HEADER_BYTES);
    return length;
  }
}

const NOTHING = new Uint8Array();

/** struct virtio_fs_config */
function layOutConfig(tag: string): Uint8Array {
  const config = new Uint8Array(MOST_TAG_BYTES + 4);
  config.set(new TextEncoder().encode(tag).subarray(0, MOST_TAG_BYTES));
  config[MOST_TAG_BYTES] = 1; // request queues
  return config;
}
