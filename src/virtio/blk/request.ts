import { SECTOR_BYTES } from "../../host/block-device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";

// virtio 1.2, "Block Device", "Device Operation": request types.
const TYPE_IN = 0;
const TYPE_OUT = 1;
const TYPE_FLUSH = 4;
const TYPE_GET_ID = 8;
const TYPE_DISCARD = 11;
const TYPE_WRITE_ZEROES = 13;

/** In front of the data of a write. */
export const HEADER_BYTES = 16;
/** struct virtio_blk_discard_write_zeroes */
const RANGE_BYTES = 16;
const FLAG_UNMAP = 1;
export const MOST_RANGES = 16;

export const STATUS_OK = 0;
export const STATUS_IO_ERROR = 1;
export const STATUS_UNSUPPORTED = 2;

/** More is refused: no driver that keeps to `size_max` and `seg_max` asks for it. */
const MOST_DATA_BYTES = 32 << 20;

export interface Range {
  readonly offset: number;
  readonly length: number;
  readonly unmap: boolean;
}

/** A request of the driver, taken apart and checked against the disk's size. */
export type BlockRequest =
  | { readonly kind: "read"; readonly offset: number; readonly length: number }
  | { readonly kind: "write"; readonly offset: number; readonly length: number }
  | { readonly kind: "flush" }
  | { readonly kind: "id" }
  | { readonly kind: "discard" | "write-zeroes"; readonly ranges: readonly Range[] }
  /** Answered without the disk. */
  | { readonly kind: "refused"; readonly status: number };

const IO_ERROR: BlockRequest = { kind: "refused", status: STATUS_IO_ERROR };
const UNSUPPORTED: BlockRequest = { kind: "refused", status: STATUS_UNSUPPORTED };

/** Returns undefined for a chain without a header or without room for the status, which no driver makes. */
export function readRequest(
  chain: DescriptorChain,
  disk: { sizeBytes: number; readOnly: boolean },
): BlockRequest | undefined {
  const { readable, writable } = chain;
  if (readable.length < HEADER_BYTES || writable.length < 1) return undefined;
  const type = readable.readU32(0);
  // Above 2**53 it is not exact, and behind the disk's end either way.
  const offset = (readable.readU32(8) + readable.readU32(12) * 2 ** 32) * SECTOR_BYTES;
  const dataBytes = type === TYPE_IN ? writable.length - 1 : readable.length - HEADER_BYTES;
  const inside = (at: number, length: number) => at + length <= disk.sizeBytes;
  switch (type) {
    case TYPE_IN:
      if (!isData(dataBytes) || !inside(offset, dataBytes)) return IO_ERROR;
      return { kind: "read", offset, length: dataBytes };
    case TYPE_OUT:
      if (disk.readOnly || !isData(dataBytes) || !inside(offset, dataBytes)) return IO_ERROR;
      return { kind: "write", offset, length: dataBytes };
    case TYPE_FLUSH:
      return { kind: "flush" };
    case TYPE_GET_ID:
      return { kind: "id" };
    case TYPE_DISCARD:
    case TYPE_WRITE_ZEROES: {
      const count = dataBytes / RANGE_BYTES;
      if (disk.readOnly || !Number.isInteger(count) || count < 1 || count > MOST_RANGES) return IO_ERROR;
      const ranges = readRanges(readable.read(HEADER_BYTES));
      if (ranges.some((range) => !inside(range.offset, range.length))) return IO_ERROR;
      const discard = type === TYPE_DISCARD;
      // "the device MUST reject a discard with the unmap flag"
      if (discard && ranges.some((range) => range.unmap)) return UNSUPPORTED;
      return { kind: discard ? "discard" : "write-zeroes", ranges };
    }
    default:
      return UNSUPPORTED;
  }
}

function isData(length: number): boolean {
  return length > 0 && length % SECTOR_BYTES === 0 && length <= MOST_DATA_BYTES;
}

function readRanges(bytes: Uint8Array<ArrayBuffer>): Range[] {
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / RANGE_BYTES }, (_, index) => {
    const at = index * RANGE_BYTES;
    return {
      offset: Number(view.getBigUint64(at, true)) * SECTOR_BYTES,
      length: view.getUint32(at + 8, true) * SECTOR_BYTES,
      unmap: (view.getUint32(at + 12, true) & FLAG_UNMAP) !== 0,
    };
  });
}
