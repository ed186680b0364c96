import type { BootPlan, MemoryImage } from "../../boot/boot-plan.ts";
import type { SnapshotFile, SnapshotHost } from "../../host/snapshot-host.ts";
import { PAGE_BYTES } from "../../layout/memory-map.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { MachineState } from "../machine-state.ts";
import { checkHead } from "./check-head.ts";
import {
  type Chunk,
  checksumOf,
  decodePreamble,
  FORMAT_VERSION,
  LARGEST_CHUNK_BYTES,
  type MachineConfiguration,
  type MemoryChunk,
  PREAMBLE_BYTES,
  pagesOf,
  type SnapshotHead,
} from "./format.ts";
import type { GuestPages } from "./guest-pages.ts";
import { decodePlainData, toHex } from "./plain-data.ts";

/** Chunks that are read and unpacked at once. */
const PIPELINE_DEPTH = 5;
/** Differential snapshots of differential snapshots, and so on. */
const MOST_PARENTS = 64;

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
   * Copies guest memory into pages that are all zero.
   * @throws {VmError} `snapshot-damaged`, `file-unreadable`.
   */
  async loadMemory(pages: GuestPages): Promise<void> {
    for (const { file, head } of this.#layers.toReversed()) {
      for (const page of pagesOf(head.zeroPages)) pages.clear(page);
      await this.#eachChunk(file, head.memory, (chunk, bytes) => {
        let at = 0;
        for (let i = 0; i + 1 < chunk.pages.length; i += 2) {
          const sizeBytes = (chunk.pages[i + 1] ?? 0) * PAGE_BYTES;
          pages.copyIn(chunk.pages[i] ?? 0, bytes.subarray(at, at + sizeBytes));
          at += sizeBytes;
        }
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

  /** Reads chunks, several at once, in any order. */
  async #eachChunk(
    file: SnapshotFile,
    chunks: readonly MemoryChunk[],
    use: (chunk: MemoryChunk, bytes: Uint8Array) => void,
  ): Promise<void> {
    const rest = chunks.values();
    const worker = async () => {
      // One for all chunks: what has been used is waste that the collector would have to run for.
      const buffer = new Uint8Array(LARGEST_CHUNK_BYTES);
      for (const chunk of rest) {
        const packed = buffer.subarray(0, chunk.packedBytes);
        await file.read(chunk.at, packed);
        this.#checkPacked(file, chunk, packed);
        const bytes = await this.#host
          .unpack({ codec: chunk.codec, bytes: packed }, chunk.sizeBytes)
          .catch((cause: unknown) => Promise.reject(damagedChunk(file, chunk, cause)));
        use(chunk, bytes);
      }
    };
    await Promise.all(Array.from({ length: PIPELINE_DEPTH }, worker));
  }

  #readNow(file: SnapshotFile, chunk: Chunk): Uint8Array {
    const packed = new Uint8Array(chunk.packedBytes);
    file.readNow(chunk.at, packed);
    this.#checkPacked(file, chunk, packed);
    try {
      return this.#host.unpackNow({ codec: chunk.codec, bytes: packed }, chunk.sizeBytes);
    } catch (cause) {
      throw damagedChunk(file, chunk, cause);
    }
  }

  #checkPacked(file: SnapshotFile, chunk: Chunk, packed: Uint8Array): void {
    if (this.#host.crc32(packed) !== chunk.crc32) throw damagedChunk(file, chunk);
  }
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
