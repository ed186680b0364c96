import type { BlockDevice } from "../../src/host/block-device.ts";

/** A seeded generator of numbers, for runs that can be repeated. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 .. limit - 1 */
  below(limit: number): number {
    // Mulberry32.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}

const SECTOR = 512;

/**
 * What a disk may hold: of each sector the value that was flushed last and
 * those written since. A sector's value is a number that fills it; 0 is zeroes.
 */
export class DiskModel {
  readonly sectors: number;
  readonly #written: number[];
  /** What each sector may hold when the process is killed now. */
  readonly #possible: Set<number>[];
  #next = 1;

  constructor(sizeBytes: number, content: (sector: number) => number = () => 0) {
    this.sectors = sizeBytes / SECTOR;
    this.#written = Array.from({ length: this.sectors }, (_, sector) => content(sector));
    this.#possible = this.#written.map((value) => new Set([value]));
  }

  /** Does one random thing to a disk, and checks what it reads. */
  async step(disk: BlockDevice, dice: Dice): Promise<void> {
    const sector = dice.below(this.sectors);
    const most = dice.below(4) === 0 ? 600 : 20;
    const count = Math.min(1 + dice.below(most), this.sectors - sector);
    switch (dice.below(12)) {
      case 0:
        return this.flush(disk);
      case 1:
        return this.zero(disk, sector, count);
      case 2:
        return this.discard(disk, sector, count);
      case 3:
      case 4:
      case 5:
        return this.check(disk, sector, count);
      default:
        return this.write(disk, sector, count);
    }
  }

  /** Like `step`, when it is not known how much of it was done: flushes promise nothing. */
  async stepUnfinished(disk: BlockDevice, dice: Dice): Promise<void> {
    const before = this.#possible.map((values) => new Set(values));
    await this.step(disk, dice);
    for (const [sector, values] of before.entries())
      for (const value of values) this.#possible[sector]?.add(value);
  }

  async write(disk: BlockDevice, sector: number, count: number): Promise<void> {
    const value = this.#next++;
    this.#mayBecome(sector, count, value);
    await disk.write(sector * SECTOR, filled(value, count));
    this.#written.fill(value, sector, sector + count);
  }

  async zero(disk: BlockDevice, sector: number, count: number): Promise<void> {
    this.#mayBecome(sector, count, 0);
    await disk.writeZeroes(sector * SECTOR, count * SECTOR, true);
    this.#written.fill(0, sector, sector + count);
  }

  /** Afterwards what was discarded is written, so that its value is known. */
  async discard(disk: BlockDevice, sector: number, count: number): Promise<void> {
    this.#mayBecome(sector, count, 0);
    await disk.discard(sector * SECTOR, count * SECTOR);
    await this.write(disk, sector, count);
  }

  async flush(disk: BlockDevice): Promise<void> {
    const flushed = [...this.#written];
    await disk.flush();
    for (const [sector, value] of flushed.entries()) this.#possible[sector] = new Set([value]);
  }

  /** Throws when the disk reads as anything else than what was written. */
  async check(disk: BlockDevice, sector = 0, count = this.sectors): Promise<void> {
    const bytes = new Uint8Array(count * SECTOR);
    await disk.read(sector * SECTOR, bytes);
    for (let index = 0; index < count; index++) {
      const found = fillOf(bytes, index);
      const wanted = this.#written[sector + index];
      if (found !== wanted) throw new Error(`sector ${sector + index} holds ${found}, not ${wanted}`);
    }
  }

  /** Throws when the disk of a process that was killed lacks what was flushed. */
  async checkAfterKill(disk: BlockDevice): Promise<void> {
    const bytes = new Uint8Array(this.sectors * SECTOR);
    await disk.read(0, bytes);
    for (let sector = 0; sector < this.sectors; sector++) {
      const found = fillOf(bytes, sector);
      const possible = this.#possible[sector] ?? new Set();
      if (!possible.has(found))
        throw new Error(`sector ${sector} holds ${found}, not one of ${[...possible].join(", ")}`);
    }
  }

  #mayBecome(sector: number, count: number, value: number): void {
    for (let index = sector; index < sector + count; index++) this.#possible[index]?.add(value);
  }
}

function filled(value: number, sectors: number): Uint8Array {
  return new Uint8Array(new Uint32Array((sectors * SECTOR) / 4).fill(value).buffer);
}

/** The number that fills a sector; NaN when several do. */
function fillOf(bytes: Uint8Array, sector: number): number {
  const words = new Uint32Array(bytes.buffer, sector * SECTOR, SECTOR / 4);
  const first = words[0] ?? Number.NaN;
  return words.every((word) => word === first) ? first : Number.NaN;
}
