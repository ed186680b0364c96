import type { BootPlan, MemoryImage } from "../../boot/boot-plan.ts";
import type { RestoredCode } from "../../cpu/saved-code.ts";
import { isLayered } from "../../host/block-device.ts";
import type { SnapshotFile, SnapshotHost } from "../../host/snapshot-host.ts";
import { PAGE_BYTES } from "../../layout/memory-map.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { AbsentPages } from "../../memory/absent-pages.ts";
import type { Machine } from "../machine.ts";
import type { MachineState } from "../machine-state.ts";
import { checkHead } from "./check-head.ts";
import { diskRanges } from "./disk-blocks.ts";
import {
  type Chunk,
  checksumOf,
  decodePreamble,
  FORMAT_VERSION,
  type MachineConfiguration,
  type MemoryChunk,
  PREAMBLE_BYTES,
  pagesOf,
  runsOf,
  type SavedBytes,
  type SnapshotHead,
} from "./format.ts";
import type { GuestPages } from "./guest-pages.ts";
import { PackedPages } from "./packed-pages.ts";
import { decodePlainData, toHex } from "./plain-data.ts";

/** Chunks that are read and unpacked at once. */
const PIPELINE_DEPTH = 5;
/** Differential snapshots of differential snapshots, and so on. */
const MOST_PARENTS = 64;
/** Packed chunks that lie beside each other are read as one up to this. */
const READ_AT_ONCE = 4 << 20;

/**
 * Opens a snapshot and, for a differential one, those it builds on. Everything but the chunks has been checked then.
 *
 * @throws {VmError} `file-not-found`, `file-unreadable`, `snapshot-foreign`, `snapshot-truncated`, `snapshot-damaged`,
 *   `snapshot-too-new`, `snapshot-parent-missing`.
 */
export async function openSnapshot(host: SnapshotHost, path: string): Promise<Snapshot> {
  const layers: Layer[] = [];
  try {
    let layer = await openLayer(host, path);
    layers.push(layer);
    while (layer.head.parent !== null) {
      if (layers.length > MOST_PARENTS) {
        throw new VmError({ code: "snapshot-damaged", path, where: "its chain of parents is too long" });
      }
      layer = await openParent(host, layer);
      layers.push(layer);
    }
    return new Snapshot(host, layers);
  } catch (error) {
    await Promise.all(layers.map(({ file }) => file.close()));
    throw error;
  }
}

/** How a page of memory compares with a snapshot; `absent`: the snapshot has it as zero. */
export const PageComparison = { absent: 0, same: 1, differs: 2 } as const;

interface Layer {
  readonly file: SnapshotFile;
  readonly head: SnapshotHead;
  readonly checksum: string;
}

/** A snapshot that has been opened. Chunks are read, and checked, when they are needed. */
export class Snapshot {
  readonly #host: SnapshotHost;
  /** From the snapshot itself to the one that builds on no other. */
  readonly #layers: readonly Layer[];
  readonly #own: Layer;

  constructor(host: SnapshotHost, layers: readonly Layer[]) {
    this.#host = host;
    this.#layers = layers;
    this.#own = layers[0]!;
  }

  get path(): string {
    return this.#own.file.path;
  }

  /** SHA-256 as hexadecimal digits. */
  get checksum(): string {
    return this.#own.checksum;
  }

  get configuration(): MachineConfiguration {
    return this.#own.head.configuration;
  }

  /** For one machine only: it goes on with this very object. */
  get state(): MachineState {
    return this.#own.head.state;
  }

