/**
 * RAM as a device reaches it: guest physical addresses `0 .. sizeBytes - 1`,
 * little-endian.
 *
 * Addresses come from the guest. A device asks `contains` before anything
 * else; an access that is not all RAM throws, and that is a bug of the device.
 * Every write tells the processor, which may have decoded what lay there.
 */
export interface DmaMemory {
  readonly sizeBytes: number;
  /** Whether all of `length` bytes (0 or more) from `address` are RAM. */
  contains(address: number, length: number): boolean;
  /** The bytes themselves, to be used before the guest runs on. Whoever writes to them calls `noteWritten`. */
  view(address: number, length: number): Uint8Array;
  /** Tells the processor of bytes that were written through a `view`. */
  noteWritten(address: number, length: number): void;
  readU16(address: number): number;
  readU32(address: number): number;
  readU64(address: number): bigint;
  write(address: number, bytes: Uint8Array): void;
  fill(address: number, length: number, value: number): void;
  writeU16(address: number, value: number): void;
  writeU32(address: number, value: number): void;
}
