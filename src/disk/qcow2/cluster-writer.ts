import type { ClusterReader } from "./cluster-reader.ts";
import type { Entry } from "./entry.ts";
import type { Qcow2Image } from "./image.ts";
import { type Piece, piecesOf } from "./pieces.ts";

/** A piece of a request, and how its cluster is stored so far. */
interface Target {
  readonly piece: Piece;
  readonly entry: Entry;
}

/** Writes a guest's clusters, and gives those a place that have none of their own. */
export class ClusterWriter {
  readonly #image: Qcow2Image;
  readonly #reader: ClusterReader;
  readonly #hasBacking: boolean;

  constructor(image: Qcow2Image, reader: ClusterReader, hasBacking: boolean) {
    this.#image = image;
    this.#reader = reader;
    this.#hasBacking = hasBacking;
  }

  /** Writes where every cluster has its own place already; false, and nothing is done, where one has not. */
  async writeInPlace(offset: number, bytes: Uint8Array): Promise<boolean> {
    const { clusterBytes, store, tables } = this.#image;
    const runs: { to: number; at: number; length: number }[] = [];
    for (const piece of piecesOf(offset, bytes.length, clusterBytes)) {
      const entry = await tables.entry(piece.cluster);
      if (!isOwn(entry)) return false;
      const to = entry.offset + piece.within;
      const last = runs.at(-1);
      if (last !== undefined && last.to + last.length === to) last.length += piece.length;
      else runs.push({ to, at: piece.at, length: piece.length });
    }
    for (const { to, length } of runs) this.#image.checkInFile(to, length);
    await Promise.all(runs.map(({ to, at, length }) => store.write(to, bytes.subarray(at, at + length))));
    return true;
  }

  /** Writes anywhere. Nobody else may use the image meanwhile. */
  async writeAllocating(offset: number, bytes: Uint8Array): Promise<void> {
    const { clusterBytes, tables } = this.#image;
    await this.#image.setDirty(true);
    const pieces = [...piecesOf(offset, bytes.length, clusterBytes)];
    for (let index = 0; index < pieces.length; ) {
      const group: Target[] = [];
      for (const piece of pieces.slice(index)) {
        const entry = await tables.entry(piece.cluster);
        if (isOwn(entry)) break;
        group.push({ piece, entry });
      }
      if (group.length > 0) index += await this.#writeNew(group, bytes);
      else {
        const piece = pieces[index++];
        if (piece === undefined) break;
        const part = bytes.subarray(piece.at, piece.at + piece.length);
        await this.writeInPlace(piece.cluster * clusterBytes + piece.within, part);
      }
    }
    if (tables.isCrowded) await this.#image.writeTables();
  }

  /** Whole clusters of the range give up their room and read as zeroes from then on. Nobody else may use the image meanwhile. */
  async unmap(firstCluster: number, endCluster: number): Promise<void> {
    const { tables } = this.#image;
    await this.#image.setDirty(true);
    for (let cluster = firstCluster; cluster < endCluster; cluster++) {
      const entry = await tables.entry(cluster);
      const empty = entry.offset === 0 && entry.compressed === undefined && (entry.zero || !this.#hasBacking);
      if (empty) cluster = this.#lastEmpty(cluster, endCluster);
      else {
        await tables.setEntry(cluster, 0, this.#hasBacking);
        this.#free(entry);
      }
    }
    if (tables.isCrowded) await this.#image.writeTables();
  }

  /** Gives the first clusters of a group a place in a row, and writes them; returns how many. */
  async #writeNew(group: readonly Target[], bytes: Uint8Array): Promise<number> {
    const { clusterBytes, refcounts, store, tables } = this.#image;
    const { offset: place, clusters, fresh } = refcounts.allocateRun(group.length);
    const targets = group.slice(0, clusters);
    try {
      await this.#image.growFile(place + clusters * clusterBytes);
      const first = targets[0]?.piece;
      const last = targets.at(-1)?.piece;
      const start = first?.within ?? 0;
      const end = (clusters - 1) * clusterBytes + (last === undefined ? 0 : last.within + last.length);
      const data = bytes.subarray(first?.at ?? 0, (first?.at ?? 0) + end - start);
      const whole = start === 0 && end === clusters * clusterBytes;
      const zeroAround = fresh && targets.every(({ entry }) => this.#reader.readsAsZero(entry));
      if (whole || zeroAround) await store.write(place + start, data);
      else await store.write(place, await this.#surround(targets, start, end, data));
    } catch (error) {
      refcounts.giveBack(place, clusters);
      throw error;
    }
    for (const [index, { piece, entry }] of targets.entries()) {
      await tables.setEntry(piece.cluster, place + index * clusterBytes);
      this.#free(entry);
    }
    return clusters;
  }

  /** Whole clusters around `data`: what was in the first before it and in the last behind it. */
  async #surround(
    targets: readonly Target[],
    start: number,
    end: number,
    data: Uint8Array,
  ): Promise<Uint8Array> {
    const { clusterBytes } = this.#image;
    const whole = new Uint8Array(targets.length * clusterBytes);
    const readOld = async (index: number) => {
      const target = targets[index];
      if (target === undefined) return;
      const into = whole.subarray(index * clusterBytes, (index + 1) * clusterBytes);
      await this.#reader.readCluster(target.piece.cluster, target.entry, into);
    };
    if (start > 0) await readOld(0);
    if (end < whole.length && !(start > 0 && targets.length === 1)) await readOld(targets.length - 1);
    whole.set(data, start);
    return whole;
  }

  /** The last of the clusters from `cluster` on that are known to be empty: all under an L2 table that is not there. */
  #lastEmpty(cluster: number, endCluster: number): number {
    const { entriesPerL2 } = this.#image.tables;
    const index = Math.floor(cluster / entriesPerL2);
    const noTable = this.#image.tables.l1Entry(index).offset === 0;
    return noTable && !this.#hasBacking ? Math.min((index + 1) * entriesPerL2, endCluster) - 1 : cluster;
  }

  #free(entry: Entry): void {
    const { clusterBytes, refcounts } = this.#image;
    if (entry.compressed !== undefined) {
      const { offset, length } = entry.compressed;
      const first = Math.floor(offset / clusterBytes);
      const last = Math.floor((offset + length - 1) / clusterBytes);
      refcounts.freeLater(first * clusterBytes, last - first + 1);
      this.#reader.forgetUnpacked();
    } else if (entry.offset !== 0) refcounts.freeLater(entry.offset);
  }
}

/** The cluster has a place that nothing else names, and that counts. */
function isOwn(entry: Entry): boolean {
  return entry.offset !== 0 && entry.copied && !entry.zero;
}
