import type { DmaMemory } from "../bus/dma-memory.ts";
import type { HostOperations } from "../bus/host-operations.ts";
import type { VirtioDevice } from "./device.ts";
import { VirtioPci } from "./transport/virtio-pci.ts";

export const RAM_BYTES = 1 << 20;

/** RAM for tests that notes where devices wrote. */
export class TestMemory implements DmaMemory {
  readonly sizeBytes = RAM_BYTES;
  readonly bytes = new Uint8Array(RAM_BYTES);
  readonly written: [address: number, length: number][] = [];
  readonly #view = new DataView(this.bytes.buffer);

  contains(address: number, length: number): boolean {
    return address >= 0 && address + length <= RAM_BYTES;
  }

  view(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.bytes.subarray(address, address + length);
  }

  noteWritten(address: number, length: number): void {
    this.#check(address, length);
    this.written.push([address, length]);
  }

  readU16(address: number): number {
    return this.#view.getUint16(address, true);
  }

  readU32(address: number): number {
    return this.#view.getUint32(address, true);
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(address, true);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    this.bytes.set(bytes, address);
    this.written.push([address, bytes.length]);
  }

  fill(address: number, length: number, value: number): void {
    this.#check(address, length);
    this.bytes.fill(value, address, address + length);
    this.written.push([address, length]);
  }

  writeU16(address: number, value: number): void {
    this.#view.setUint16(address, value, true);
    this.written.push([address, 2]);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(address, value, true);
    this.written.push([address, 4]);
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(address, value, true);
  }

  #check(address: number, length: number): void {
    if (!this.contains(address, length)) throw new RangeError(`${length} bytes at ${address} are not RAM`);
  }
}

/** Operations of a host that can be waited for. */
export class TestOperations implements HostOperations {
  readonly mayWait: boolean;
  readonly mayShareMemory: boolean;
  readonly whenIdleActions: ((isIdle: boolean) => void)[] = [];
  readonly #running = new Set<Promise<void>>();

  constructor(mayWait = false) {
    this.mayWait = mayWait;
    this.mayShareMemory = mayWait;
  }

  start<T>(operation: Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void {
    const settled = operation.then(done, failed).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  startInMemory(
    begin: (done: () => void, failed: (error: unknown) => void) => boolean,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isBegun = begin(resolve, reject);
    if (isBegun) this.start(promise, done, failed);
    return isBegun;
  }

  whenIdle(action: (isIdle: boolean) => void): void {
    this.whenIdleActions.push(action);
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

/** One buffer of a request. */
export interface TestBuffer {
  readonly address: number;
  readonly length: number;
  readonly write?: boolean;
}

// Where the driver's areas of queue q lie: at AREAS + q * 0x4000.
const AREAS = 0x10000;
const AREA_STRIDE = 0x4000;
export const descriptorsOf = (queue: number) => AREAS + queue * AREA_STRIDE;
export const availableOf = (queue: number) => descriptorsOf(queue) + 0x2000;
export const usedOf = (queue: number) => descriptorsOf(queue) + 0x3000;

/** A driver that does what virtio 1.2 asks for, over the registers of the PCI function. */
export class TestDriver {
  readonly memory = new TestMemory();
  readonly transport: VirtioPci;
  /** Vectors of the messages sent. */
  readonly interrupts: number[] = [];
  readonly broken: string[] = [];
  readonly #nextDescriptor: number[] = [];

  constructor(device: VirtioDevice) {
    this.transport = new VirtioPci(device, {
      memory: this.memory,
      messages: { send: (_address, data) => this.interrupts.push(data) },
      mapped() {},
      onBroken: (_device, reason) => this.broken.push(reason),
    });
  }

  get status(): number {
    return this.transport.readMemory(20, 1);
  }

  /** Negotiates `features`, sets up every queue with `queueSize` descriptors and a vector each, and starts the device. */
  initialise({ queueSize = 16, features = 1n << 32n }: { queueSize?: number; features?: bigint } = {}): void {
    const { transport } = this;
    transport.function.writeConfig(4, 2, 0x0006); // memory, bus master
    const msiX = transport.function.capabilityOffset(0);
    transport.function.writeConfig(msiX + 2, 2, 0x8000);
    const queues = transport.readMemory(18, 2);
    for (let vector = 0; vector <= queues; vector++) {
      transport.writeMemory(0x4000 + vector * 16, 4, 0xfee00000);
      transport.writeMemory(0x4000 + vector * 16 + 8, 4, vector);
      transport.writeMemory(0x4000 + vector * 16 + 12, 4, 0);
    }
    transport.writeMemory(20, 1, 0);
    transport.writeMemory(20, 1, 3);
    for (const word of [0, 1]) {
      transport.writeMemory(8, 4, word);
      transport.writeMemory(12, 4, Number((features >> BigInt(32 * word)) & 0xffffffffn));
    }
    transport.writeMemory(20, 1, 11);
    transport.writeMemory(16, 2, 0);
    for (let queue = 0; queue < queues; queue++) {
      transport.writeMemory(22, 2, queue);
      transport.writeMemory(24, 2, queueSize);
      transport.writeMemory(26, 2, queue + 1);
      transport.writeMemory(32, 4, descriptorsOf(queue));
      transport.writeMemory(40, 4, availableOf(queue));
      transport.writeMemory(48, 4, usedOf(queue));
      transport.writeMemory(28, 2, 1);
      this.#nextDescriptor[queue] = 0;
    }
    transport.writeMemory(20, 1, 15);
  }

  writeDescriptor(at: number, address: number, length: number, flags: number, next: number): void {
    this.memory.writeU64(at, BigInt(address));
    this.memory.writeU32(at + 8, length);
    this.memory.writeU16(at + 12, flags);
    this.memory.writeU16(at + 14, next);
  }

  /** Puts a request into the available ring; returns its first descriptor. Descriptors are used round and round. */
  add(queue: number, buffers: readonly TestBuffer[], queueSize = 16): number {
    const head = this.#nextDescriptor[queue] ?? 0;
    for (const [index, { address, length, write }] of buffers.entries()) {
      const own = (head + index) % queueSize;
      const last = index === buffers.length - 1;
      const flags = (write === true ? 2 : 0) | (last ? 0 : 1);
      this.writeDescriptor(descriptorsOf(queue) + 16 * own, address, length, flags, (own + 1) % queueSize);
    }
    this.#nextDescriptor[queue] = (head + buffers.length) % queueSize;
    this.publish(queue, head, queueSize);
    return head;
  }

  /** Offers the chain that begins with descriptor `head`. */
  publish(queue: number, head: number, queueSize = 16): void {
    const index = this.memory.readU16(availableOf(queue) + 2);
    this.memory.writeU16(availableOf(queue) + 4 + 2 * (index % queueSize), head);
    this.memory.writeU16(availableOf(queue) + 2, (index + 1) & 0xffff);
  }

  notify(queue: number): void {
    this.transport.writeMemory(0x3000 + 4 * queue, 2, queue);
  }

  /** How many requests came back. */
  usedCount(queue: number): number {
    return this.memory.readU16(usedOf(queue) + 2);
  }

  used(queue: number, index: number, queueSize = 16): { head: number; written: number } {
    const at = usedOf(queue) + 4 + 8 * (index % queueSize);
    return { head: this.memory.readU32(at), written: this.memory.readU32(at + 4) };
  }
}
