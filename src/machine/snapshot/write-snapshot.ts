import type { BootPlan } from "../../boot/boot-plan.ts";
import type { SavedCode } from "../../cpu/saved-code.ts";
import { isLayered, LAYER_BLOCK_BYTES, type LayeredDisk } from "../../host/block-device.ts";
import type { SnapshotHost, SnapshotSink } from "../../host/snapshot-host.ts";
import { PAGE_BYTES } from "../../layout/memory-map.ts";
import { VmError } from "../../layout/vm-error.ts";
import { recentPages } from "../../memory/recent-pages.ts";
import type { Machine } from "../machine.ts";
import { diskBytes, diskRanges } from "./disk-blocks.ts";
import {
  addPage,
  type Chunk,
  type CodeSection,
  encodePreamble,
  LARGEST_CHUNK_BYTES,
  type MachineConfiguration,
  type MemoryChunk,
  PREAMBLE_BYTES,
  type SavedBytes,
  type SavedDisk,
  type SavedImage,
  type SnapshotHead,
} from "./format.ts";
import { GuestPages } from "./guest-pages.ts";
import { encodePlainData, toHex } from "./plain-data.ts";
import { openSnapshot, PageComparison, type Snapshot } from "./read-snapshot.ts";

/** Chunks that are packed at once. */
const PIPELINE_DEPTH = 16;
/** Pages are unpacked so many at a time, when one of them is needed. */
const PACKED_CHUNK_PAGES = 32;
const PLAIN_CHUNK_PAGES = LARGEST_CHUNK_BYTES / PAGE_BYTES;
const CHUNK_BLOCKS = LARGEST_CHUNK_BYTES / LAYER_BLOCK_BYTES;

export interface SnapshotOptions {
  /** Path of a snapshot: only what has changed since then is saved. It must lie in the new one's folder. */
  readonly parentPath?: string | undefined;
  /** False: the file is larger and restored sooner. */
  readonly packed?: boolean | undefined;
}

/** What came of it. */
export interface SnapshotSummary {
  readonly fileBytes: number;
  readonly pages: number;
  /** SHA-256 as hexadecimal digits, by which a differential snapshot names this one. */
  readonly checksum: string;
}

/**
 * Writes a machine to a file, while it stands still; a machine that runs goes on afterwards as if nothing had happened.
 *
 * @throws {VmError} `file-unwritable`, `machine-ended`; with a parent all that reading one throws, and
 *   `snapshot-parent-missing` where the parent is a snapshot of a machine of another kind.
 */
export function saveSnapshot(
  machine: Machine,
  host: SnapshotHost,
  path: string,
  options: SnapshotOptions = {},
): Promise<SnapshotSummary> {
  return machine.whilePaused(async () => {
    if (machine.end !== undefined) throw new VmError({ code: "machine-ended" });
    checkSavable(machine);
    const parent =
      options.parentPath === undefined ? undefined : await openSnapshot(host, options.parentPath);
    const sink = await host.create(path);
    try {
      const writer = new SnapshotWriter(sink, host, options.packed ?? true);
      return await machine.whileDevicesStand(() => writer.write(machine, parent, path));
    } finally {
      await sink.abandon();
      await parent?.close();
    }
  });
}

function checkSavable(machine: Machine): void {
  const refuse = (reason: string): never => {
    throw new VmError({ code: "snapshot-unsupported", reason });
  };
  const device = machine.unsavableDevice;
  if (device !== undefined) refuse(`a machine with ${device} cannot be saved; start it without`);
  const inPlace = machine.disks.find(({ disk }) => !isLayered(disk));
  if (inPlace !== undefined)
    refuse(
      `${inPlace.serial} is written in place, so a snapshot would soon not fit it; start with --disk FILE,snapshot, or an image with --ephemeral`,
    );
}

class SnapshotWriter {
  readonly #sink: SnapshotSink;
  readonly #host: SnapshotHost;
  readonly #packed: boolean;
  #at = PREAMBLE_BYTES;

  constructor(sink: SnapshotSink, host: SnapshotHost, packed: boolean) {
    this.#sink = sink;
    this.#host = host;
    this.#packed = packed;
  }

