import { MemoryStore } from "../../src/disk/memory-store.ts";
import type { ByteStore } from "../../src/host/byte-store.ts";

/** What a killed process's operations reject with. */
export class Killed extends Error {}

/** A file whose process is killed after some changes: the last one may be done in part, later ones not at all. */
export class KillableStore implements ByteStore {
  readonly name: string;
  readonly readOnly = false;
  readonly file: MemoryStore;
  /** Changes until the process is killed. */
  changesLeft = Number.POSITIVE_INFINITY;

  constructor(name: string) {
    this.name = name;
    this.file = new MemoryStore(name);
  }

  size(): Promise<number> {
    return this.file.size();
  }

  read(offset: number, into: Uint8Array): Promise<number> {
    if (this.changesLeft <= 0) throw new Killed();
    return this.file.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    // Small writes are done or not; of large ones, some sectors may be.
    if (this.#isLast())
      await this.file.write(offset, bytes.subarray(0, Math.floor(bytes.length / 1024) * 512));
    else await this.file.write(offset, bytes);
  }

  async sync(): Promise<void> {
    if (this.changesLeft <= 0) throw new Killed();
  }

  async truncate(sizeBytes: number): Promise<void> {
    if (!this.#isLast()) await this.file.truncate(sizeBytes);
  }

  async close(): Promise<void> {}

  #isLast(): boolean {
    if (this.changesLeft <= 0) throw new Killed();
    this.changesLeft--;
    if (this.changesLeft > 0) return false;
    return true;
  }
}
