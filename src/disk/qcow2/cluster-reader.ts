import { type BlockDevice, SECTOR_BYTES } from "../../host/block-device.ts";
import type { Decompressor } from "../../host/decompressor.ts";
import { decompressCluster } from "./compressed.ts";
import type { Entry } from "./entry.ts";
import type { Qcow2Image } from "./image.ts";
import { type Piece, piecesOf } from "./pieces.ts";

/** Reads a guest's clusters, wherever they are: in the file, compressed, zero, or in the image below. */
export class ClusterReader {
  readonly #image: Qcow2Image;
  readonly #backing: BlockDevice | undefined;
  readonly #decompressor: Decompressor;
  /** The compressed cluster unpacked last. */
  #unpacked: { offset: number; bytes: Uint8Array } | undefined;

  constructor(image: Qcow2Image, backing: BlockDevice | undefined, decompressor: Decompressor) {
    this.#image = image;
    this.#backing = backing;
    this.#decompressor = decompressor;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const pieces: Promise<void>[] = [];
    let run: { from: number; at: number; length: number } | undefined;
    const endRun = () => {
      if (run !== undefined)
        pieces.push(this.#readFile(run.from, into.subarray(run.at, run.at + run.length)));
      run = undefined;
    };
    for (const piece of piecesOf(offset, into.length, this.#image.clusterBytes)) {
      const entry = await this.#image.tables.entry(piece.cluster);
      const from = entry.offset + piece.within;
      if (isStored(entry) && run !== undefined && run.from + run.length === from) {
        run.length += piece.length;
        continue;
      }
      endRun();
      if (isStored(entry)) run = { from, at: piece.at, length: piece.length };
      else pieces.push(this.#readElsewhere(entry, piece, into.subarray(piece.at, piece.at + piece.length)));
    }
    endRun();
    await Promise.all(pieces);
  }

  /** Reads all of a guest's cluster that is stored as `entry` says. */
  async readCluster(cluster: number, entry: Entry, into: Uint8Array): Promise<void> {
    const whole = { cluster, within: 0, at: 0, length: this.#image.clusterBytes };
    if (isStored(entry)) await this.#readFile(entry.offset, into);
    else await this.#readElsewhere(entry, whole, into);
  }

  /** Nothing need be read to know that there are only zeroes. */
  readsAsZero(entry: Entry): boolean {
    return entry.zero || (!isStored(entry) && entry.compressed === undefined && this.#backing === undefined);
  }

  /** The place of a compressed cluster is given up. */
  forgetUnpacked(): void {
    this.#unpacked = undefined;
  }

  async #readFile(from: number, into: Uint8Array): Promise<void> {
    this.#image.checkInFile(from, into.length);
    into.fill(0, await this.#image.store.read(from, into));
  }

  async #readElsewhere(entry: Entry, piece: Piece, into: Uint8Array): Promise<void> {
    if (entry.compressed !== undefined) {
      const bytes = await this.#unpack(entry.compressed);
      into.set(bytes.subarray(piece.within, piece.within + piece.length));
    } else if (entry.zero) into.fill(0);
    else await this.#readBacking(piece.cluster * this.#image.clusterBytes + piece.within, into);
  }

  /** The image below may be shorter; behind its end are zeroes. */
  async #readBacking(offset: number, into: Uint8Array): Promise<void> {
    const backing = this.#backing;
    const length = backing === undefined ? 0 : Math.max(0, Math.min(into.length, backing.sizeBytes - offset));
    if (backing !== undefined && length > 0) await backing.read(offset, into.subarray(0, length));
    into.fill(0, length);
  }

  async #unpack({ offset, length }: { offset: number; length: number }): Promise<Uint8Array> {
    if (this.#unpacked?.offset === offset) return this.#unpacked.bytes;
    const { clusterBytes, header, store } = this.#image;
    this.#image.checkInFile(offset, 1);
    const packed = new Uint8Array(Math.min(length, 2 * clusterBytes + SECTOR_BYTES));
    const got = await store.read(offset, packed);
    const stream = packed.subarray(0, got);
    const bytes = await decompressCluster(stream, header.compression, clusterBytes, this.#decompressor);
    this.#unpacked = { offset, bytes };
    return bytes;
  }
}

/** The cluster's bytes lie in the file as they are. */
function isStored(entry: Entry): boolean {
  return entry.compressed === undefined && !entry.zero && entry.offset !== 0;
}