  /**
   * Reads and checks guest memory, whose pages must all be zero. What is packed stays so until it is needed: until this
   * resolves nobody may ask for it.
   * @throws {VmError} `snapshot-damaged`, `file-unreadable`.
   */
  async loadMemory(pages: GuestPages, absent: AbsentPages): Promise<void> {
    const packed = new PackedPages(pages, absent);
    const reads: Promise<void>[] = [];
    for (const { file, head } of this.#layers.toReversed()) {
      await Promise.all(reads.splice(0));
      packed.forget(head.zeroPages);
      for (const page of pagesOf(head.zeroPages)) pages.clear(page);
      const isPlain = ({ codec }: Chunk) => codec === "none";
      const plain = head.memory.filter(isPlain);
      for (const chunk of plain) packed.forget(chunk.pages);
      const rest = head.memory.filter((chunk) => !isPlain(chunk));
      const numbers = new Map(rest.map((chunk) => [chunk, packed.expect(chunk)]));
      reads.push(
        this.#eachOf(plain, (chunk) => this.#readPages(file, chunk, pages)),
        this.#readPacked(file, rest, (chunk, bytes) => {
          const unpack = () => this.#unpack(file, chunk, bytes);
          packed.take(numbers.get(chunk)!, { chunk, unpack });
        }),
      );
    }
    await Promise.all(reads);
    packed.ready();
  }

  /** Reads chunks, many at a time, and checks them. */
  async #readPacked<Any extends Chunk>(
    file: SnapshotFile,
    chunks: readonly Any[],
    take: (chunk: Any, packed: Uint8Array) => void | Promise<void>,
  ): Promise<void> {
    await this.#eachOf(adjacentChunks(chunks), async (group) => {
      const from = group[0]!.at;
      const bytes = new Uint8Array(endOf(group.at(-1)!) - from);
      await file.read(from, bytes);
      for (const chunk of group) {
        const packed = bytes.subarray(chunk.at - from, endOf(chunk) - from);
        this.#checkPacked(file, chunk, packed);
        await take(chunk, packed);
      }
    });
  }

  /** Reads pages that are not packed to where they belong. */
  async #readPages(file: SnapshotFile, chunk: MemoryChunk, pages: GuestPages): Promise<void> {
    const targets = [...runsOf(chunk.pages)].map(({ first, count }) => pages.view(first, count));
    await file.readInto(chunk.at, targets);
    const crc32 = targets.reduce((crc, target) => this.#host.crc32(target, crc), 0);
    if (crc32 !== chunk.crc32) throw damagedChunk(file, chunk);
  }

  /**
   * Decoded code of the machine that was saved, or of one that it went on from; undefined where there is none.
   * @throws {VmError} `snapshot-damaged`, `file-unreadable`.
   */
  async loadCode(): Promise<RestoredCode | undefined> {
    const index = this.#layers.findIndex(({ head }) => head.code !== null);
    if (index < 0) return undefined;
    const { file, head } = this.#layers[index]!;
    const { key, inlineShapes, nextHandler, groups, ...sections } = head.code!;
    const { shapes, runModule, handlerModule, pages } = sections;
    const pieces = [shapes, runModule, handlerModule, pages].flatMap((section) => section.pieces);
    const packed = new Map<Chunk, Uint8Array>();
    await this.#readPacked(file, [...pieces, ...groups], (chunk, bytes) => {
      packed.set(chunk, bytes);
    });
    const unpack = (chunk: Chunk) => this.#unpack(file, chunk, packed.get(chunk)!);
    const load = (section: SavedBytes) => joined(section.pieces.map(unpack));
    const changedPages = new Set<number>();
    for (const { head: later } of this.#layers.slice(0, index)) {
      for (const { pages } of later.memory) for (const page of pagesOf(pages)) changedPages.add(page);
      for (const page of pagesOf(later.zeroPages)) changedPages.add(page);
    }
    return {
      ...{ key, inlineShapes, nextHandler, changedPages },
      shapes: new Int32Array(load(shapes).buffer),
      pages: new Int32Array(load(pages).buffer),
      runModule: load(runModule),
      handlerModule: load(handlerModule),
      groups: groups.map((chunk) => ({ sizeBytes: chunk.sizeBytes, unpack: () => unpack(chunk) })),
    };
  }

  /** Names of the machine's virtio devices, in the order of their slots. */
  get deviceNames(): readonly string[] {
    return this.#own.head.state.board.virtio.map(({ name }) => String(name));
  }

  /**
   * Puts what the machine had written onto disks that show their files as they are.
   * @throws {VmError} `snapshot-disk-changed`, `snapshot-damaged`, `file-unreadable`. @throws {DiskError}
   */
  async loadDisks(disks: Machine["disks"]): Promise<void> {
    const { file, head } = this.#own;
    for (const [index, saved] of head.disks.entries()) {
      const { serial, disk } = disks[index] ?? {};
      const refuse = (reason: string): never => {
        throw new VmError({ code: "snapshot-disk-changed", disk: serial ?? saved.serial, reason });
      };
      if (disk === undefined || disk.sizeBytes !== saved.sizeBytes) return refuse("it is another disk");
      if (!isLayered(disk)) return refuse("it would be written in place: give it as --disk FILE,snapshot");
      if (disk.below !== saved.below) return refuse("its file has another name or was written since");
      await this.#eachChunk(file, saved.blocks, async (chunk, bytes) => {
        for (const { offset, at, length } of diskRanges(chunk.pages, saved.sizeBytes))
          await disk.write(offset, bytes.subarray(at, at + length));
      });
    }
  }

  /** Compares memory with the snapshot's: a PageComparison for each page. */
  async compareMemory(pages: GuestPages): Promise<Uint8Array> {
    const result = new Uint8Array(pages.count);
    const decided = new Uint8Array(pages.count);
    const { same, differs } = PageComparison;
    for (const { file, head } of this.#layers) {
      await this.#eachChunk(file, head.memory, (chunk, bytes) => {
        const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
        const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
        let at = 0;
        for (const page of pagesOf(chunk.pages)) {
          if (decided[page] === 0) result[page] = pages.equals(page, words, at) ? same : differs;
          decided[page] = 1;
          at += PAGE_BYTES;
        }
      });
      for (const page of pagesOf(head.zeroPages)) decided[page] = 1;
    }
    return result;
  }

  /**
   * What a reset starts; undefined when it was not known to the machine that was saved. Reads at once.
   * @throws {VmError} `snapshot-damaged`, `file-unreadable`.
   */
  readBootPlan(): BootPlan | undefined {
    const { file, head } = this.#layers.at(-1)!;
    if (head.bootPlan === null) return undefined;
    const memory = head.bootPlan.images.map(({ address, sizeBytes, pieces }): MemoryImage => {
      const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0));
      let at = 0;
      for (const piece of pieces) {
        bytes.set(this.#readNow(file, piece), at);
        at += piece.sizeBytes;
      }
      return { address, sizeBytes, bytes };
    });
    return { ...(head.bootPlan.rest as Omit<BootPlan, "memory">), memory };
  }

  async close(): Promise<void> {
    await Promise.all(this.#layers.map(({ file }) => file.close()));
  }

  /** Reads and unpacks chunks, in any order. */
  #eachChunk(
    file: SnapshotFile,
    chunks: readonly MemoryChunk[],
    use: (chunk: MemoryChunk, bytes: Uint8Array) => void | Promise<void>,
  ): Promise<void> {
    return this.#readPacked(file, chunks, (chunk, bytes) => use(chunk, this.#unpack(file, chunk, bytes)));
  }

  async #eachOf<Item>(items: readonly Item[], take: (item: Item) => Promise<void>): Promise<void> {
    const rest = items.values();
    const worker = async () => {
      for (const item of rest) await take(item);
    };
    await Promise.all(Array.from({ length: PIPELINE_DEPTH }, worker));
  }

  #readNow(file: SnapshotFile, chunk: Chunk): Uint8Array {
    const packed = new Uint8Array(chunk.packedBytes);
    file.readNow(chunk.at, packed);
    this.#checkPacked(file, chunk, packed);
    return this.#unpack(file, chunk, packed);
  }

  #unpack(file: SnapshotFile, chunk: Chunk, packed: Uint8Array): Uint8Array {
    try {
      return this.#host.unpack({ codec: chunk.codec, bytes: packed }, chunk.sizeBytes);
    } catch (cause) {
      throw damagedChunk(file, chunk, cause);
    }
  }

  #checkPacked(file: SnapshotFile, chunk: Chunk, packed: Uint8Array): void {
    if (this.#host.crc32(packed) !== chunk.crc32) throw damagedChunk(file, chunk);
  }
}

