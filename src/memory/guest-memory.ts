import { GUEST_RAM, GUEST_RAM_LIMIT, PAGE_BYTES } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import type { AbsentPages } from "./absent-pages.ts";

/** Less than this does not hold the areas a PC has below 1 MiB and a kernel above it. */
export const MINIMUM_RAM_BYTES = 0x200000;

/**
 * Guest RAM as the machine, its boot loaders and its devices see it: bytes at
 * guest physical addresses `0 .. sizeBytes - 1`, inside the one WebAssembly
 * memory.
 *
 * Numbers are little-endian. Every access is checked: an address outside of
 * RAM throws `address-unmapped` and changes nothing. Writes here do not go
 * through the write traces on code; a device that writes where the guest has
 * code must tell the processor.
 */
export class GuestMemory {
  readonly sizeBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #absent: AbsentPages | undefined;

  /**
   * @param buffer The WebAssembly memory's buffer, at least `GUEST_RAM + ramBytes` long.
   * @param ramBytes Size of guest RAM, a whole number of pages.
   * @param absent Pages that are put into memory when they are asked for.
   * @throws {VmError} `memory-size-unsupported`.
   */
  constructor(buffer: ArrayBuffer | SharedArrayBuffer, ramBytes: number, absent?: AbsentPages) {
    const maximumBytes = Math.min(GUEST_RAM_LIMIT, Math.max(0, buffer.byteLength - GUEST_RAM));
    const whole = Number.isInteger(ramBytes) && ramBytes % PAGE_BYTES === 0;
    if (!whole || ramBytes < MINIMUM_RAM_BYTES || ramBytes > maximumBytes) {
      throw new VmError({
        code: "memory-size-unsupported",
        requestedBytes: ramBytes,
        minimumBytes: MINIMUM_RAM_BYTES,
        maximumBytes,
      });
    }
    this.sizeBytes = ramBytes;
    this.#bytes = new Uint8Array(buffer, GUEST_RAM, ramBytes);
    this.#view = new DataView(buffer, GUEST_RAM, ramBytes);
    this.#absent = absent;
  }

  /** The processor needs a page that is not in memory yet. */
  bringIn(page: number): void {
    this.#absent?.bringIn(page);
  }

  /** For whoever looks at memory by other ways than these. */
  bringInAll(): void {
    this.#absent?.bringInAll();
  }

  /** Copies `length` bytes out. */
  read(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.#bytes.slice(address, address + length);
  }

  /** The bytes themselves, not a copy: they change as the guest runs. */
  view(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.#bytes.subarray(address, address + length);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    this.#bytes.set(bytes, address);
  }

  fill(address: number, length: number, value: number): void {
    this.#check(address, length);
    this.#bytes.fill(value, address, address + length);
  }

  readU8(address: number): number {
    this.#check(address, 1);
    return this.#view.getUint8(address);
  }

  readU16(address: number): number {
    this.#check(address, 2);
    return this.#view.getUint16(address, true);
  }

  readU32(address: number): number {
    this.#check(address, 4);
    return this.#view.getUint32(address, true);
  }

  readU64(address: number): bigint {
    this.#check(address, 8);
    return this.#view.getBigUint64(address, true);
  }

  writeU8(address: number, value: number): void {
    this.#check(address, 1);
    this.#view.setUint8(address, value);
  }

  writeU16(address: number, value: number): void {
    this.#check(address, 2);
    this.#view.setUint16(address, value, true);
  }

  writeU32(address: number, value: number): void {
    this.#check(address, 4);
    this.#view.setUint32(address, value, true);
  }

  writeU64(address: number, value: bigint): void {
    this.#check(address, 8);
    this.#view.setBigUint64(address, value, true);
  }

  #check(address: number, length: number): void {
    if (address >= 0 && length >= 0 && address + length <= this.sizeBytes) {
      this.#absent?.bringInRange(address, length);
      return;
    }
    throw new VmError({ code: "address-unmapped", address, length });
  }
}
