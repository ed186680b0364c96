import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { NO_VECTOR, resetState as resetQueue, type SplitQueueState } from "../queue/split-queue.ts";
import * as L from "./layout.ts";

/** Everything a snapshot must carry. */
export interface CommonConfigState {
  status: number;
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  /** What the driver has accepted, as it wrote it */
  driverFeatures: bigint;
  configVector: number;
  configGeneration: number;
  queueSelect: number;
  queues: SplitQueueState[];
}

/** What the common configuration is handed. */
export interface CommonConfigConnections {
  /** All features on offer. */
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly vectors: number;
  /** The driver wrote 0 to the status. */
  onReset(): void;
  /** A reset has not come to its end: the device still uses memory. */
  isResetting(): boolean;
  /** The driver set DRIVER_OK. */
  onReady(): void;
}

/**
 * The registers by which a driver finds out and sets up a device.
 *
 * Source: virtio 1.2, "Common configuration structure layout".
 */
export class CommonConfig {
  readonly #to: CommonConfigConnections;
  #state: CommonConfigState;

  constructor(connections: CommonConfigConnections, state?: CommonConfigState) {
    this.#to = connections;
    this.#state = state ?? this.#resetState();
  }

  get state(): CommonConfigState {
    return cloneState(this.#state);
  }

  /** The states of the queues themselves, which `SplitQueue` goes on with. */
  get queues(): readonly SplitQueueState[] {
    return this.#state.queues;
  }

  get acceptedFeatures(): bigint {
    return this.#state.driverFeatures;
  }

  get configVector(): number {
    return this.#state.configVector;
  }

  get driverReady(): boolean {
    return (this.#state.status & L.STATUS_DRIVER_OK) !== 0;
  }

  get needsReset(): boolean {
    return (this.#state.status & L.STATUS_NEEDS_RESET) !== 0;
  }

  /** Returns false when the bit was set already. */
  setNeedsReset(): boolean {
    if (this.needsReset) return false;
    this.#state.status |= L.STATUS_NEEDS_RESET;
    return true;
  }

  /** The device's configuration has changed. */
  nextGeneration(): void {
    this.#state.configGeneration = (this.#state.configGeneration + 1) & 0xff;
  }

  read(offset: number, bytes: AccessBytes): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += this.#readByte(offset + i) * 2 ** (8 * i);
    return value;
  }

  /** Fields take whole writes of their own width; 64-bit ones come in halves. */
  write(offset: number, bytes: AccessBytes, value: number): void {
    const state = this.#state;
    switch (offset) {
      case L.DEVICE_FEATURE_SELECT:
        if (bytes === 4) state.deviceFeatureSelect = value >>> 0;
        return;
      case L.DRIVER_FEATURE_SELECT:
        if (bytes === 4) state.driverFeatureSelect = value >>> 0;
        return;
      case L.DRIVER_FEATURE:
        if (bytes === 4) this.#setDriverFeatures(value >>> 0);
        return;
      case L.CONFIG_VECTOR:
        if (bytes === 2) state.configVector = this.#vector(value);
        return;
      case L.DEVICE_STATUS:
        if (bytes === 1) this.#setStatus(value);
        return;
      case L.QUEUE_SELECT:
        if (bytes === 2) state.queueSelect = value;
        return;
      default:
        this.#writeQueue(offset, bytes, value >>> 0);
    }
  }

  #readByte(offset: number): number {
    const state = this.#state;
    const queue = state.queues[state.queueSelect];
    const byteOf = (first: number, value: number | bigint) =>
      Number((BigInt(value) >> BigInt(8 * (offset - first))) & 0xffn);
    const featureWord = (features: bigint, select: number) =>
      select > 1 ? 0n : (features >> BigInt(32 * select)) & 0xffffffffn;
    if (offset < 4) return byteOf(0, state.deviceFeatureSelect);
    if (offset < 8) return byteOf(4, featureWord(this.#to.features, state.deviceFeatureSelect));
    if (offset < 12) return byteOf(8, state.driverFeatureSelect);
    if (offset < 16) return byteOf(12, featureWord(state.driverFeatures, state.driverFeatureSelect));
    if (offset < 18) return byteOf(16, state.configVector);
    if (offset < 20) return byteOf(18, state.queues.length);
    if (offset === L.DEVICE_STATUS) return this.#status;
    if (offset === L.CONFIG_GENERATION) return state.configGeneration;
    if (offset < 24) return byteOf(22, state.queueSelect);
    if (queue === undefined || offset >= 56) return 0;
    if (offset < 26) return byteOf(24, queue.size);
    if (offset < 28) return byteOf(26, queue.vector);
    if (offset < 30) return byteOf(28, queue.enabled ? 1 : 0);
    if (offset < 32) return byteOf(30, state.queueSelect);
    if (offset < 40) return byteOf(32, BigInt(queue.descriptorArea));
    if (offset < 48) return byteOf(40, BigInt(queue.driverArea));
    return byteOf(48, BigInt(queue.deviceArea));
  }

  /** "The driver SHOULD consider a driver-initiated reset complete when it reads device_status as 0." */
  get #status(): number {
    const { status } = this.#state;
    return status === 0 && this.#to.isResetting() ? L.STATUS_NEEDS_RESET : status;
  }

  #writeQueue(offset: number, bytes: AccessBytes, value: number): void {
    const state = this.#state;
    const queue = state.queues[state.queueSelect];
    if (queue === undefined) return;
    if (offset === L.QUEUE_VECTOR && bytes === 2) queue.vector = this.#vector(value);
    // What a queue in use is made of does not change.
    if (queue.enabled || this.driverReady) return;
    if (offset === L.QUEUE_SIZE && bytes === 2) {
      const most = this.#to.queueSizes[state.queueSelect] ?? 0;
      if (value <= most) queue.size = value;
    } else if (offset === L.QUEUE_ENABLE && bytes === 2) queue.enabled = value === 1;
    else if (bytes === 4) {
      const half = (address: number) =>
        (offset & 4) === 0
          ? address - (address % 2 ** 32) + value
          : (address % 2 ** 32) + (value & 0x1fffff) * 2 ** 32;
      const area = offset & ~7;
      if (area === L.QUEUE_DESCRIPTORS) queue.descriptorArea = half(queue.descriptorArea);
      else if (area === L.QUEUE_DRIVER) queue.driverArea = half(queue.driverArea);
      else if (area === L.QUEUE_DEVICE) queue.deviceArea = half(queue.deviceArea);
    }
  }

  #setDriverFeatures(value: number): void {
    const state = this.#state;
    if ((state.status & L.STATUS_FEATURES_OK) !== 0 || state.driverFeatureSelect > 1) return;
    const shift = BigInt(32 * state.driverFeatureSelect);
    state.driverFeatures = (state.driverFeatures & ~(0xffffffffn << shift)) | (BigInt(value) << shift);
  }