/** Chunks in groups that are read as one. */
function adjacentChunks<Any extends Chunk>(chunks: readonly Any[]): Any[][] {
  const groups: Any[][] = [];
  for (const chunk of chunks) {
    const group = groups.at(-1);
    const isNext = group !== undefined && endOf(group.at(-1)!) === chunk.at;
    if (isNext && endOf(chunk) - group[0]!.at <= READ_AT_ONCE) group.push(chunk);
    else groups.push([chunk]);
  }
  return groups;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function endOf({ at, packedBytes }: Chunk): number {
  return at + packedBytes;
}

function damagedChunk(file: SnapshotFile, chunk: Chunk, cause?: unknown): VmError {
  const where = `bytes ${chunk.at} to ${chunk.at + chunk.packedBytes - 1}`;
  return new VmError({ code: "snapshot-damaged", path: file.path, where }, { cause });
}

async function openLayer(host: SnapshotHost, path: string): Promise<Layer> {
  const file = await host.open(path);
  try {
    return { file, ...(await readHead(host, file)) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHead(host: SnapshotHost, file: SnapshotFile): Promise<Omit<Layer, "file">> {
  const { path } = file;
  if (file.sizeBytes < PREAMBLE_BYTES) {
    throw new VmError({ code: "snapshot-foreign", path, reason: "it is too short" });
  }
  const start = new Uint8Array(PREAMBLE_BYTES);
  await file.read(0, start);
  const preamble = decodePreamble(path, start, file.sizeBytes);
  const headBytes = new Uint8Array(preamble.headBytes);
  await file.read(preamble.headAt, headBytes);
  const checksum = toHex(checksumOf(start, headBytes, (bytes) => host.sha256(bytes)));
  if (checksum !== toHex(preamble.checksum)) {
    throw new VmError({ code: "snapshot-damaged", path, where: "its head" });
  }
  if (preamble.version !== FORMAT_VERSION) {
    const { version } = preamble;
    throw new VmError({ code: "snapshot-too-new", path, version, newestKnown: FORMAT_VERSION });
  }
  try {
    const head = decodePlainData(new TextDecoder("utf-8", { fatal: true }).decode(headBytes));
    return { head: checkHead(head, path, preamble.headAt), checksum };
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw new VmError({ code: "snapshot-foreign", path, reason: "its head cannot be read" }, { cause });
  }
}

async function openParent(host: SnapshotHost, child: Layer): Promise<Layer> {
  const { path } = child.file;
  const { name, checksum } = child.head.parent!;
  const missing = (reason: string, cause?: unknown) =>
    new VmError({ code: "snapshot-parent-missing", path, parent: name, reason }, { cause });
  let parent: Layer;
  try {
    parent = await openLayer(host, host.beside(path, name));
  } catch (cause) {
    if (cause instanceof VmError && cause.detail.code === "file-not-found") {
      throw missing("that file is not there", cause);
    }
    throw cause;
  }
  if (parent.checksum === checksum) return parent;
  await parent.file.close();
  throw missing("the file of that name is another snapshot");
}