  async write(machine: Machine, parent: Snapshot | undefined, path: string): Promise<SnapshotSummary> {
    const configuration = configurationOf(machine);
    if (parent !== undefined) this.#checkParent(parent, configuration, path);
    const pages = new GuestPages(machine.wasmMemory.buffer, machine.memory.sizeBytes);
    const state = machine.state;
    const code = parent === undefined ? machine.processor.saveCode() : undefined;
    machine.memory.bringInAll();
    await this.#sink.append(new Uint8Array(PREAMBLE_BYTES));
    const { changed, zero } = await changedPages(pages, parent);
    // What is needed at once is not worth unpacking.
    const recent = recentPages(machine.wasmMemory.buffer, pages.count);
    const plain = changed.filter((page) => recent.has(page));
    const rest = changed.filter((page) => !recent.has(page));
    const memory = [
      ...(await this.#writePages(pages, plain, false)),
      ...(await this.#writePages(pages, rest, this.#packed)),
    ];
    const plan = parent === undefined ? machine.bootPlan : undefined;
    const head: SnapshotHead = {
      madeBy: "ringfence",
      configuration,
      parent:
        parent === undefined ? null : { name: this.#host.nameOf(parent.path), checksum: parent.checksum },
      state,
      bootPlan: plan === undefined ? null : await this.#writeBootPlan(plan),
      disks: await this.#writeDisks(machine.disks),
      code: code === undefined ? null : await this.#writeCode(code),
      memory,
      zeroPages: zero,
    };
    const headBytes = new TextEncoder().encode(encodePlainData(head));
    await this.#sink.append(headBytes);
    const preamble = encodePreamble(this.#at, headBytes, (bytes) => this.#host.sha256(bytes));
    await this.#sink.rewriteStart(preamble);
    await this.#sink.finish();
    return {
      fileBytes: this.#at + headBytes.length,
      pages: changed.length,
      checksum: toHex(preamble.subarray(32)),
    };
  }

  #checkParent(parent: Snapshot, configuration: MachineConfiguration, path: string): void {
    const beside = this.#host.beside(path, this.#host.nameOf(parent.path));
    const reason =
      beside !== parent.path
        ? "it lies in another folder"
        : parent.configuration.ramBytes !== configuration.ramBytes
          ? "its machine has another amount of memory"
          : undefined;
    if (reason === undefined) return;
    throw new VmError({ code: "snapshot-parent-missing", path, parent: parent.path, reason });
  }

  async #writePages(pages: GuestPages, changed: readonly number[], packed: boolean): Promise<MemoryChunk[]> {
    const chunks: MemoryChunk[] = [];
    const groups: number[][] = [];
    const chunkPages = packed ? PACKED_CHUNK_PAGES : PLAIN_CHUNK_PAGES;
    for (let i = 0; i < changed.length; i += chunkPages) groups.push(changed.slice(i, i + chunkPages));
    const waiting: { pages: number[]; chunk: Promise<() => Promise<Chunk>> }[] = [];
    const writeFirst = async () => {
      const first = waiting.shift();
      if (first === undefined) return;
      chunks.push({ ...(await (await first.chunk)()), pages: first.pages });
    };
    for (const group of groups) {
      const bytes = new Uint8Array(group.length * PAGE_BYTES);
      const runs: number[] = [];
      for (const [index, page] of group.entries()) {
        pages.copyOut(page, bytes, index * PAGE_BYTES);
        addPage(runs, page);
      }
      waiting.push({ pages: runs, chunk: this.#pack(bytes, packed) });
      if (waiting.length === PIPELINE_DEPTH) await writeFirst();
    }
    while (waiting.length > 0) await writeFirst();
    return chunks;
  }

  async #writeDisks(disks: Machine["disks"]): Promise<SavedDisk[]> {
    const saved: SavedDisk[] = [];
    for (const { serial, disk } of disks) {
      if (!isLayered(disk)) continue;
      const { sizeBytes, below } = disk;
      saved.push({ serial, sizeBytes, below, blocks: await this.#writeBlocks(disk) });
    }
    return saved;
  }

  async #writeBlocks(disk: LayeredDisk): Promise<MemoryChunk[]> {
    const chunks: MemoryChunk[] = [];
    const changed = disk.changedBlocks;
    for (let i = 0; i < changed.length; i += CHUNK_BLOCKS) {
      const runs: number[] = [];
      for (const block of changed.slice(i, i + CHUNK_BLOCKS)) addPage(runs, block);
      const bytes = new Uint8Array(diskBytes(runs, disk.sizeBytes));
      for (const { offset, at, length } of diskRanges(runs, disk.sizeBytes))
        await disk.read(offset, bytes.subarray(at, at + length));
      const write = await this.#pack(bytes);
      chunks.push({ ...(await write()), pages: runs });
    }
    return chunks;
  }

  async #writeBootPlan(plan: BootPlan): Promise<SnapshotHead["bootPlan"]> {
    const { memory, ...rest } = plan;
    const images: SavedImage[] = [];
    for (const { address, bytes, sizeBytes = bytes.length } of memory)
      images.push({ address, ...(await this.#writeBytes(bytes)), sizeBytes });
    return { images, rest };
  }

  async #writeCode(code: SavedCode): Promise<CodeSection> {
    const { key, inlineShapes, nextHandler } = code;
    return {
      ...{ key, inlineShapes, nextHandler },
      shapes: await this.#writeBytes(bytesOf(code.shapes)),
      runModule: await this.#writeBytes(code.runModule),
      handlerModule: await this.#writeBytes(code.handlerModule),
      pages: await this.#writeBytes(bytesOf(code.pages)),
      groups: [
        ...(await this.#writeChunks(code.recentGroups, false)),
        ...(await this.#writeChunks(code.groups)),
      ],
    };
  }

  async #writeBytes(bytes: Uint8Array): Promise<SavedBytes> {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += LARGEST_CHUNK_BYTES)
      parts.push(bytes.slice(at, at + LARGEST_CHUNK_BYTES));
    return { sizeBytes: bytes.length, pieces: await this.#writeChunks(parts) };
  }

  async #writeChunks(parts: readonly Uint8Array[], packed = this.#packed): Promise<Chunk[]> {
    const chunks: Chunk[] = [];
    for (let i = 0; i < parts.length; i += PIPELINE_DEPTH) {
      const ready = parts.slice(i, i + PIPELINE_DEPTH).map((part) => this.#pack(part, packed));
      for (const write of await Promise.all(ready)) chunks.push(await write());
    }
    return chunks;
  }

  /** Packs at once; what it gives appends the chunk. */
  async #pack(bytes: Uint8Array, pack = this.#packed): Promise<() => Promise<Chunk>> {
    const packed = pack ? await this.#host.pack(bytes) : { codec: "none" as const, bytes };
    return async () => {
      const at = this.#at;
      this.#at += packed.bytes.length;
      await this.#sink.append(packed.bytes);
      return {
        at,
        packedBytes: packed.bytes.length,
        sizeBytes: bytes.length,
        codec: packed.codec,
        crc32: this.#host.crc32(packed.bytes),
      };
    };
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function configurationOf(machine: Machine): MachineConfiguration {
  return {
    ramBytes: machine.memory.sizeBytes,
    deterministic: machine.deterministic,
    debugExitPort: machine.debugExitPort ?? null,
    secondSerial: machine.hasSecondSerial,
  };
}

/** Pages to save, and those the parent has that are zero now. */
async function changedPages(
  pages: GuestPages,
  parent: Snapshot | undefined,
): Promise<{ changed: number[]; zero: number[] }> {
  const same = parent === undefined ? new Uint8Array(pages.count) : await parent.compareMemory(pages);
  const changed: number[] = [];
  const zero: number[] = [];
  for (let page = 0; page < pages.count; page++) {
    if (same[page] === PageComparison.same) continue;
    if (!pages.isZero(page)) changed.push(page);
    else if (same[page] === PageComparison.differs) addPage(zero, page);
  }
  return { changed, zero };
}
