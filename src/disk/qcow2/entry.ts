// Entries of L1 and L2 tables: 64 bits, big-endian, taken here as two halves, since numbers hold 53 bits.

/** Bit 63: the refcount of what is named is exactly one. */
const COPIED = 0x80000000;
/** Bit 62 of an L2 entry. */
const COMPRESSED = 0x40000000;
/** Bit 0 of an L2 entry: reads as zeroes, whatever is named. */
const ZERO = 1;

/** What an entry names. Offset 0 names nothing. */
export interface Entry {
  /** In the file; a multiple of 512 */
  readonly offset: number;
  readonly copied: boolean;
  readonly zero: boolean;
  /** Where the compressed bytes lie, in place of `offset` */
  readonly compressed: { readonly offset: number; readonly length: number } | undefined;
}

export const UNALLOCATED: Entry = { offset: 0, copied: false, zero: false, compressed: undefined };

/** Reads entry `index` of a table. */
export function readEntry(table: DataView, index: number, clusterBits: number): Entry {
  const high = table.getUint32(index * 8);
  const low = table.getUint32(index * 8 + 4);
  if (high === 0 && low === 0) return UNALLOCATED;
  const copied = (high & COPIED) !== 0;
  if ((high & COMPRESSED) !== 0) {
    // "Compressed Clusters Descriptor": x = 62 - (cluster_bits - 8) bits of offset, then further sectors.
    const descriptor = ((BigInt(high) & 0x3fffffffn) << 32n) | BigInt(low);
    const offsetBits = BigInt(62 - (clusterBits - 8));
    const offset = Number(descriptor & ((1n << offsetBits) - 1n));
    const sectors = Number(descriptor >> offsetBits) + 1;
    const length = sectors * 512 - (offset % 512);
    return { offset: 0, copied, zero: false, compressed: { offset, length } };
  }
  const offset = (high & 0x00ffffff) * 2 ** 32 + (low - (low % 512));
  return { offset, copied, zero: (low & ZERO) !== 0, compressed: undefined };
}

/** Writes an entry that names `offset`, as the only one to do so. */
export function writeEntry(
  table: DataView,
  index: number,
  offset: number,
  { zero = false, copied = true } = {},
): void {
  table.setUint32(index * 8, (Math.floor(offset / 2 ** 32) | (copied && offset !== 0 ? COPIED : 0)) >>> 0);
  table.setUint32(index * 8 + 4, ((offset % 2 ** 32) | (zero ? ZERO : 0)) >>> 0);
}

/** Changes nothing of an entry but whether it says that its refcount is one. */
export function setCopied(table: DataView, index: number, copied: boolean): void {
  const high = table.getUint32(index * 8);
  table.setUint32(index * 8, (copied ? high | COPIED : high & ~COPIED) >>> 0);
}
