import type { HostOperations } from "../../bus/host-operations.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { type BlockDevice, SECTOR_BYTES } from "../../host/block-device.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import { CompletionSignal } from "../queue/completion-signal.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import { BufferPool } from "./buffer-pool.ts";
import {
  type BlockRequest,
  HEADER_BYTES,
  MOST_RANGES,
  readRequest,
  STATUS_IO_ERROR,
  STATUS_OK,
} from "./request.ts";

const F_SIZE_MAX = 1n << 1n;
const F_SEG_MAX = 1n << 2n;
const F_RO = 1n << 5n;
const F_BLK_SIZE = 1n << 6n;
const F_FLUSH = 1n << 9n;
const F_TOPOLOGY = 1n << 10n;
const F_DISCARD = 1n << 13n;
const F_WRITE_ZEROES = 1n << 14n;

const QUEUE_SIZE = 256;
/** Segments of a request, so that one with header and status fits the queue. */
const SEGMENTS = 254;
const SEGMENT_BYTES = 128 << 10;
/** Sectors of one range to discard or to zero: 1 GiB. */
const MOST_RANGE_SECTORS = 1 << 21;
/** Data of requests under way; further ones wait in the queue. */
const MOST_BYTES_UNDER_WAY = 32 << 20;
/** Data that are moved while one notification is dealt with; what is more does not keep the guest waiting. */
const MOST_BYTES_AT_ONCE = 4 << 20;
/**
 * From here on moving the data takes longer than handing it to another thread, which moves it in the guest's memory
 * while the guest goes on.
 */
const LEAST_BYTES_IN_PLACE = 64 << 10;
const ID_BYTES = 20;
/** Physical blocks of 4 KiB: 8 sectors. */
const PHYSICAL_BLOCK_EXPONENT = 3;

/** What a block device is made from. */
export interface VirtioBlkParts {
  readonly disk: BlockDevice;
  readonly operations: HostOperations;
  /** Up to 20 ASCII characters that the guest can ask for. */
  readonly serial: string;
  /** The disk failed; the guest gets an I/O error. */
  onError?(error: unknown): void;
}

/**
 * A disk of the guest.
 *
 * Source: virtio 1.2, "Block Device".
 */
export class VirtioBlk implements VirtioDevice {
  readonly name = "virtio-blk";
  readonly deviceId = 2;
  readonly classCode = 0x010000;
  readonly features: bigint;
  readonly queueSizes = [QUEUE_SIZE];
  readonly #parts: VirtioBlkParts;
  readonly #config: Uint8Array;
  readonly #buffers = new BufferPool();
  #driver: VirtioDriver | undefined;
  #bytesUnderWay = 0;
  #inPlace = 0;
  #bytesAtOnce = 0;
  #waiting = false;
  #signal: CompletionSignal | undefined;

  constructor(parts: VirtioBlkParts) {
    this.#parts = parts;
    const always = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;
    this.features = always | (parts.disk.readOnly ? F_RO : F_DISCARD | F_WRITE_ZEROES);
    this.#config = layOutConfig(parts.disk.sizeBytes);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#bytesUnderWay = 0;
    this.#waiting = false;
    const [queue] = driver.queues;
    this.#signal = queue && new CompletionSignal(queue, this.#parts.operations);
  }

