import { DiskError } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import { type Entry, readEntry, setCopied, writeEntry } from "./entry.ts";
import type { Qcow2Header } from "./header.ts";
import type { Refcounts } from "./refcounts.ts";

/** L2 tables held in memory, at most: more than this, and those not changed are dropped. */
const MOST_L2_BYTES = 32 << 20;

interface L2Table {
  readonly offset: number;
  readonly view: DataView;
}

/**
 * The two levels of tables that lead from a guest's cluster to one of the
 * file. Changes stay in memory until `writeL2` and `writeL1`.
 */
export class Tables {
  readonly entriesPerL2: number;
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #refcounts: Refcounts;
  readonly #clusterBytes: number;
  readonly #fileBytes: () => number;
  #l1 = new DataView(new ArrayBuffer(0));
  readonly #dirtyL1 = new Set<number>();
  readonly #l2 = new Map<number, Promise<L2Table>>();
  readonly #dirtyL2 = new Set<L2Table>();

  constructor(store: ByteStore, header: Qcow2Header, refcounts: Refcounts, fileBytes: () => number) {
    this.#store = store;
    this.#header = header;
    this.#refcounts = refcounts;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.entriesPerL2 = this.#clusterBytes / 8;
    this.#fileBytes = fileBytes;
  }

  async load(): Promise<void> {
    const bytes = new Uint8Array(this.#header.l1Entries * 8);
    await this.#store.read(this.#header.l1Offset, bytes);
    this.#l1 = new DataView(bytes.buffer);
  }

  /** What L1 entry `index` names. */
  l1Entry(index: number): Entry {
    return readEntry(this.#l1, index, this.#header.clusterBits);
  }

  /** The table that L1 entry `index` names; undefined where there is none. */
  async l2(index: number): Promise<DataView | undefined> {
    const entry = this.l1Entry(index);
    return entry.offset === 0 ? undefined : (await this.l2At(entry.offset)).view;
  }

  /** @throws {DiskError} for a table that is not in the file. */
  l2At(offset: number): Promise<L2Table> {
    const known = this.#l2.get(offset);
    if (known !== undefined) {
      // The table used last stands last.
      this.#l2.delete(offset);
      this.#l2.set(offset, known);
      return known;
    }
    const loading = this.#loadL2(offset);
    this.#l2.set(offset, loading);
    loading.catch(() => this.#l2.delete(offset));
    this.#dropUnused();
    return loading;
  }

  /** What a guest's cluster is stored as. */
  async entry(cluster: number): Promise<Entry> {
    const view = await this.l2(Math.floor(cluster / this.entriesPerL2));
    if (view === undefined) return readEntry(EMPTY, 0, this.#header.clusterBits);
    return readEntry(view, cluster % this.entriesPerL2, this.#header.clusterBits);
  }

  /** Makes a guest's cluster name `offset`, which is its own. The L2 table may be made or copied first. */
  async setEntry(cluster: number, offset: number, zero = false): Promise<void> {
    const table = await this.#writableL2(Math.floor(cluster / this.entriesPerL2));
    writeEntry(table.view, cluster % this.entriesPerL2, offset, { zero });
  }

  /** Sets the flags that say whether refcounts are one, in the active tables, by `refcountOf` an offset. */
  async updateCopiedFlags(refcountOf: (offset: number) => number): Promise<void> {
    for (let index = 0; index < this.#header.l1Entries; index++) {
      const entry = this.l1Entry(index);
      if (entry.offset === 0) continue;
      const copied = refcountOf(entry.offset) === 1;
      if (copied !== entry.copied) {
        setCopied(this.#l1, index, copied);
        this.#dirtyL1.add(index);
      }
      const table = await this.l2At(entry.offset);
      for (let within = 0; within < this.entriesPerL2; within++) {
        const inner = readEntry(table.view, within, this.#header.clusterBits);
        if (inner.offset === 0) continue;
        const own = refcountOf(inner.offset) === 1;
        if (own === inner.copied) continue;
        setCopied(table.view, within, own);
        this.#markDirty(table);
      }
    }
  }

  get isDirty(): boolean {
    return this.#dirtyL1.size > 0 || this.#dirtyL2.size > 0;
  }

  get isL1Dirty(): boolean {
    return this.#dirtyL1.size > 0;
  }

  /** More tables have changed than should stay in memory. */
  get isCrowded(): boolean {
    return this.#dirtyL2.size * this.#clusterBytes > MOST_L2_BYTES / 2;
  }

  async writeL2(): Promise<void> {
    for (const table of [...this.#dirtyL2]) {
      await this.#store.write(table.offset, new Uint8Array(table.view.buffer));
      this.#dirtyL2.delete(table);
    }
  }

  /** What L1 entries name must be in the file before. */
  async writeL1(): Promise<void> {
    for (const index of [...this.#dirtyL1]) {
      const bytes = new Uint8Array(this.#l1.buffer, index * 8, 8);
      await this.#store.write(this.#header.l1Offset + index * 8, bytes);
      this.#dirtyL1.delete(index);
    }
  }

  /** Takes a longer L1 table, whose entries are those of the old one and zeroes behind; the header has its place. */
  replaceL1(entries: number): Uint8Array {
    const bytes = new Uint8Array(entries * 8);
    bytes.set(new Uint8Array(this.#l1.buffer));
    this.#l1 = new DataView(bytes.buffer);
    return bytes;
  }

  async #loadL2(offset: number): Promise<L2Table> {
    if (offset % this.#clusterBytes !== 0 || offset + this.#clusterBytes > this.#fileBytes())
      throw new DiskError(`${this.#store.name}: the L2 table at ${offset} is not in the file`);
    const bytes = new Uint8Array(this.#clusterBytes);
    await this.#store.read(offset, bytes);
    return { offset, view: new DataView(bytes.buffer) };
  }

  async #writableL2(index: number): Promise<L2Table> {
    const entry = this.l1Entry(index);
    if (entry.offset !== 0 && entry.copied) {
      const table = await this.l2At(entry.offset);
      this.#markDirty(table);
      return table;
    }
    const old = entry.offset === 0 ? undefined : await this.l2At(entry.offset);
    const offset = this.#refcounts.allocate(1);
    const bytes = new Uint8Array(this.#clusterBytes);
    if (old !== undefined) bytes.set(new Uint8Array(old.view.buffer));
    const table = { offset, view: new DataView(bytes.buffer) };
    this.#l2.set(offset, Promise.resolve(table));
    this.#dirtyL2.add(table);
    writeEntry(this.#l1, index, offset);
    this.#dirtyL1.add(index);
    if (old !== undefined) this.#refcounts.freeLater(old.offset);
    return table;
  }

  #markDirty(table: L2Table): void {
    this.#dirtyL2.add(table);
    // It may have been dropped between its being found and its change.
    this.#l2.set(table.offset, Promise.resolve(table));
  }

  #dropUnused(): void {
    if (this.#l2.size * this.#clusterBytes <= MOST_L2_BYTES) return;
    const dirty = new Set([...this.#dirtyL2].map((table) => table.offset));
    for (const offset of this.#l2.keys()) {
      if (dirty.has(offset)) continue;
      this.#l2.delete(offset);
      return;
    }
  }
}

const EMPTY = new DataView(new ArrayBuffer(8));
