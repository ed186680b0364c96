import type { DmaMemory } from "../bus/dma-memory.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";

/** Guest RAM for devices: each write is reported to the processor. */
export class DeviceMemory implements DmaMemory {
  readonly sizeBytes: number;
  readonly #memory: GuestMemory;
  readonly #written: (address: number, bytes: number) => void;

  constructor(memory: GuestMemory, written: (address: number, bytes: number) => void) {
    this.sizeBytes = memory.sizeBytes;
    this.#memory = memory;
    this.#written = written;
  }

  contains(address: number, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.sizeBytes;
  }

  view(address: number, length: number): Uint8Array {
    return this.#memory.view(address, length);
  }

  noteWritten(address: number, length: number): void {
    this.#written(address, length);
  }

  readU16(address: number): number {
    return this.#memory.readU16(address);
  }

  readU32(address: number): number {
    return this.#memory.readU32(address);
  }

  readU64(address: number): bigint {
    return this.#memory.readU64(address);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#memory.write(address, bytes);
    this.#written(address, bytes.length);
  }

  fill(address: number, length: number, value: number): void {
    this.#memory.fill(address, length, value);
    this.#written(address, length);
  }

  writeU16(address: number, value: number): void {
    this.#memory.writeU16(address, value);
    this.#written(address, 2);
  }

  writeU32(address: number, value: number): void {
    this.#memory.writeU32(address, value);
    this.#written(address, 4);
  }
}