  handle(): void {
    const driver = this.#driver;
    const queue = driver?.queues[0];
    if (driver === undefined || queue === undefined) return;
    this.#waiting = this.#bytesUnderWay >= MOST_BYTES_UNDER_WAY;
    if (this.#waiting) return;
    this.#bytesAtOnce = 0;
    for (const chain of queue.requests()) {
      const request = readRequest(chain, this.#parts.disk);
      if (request === undefined) {
        driver.needsReset("a block request without header or status");
        return;
      }
      this.#execute(driver, chain, request);
      this.#waiting = this.#bytesUnderWay >= MOST_BYTES_UNDER_WAY;
      if (this.#waiting) break;
    }
    this.#signal?.completed();
  }

  reset(): void {
    this.#signal?.stop();
    this.#signal = undefined;
    this.#driver = undefined;
  }

  get usesMemory(): boolean {
    return this.#inPlace > 0;
  }

  get disk(): BlockDevice {
    return this.#parts.disk;
  }

  get serial(): string {
    return this.#parts.serial;
  }

  /** What the guest knows of the disk, which it never asks for again. */
  saveState(): object {
    const { disk, serial } = this.#parts;
    return { sizeBytes: disk.sizeBytes, readOnly: disk.readOnly, serial };
  }

  restoreState(state: unknown): string | undefined {
    const { sizeBytes, readOnly } = state as { sizeBytes?: unknown; readOnly?: unknown };
    const { disk } = this.#parts;
    if (sizeBytes !== disk.sizeBytes) return `a disk of ${String(sizeBytes)} bytes`;
    return readOnly === disk.readOnly ? undefined : `a disk that is ${disk.readOnly ? "not " : ""}read-only`;
  }

  #execute(driver: VirtioDriver, chain: DescriptorChain, request: BlockRequest): void {
    const { serial } = this.#parts;
    switch (request.kind) {
      case "refused":
        return this.#answer(driver, chain, request.status, 0);
      case "id": {
        const id = new Uint8Array(ID_BYTES);
        id.set(new TextEncoder().encode(serial).subarray(0, ID_BYTES));
        const room = Math.min(ID_BYTES, chain.writable.length - 1);
        return this.#answer(driver, chain, STATUS_OK, chain.writable.write(id.subarray(0, room)));
      }
      default:
        if (!this.#isQuick(driver, request)) this.#start(driver, chain, request);
        else if (!this.#startInPlace(driver, chain, request) && !this.#doNow(driver, chain, request))
          this.#start(driver, chain, request);
    }
  }

  /** Whether the request may be made in the guest's memory itself, where writes may come back before they are safe. */
  #isQuick(driver: VirtioDriver, request: BlockRequest): request is DataRequest {
    if (!this.#parts.operations.mayWait) return false;
    return request.kind === "read" || (request.kind === "write" && (driver.features & F_FLUSH) !== 0n);
  }

  /** Has another thread read or write in the guest's memory itself. False: nothing was begun. */
  #startInPlace(driver: VirtioDriver, chain: DescriptorChain, request: DataRequest): boolean {
    const { disk, operations, onError } = this.#parts;
    const { offset, length } = request;
    if (length < LEAST_BYTES_IN_PLACE || !operations.mayShareMemory) return false;
    const isRead = request.kind === "read";
    const finish = (status: number) => {
      this.#inPlace--;
      // Also of a read that failed half-way, and of one that a reset has made pointless.
      if (isRead) chain.writable.noteWritten(0, length);
      if (driver !== this.#driver) return;
      this.#bytesUnderWay -= length;
      this.#answer(driver, chain, status, isRead && status === STATUS_OK ? length : 0);
      driver.queues[0]?.signal();
      if (this.#waiting) this.handle();
    };
    const isBegun = operations.startInMemory(
      (done, failed) =>
        (isRead
          ? disk.readInPlace?.(offset, chain.writable.views(0, length), done, failed)
          : disk.writeInPlace?.(offset, chain.readable.views(HEADER_BYTES, length), done, failed)) === true,
      () => finish(STATUS_OK),
      (error) => {
        onError?.(error);
        finish(STATUS_IO_ERROR);
      },
    );
    if (!isBegun) return false;
    this.#inPlace++;
    this.#bytesUnderWay += length;
    return true;
  }

  /** Reads and writes in the guest's memory itself, where the disk is quick. False: nothing was done. */
  #doNow(driver: VirtioDriver, chain: DescriptorChain, request: DataRequest): boolean {
    const { disk, onError } = this.#parts;
    const { offset, length } = request;
    if (this.#bytesAtOnce + length > MOST_BYTES_AT_ONCE) return false;
    this.#bytesAtOnce += length;
    const isRead = request.kind === "read";
    try {
      const done = isRead
        ? disk.readNow?.(offset, chain.writable.views(0, length))
        : disk.writeNow?.(offset, chain.readable.views(HEADER_BYTES, length));
      if (done !== true) return false;
      this.#answer(driver, chain, STATUS_OK, isRead ? length : 0);
    } catch (error) {
      onError?.(error);
      this.#answer(driver, chain, STATUS_IO_ERROR, 0);
    } finally {
      // Also of a read that failed half-way.
      if (isRead) chain.writable.noteWritten(0, length);
    }
    return true;
  }

  #start(
    driver: VirtioDriver,
    chain: DescriptorChain,
    request: Exclude<BlockRequest, { kind: "refused" | "id" }>,
  ): void {
    const isRead = request.kind === "read";
    const bytes = isRead || request.kind === "write" ? request.length : 0;
    const data = bytes === 0 ? NOTHING : this.#buffers.take(bytes);
    // Copied: the guest can change its buffer at any time.
    if (!isRead) chain.readable.readInto(data, HEADER_BYTES);
    this.#bytesUnderWay += bytes;
    const finish = (status: number) => {
      // After a reset the memory belongs to somebody else.
      const isCurrent = driver === this.#driver;
      if (isCurrent) {
        this.#bytesUnderWay -= bytes;
        const written = isRead && status === STATUS_OK ? chain.writable.write(data) : 0;
        this.#answer(driver, chain, status, written);
      }
      if (bytes > 0) this.#buffers.give(data);
      if (!isCurrent) return;
      driver.queues[0]?.signal();
      if (this.#waiting) this.handle();
    };
    this.#parts.operations.start(
      this.#carryOut(request, data, (driver.features & F_FLUSH) === 0n),
      () => finish(STATUS_OK),
      (error) => {
        this.#parts.onError?.(error);
        finish(STATUS_IO_ERROR);
      },
    );
  }

  /** @param writeThrough The driver knows no flush: what is written must be safe at once. */
  async #carryOut(
    request: Exclude<BlockRequest, { kind: "refused" | "id" }>,
    data: Uint8Array,
    writeThrough: boolean,
  ): Promise<void> {
    const { disk } = this.#parts;
    switch (request.kind) {
      case "read":
        return disk.read(request.offset, data);
      case "write":
        await disk.write(request.offset, data);
        break;
      case "flush":
        return disk.flush();
      case "discard":
        for (const { offset, length } of request.ranges) await disk.discard(offset, length);
        return;
      case "write-zeroes":
        for (const { offset, length, unmap } of request.ranges) await disk.writeZeroes(offset, length, unmap);
    }
    if (writeThrough) await disk.flush();
  }

  /** Writes the status behind the data and gives the request back. */
  #answer(driver: VirtioDriver, chain: DescriptorChain, status: number, written: number): void {
    chain.writable.writeLast(status);
    driver.queues[0]?.complete(chain, written + 1);
  }
}

type DataRequest = Extract<BlockRequest, { kind: "read" | "write" }>;

const NOTHING = new Uint8Array();

/** struct virtio_blk_config, up to the write-zeroes fields. */
function layOutConfig(sizeBytes: number): Uint8Array {
  const config = new Uint8Array(60);
  const view = new DataView(config.buffer);
  view.setBigUint64(0, BigInt(Math.floor(sizeBytes / SECTOR_BYTES)), true);
  view.setUint32(8, SEGMENT_BYTES, true);
  view.setUint32(12, SEGMENTS, true);
  view.setUint32(20, SECTOR_BYTES, true);
  view.setUint8(24, PHYSICAL_BLOCK_EXPONENT);
  view.setUint16(26, 1 << PHYSICAL_BLOCK_EXPONENT, true); // the least that pays
  view.setUint16(34, 1, true); // queues
  view.setUint32(36, MOST_RANGE_SECTORS, true);
  view.setUint32(40, MOST_RANGES, true);
  view.setUint32(44, 1 << PHYSICAL_BLOCK_EXPONENT, true); // alignment of discards
  view.setUint32(48, MOST_RANGE_SECTORS, true);
  view.setUint32(52, MOST_RANGES, true);
  view.setUint8(56, 1); // writing zeroes may unmap
  return config;
}