  /** "Device Initialization": FEATURES_OK stays clear when the driver wants what is not on offer. */
  #setStatus(value: number): void {
    const state = this.#state;
    if (value === 0) {
      this.#state = this.#resetState();
      this.#to.onReset();
      return;
    }
    const agreed =
      (state.driverFeatures & ~this.#to.features) === 0n && (state.driverFeatures & L.F_VERSION_1) !== 0n;
    const wasReady = this.driverReady;
    const kept = state.status & (L.STATUS_NEEDS_RESET | L.STATUS_FEATURES_OK);
    let status = value & ~L.STATUS_NEEDS_RESET;
    if (!agreed) status &= ~L.STATUS_FEATURES_OK;
    if (((status | kept) & L.STATUS_FEATURES_OK) === 0) status &= ~L.STATUS_DRIVER_OK;
    state.status = status | kept;
    if (this.driverReady && !wasReady) this.#to.onReady();
  }

  /** A vector that is not there reads back as none. */
  #vector(value: number): number {
    return value < this.#to.vectors ? value : NO_VECTOR;
  }

  #resetState(): CommonConfigState {
    return {
      status: 0,
      deviceFeatureSelect: 0,
      driverFeatureSelect: 0,
      driverFeatures: 0n,
      configVector: NO_VECTOR,
      configGeneration: 0,
      queueSelect: 0,
      queues: this.#to.queueSizes.map((size) => resetQueue(size)),
    };
  }
}
