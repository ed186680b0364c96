import type { DmaMemory } from "../../bus/dma-memory.ts";
import { GuestBuffer, type Segment } from "./guest-buffer.ts";

const DESCRIPTOR_BYTES = 16;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
/** No chain of any driver is longer: a queue has at most 1024 descriptors here. */
const MOST_DESCRIPTORS = 1024;
/** "The total length of a chain" is limited by the specification. */
const MOST_BYTES = 2 ** 32 - 1;

/** One request of the driver: what the device may read, and what it may write. */
export interface DescriptorChain {
  /** Index of the first descriptor, by which the driver knows the request. */
  readonly head: number;
  readonly readable: GuestBuffer;
  readonly writable: GuestBuffer;
}

/** What is wrong with a chain, in words for a log. */
export type BrokenChain = string;

/** Where descriptors lie, and what the driver has agreed to. */
export interface DescriptorTable {
  readonly memory: DmaMemory;
  /** Checked: all of the table is RAM. */
  readonly address: number;
  readonly size: number;
  readonly indirectAllowed: boolean;
}

/**
 * Follows the chain that begins with descriptor `head`. Everything in it is
 * checked: a chain that is returned ends, and all its bytes are RAM.
 *
 * Source: virtio 1.2, "The Virtqueue Descriptor Table" and "Indirect Descriptors".
 */
export function readChain(table: DescriptorTable, head: number): DescriptorChain | BrokenChain {
  const { memory } = table;
  const readable: Segment[] = [];
  const writable: Segment[] = [];
  let { address: base, size } = table;
  let index = head;
  let inIndirect = false;
  let total = 0;
  for (let left = Math.min(size, MOST_DESCRIPTORS); ; left--) {
    if (index >= size) return `descriptor ${index} of a table of ${size}`;
    if (left === 0) return "a chain of descriptors that does not end";
    const at = base + index * DESCRIPTOR_BYTES;
    // Above 2**53 it is not exact, and not RAM either way.
    const address = memory.readU32(at) + memory.readU32(at + 4) * 2 ** 32;
    const length = memory.readU32(at + 8);
    const flags = memory.readU16(at + 12);
    if (!memory.contains(address, length)) return `a buffer outside of RAM, at 0x${address.toString(16)}`;
    if ((flags & INDIRECT) !== 0) {
      if (!table.indirectAllowed || inIndirect || (flags & NEXT) !== 0) return "a misplaced indirect table";
      if (length === 0 || length % DESCRIPTOR_BYTES !== 0) return `an indirect table of ${length} bytes`;
      base = address;
      size = length / DESCRIPTOR_BYTES;
      left = Math.min(size, MOST_DESCRIPTORS) + 1;
      index = 0;
      inIndirect = true;
      continue;
    }
    total += length;
    if (total > MOST_BYTES) return "a request of 4 GiB or more";
    if ((flags & WRITE) !== 0) append(writable, address, length);
    else if (writable.length > 0) return "a buffer to read behind one to write";
    else append(readable, address, length);
    if ((flags & NEXT) === 0) break;
    index = memory.readU16(at + 14);
  }
  return { head, readable: new GuestBuffer(memory, readable), writable: new GuestBuffer(memory, writable) };
}

/** Large buffers of a guest are often of one piece, of which each descriptor names a part. */
function append(segments: Segment[], address: number, length: number): void {
  const last = segments.at(-1);
  if (last === undefined || last.address + last.length !== address) segments.push({ address, length });
  else segments[segments.length - 1] = { address: last.address, length: last.length + length };
}
