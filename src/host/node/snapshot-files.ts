import { hash } from "node:crypto";
import { close, fstat, open as openFile, read, readSync, readv, writeSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { VmError } from "../../layout/vm-error.ts";
import type {
  PackedBytes,
  SnapshotCodec,
  SnapshotFile,
  SnapshotHost,
  SnapshotSink,
} from "../snapshot-host.ts";
import { systemErrorCode, systemErrorText } from "./files.ts";

const ZSTD_FASTEST = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } };
const zstdCompress = promisify(zlib.zstdCompress);
// A machine may hold its snapshot for its whole life. A FileHandle that is dropped with it would end the process.
const openDescriptor = promisify(openFile);
const statDescriptor = promisify(fstat);
const readDescriptor = promisify(read);
const readVector = promisify(readv);
const closeDescriptor = promisify(close);
/** Linux takes 1,024 at a time. */
const MOST_TARGETS = 512;
/** Packing that saves less than an eighth costs more time than it is worth. */
const LARGEST_PACKED = 7 / 8;

/** Snapshots in files, packed by zlib's zstd. */
export const snapshotHost: SnapshotHost = {
  async open(filePath): Promise<SnapshotFile> {
    let descriptor: number;
    let sizeBytes: number;
    try {
      descriptor = await openDescriptor(filePath, "r");
      sizeBytes = (await statDescriptor(descriptor)).size;
    } catch (cause) {
      if (systemErrorCode(cause) === "ENOENT")
        throw new VmError({ code: "file-not-found", path: filePath }, { cause });
      throw unreadable(filePath, cause);
    }
    return new NodeSnapshotFile(filePath, sizeBytes, descriptor);
  },

  async create(filePath): Promise<SnapshotSink> {
    const staging = `${filePath}.${process.pid}-${Date.now()}.part`;
    try {
      return new NodeSnapshotSink(filePath, staging, await open(staging, "wx"));
    } catch (cause) {
      throw unwritable(filePath, cause);
    }
  },

  beside: (filePath, name) => path.join(path.dirname(filePath), name),
  nameOf: (filePath) => path.basename(filePath),

  async pack(bytes): Promise<PackedBytes> {
    const packed = await zstdCompress(bytes, { ...ZSTD_FASTEST, chunkSize: outputSize(bytes.length) });
    return packed.length < bytes.length * LARGEST_PACKED
      ? { codec: "zstd", bytes: packed }
      : { codec: "none", bytes };
  },

  unpack({ codec, bytes }, sizeBytes) {
    const limits = { chunkSize: outputSize(sizeBytes), maxOutputLength: sizeBytes };
    const unpackers: Record<SnapshotCodec, () => Uint8Array> = {
      none: () => bytes,
      zstd: () => zlib.zstdDecompressSync(bytes, limits),
      deflate: () => zlib.inflateRawSync(bytes, limits),
    };
    return sized(unpackers[codec](), sizeBytes);
  },

  crc32: (bytes, before) => zlib.crc32(bytes, before),
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
};

class NodeSnapshotFile implements SnapshotFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #descriptor: number;

  constructor(filePath: string, sizeBytes: number, descriptor: number) {
    this.path = filePath;
    this.sizeBytes = sizeBytes;
    this.#descriptor = descriptor;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await this.#orUnreadable(() =>
        readDescriptor(this.#descriptor, target, done, target.length - done, offset + done),
      );
      if (bytesRead === 0) throw this.#endsEarly();
      done += bytesRead;
    }
  }

  async readInto(offset: number, targets: readonly Uint8Array[]): Promise<void> {
    let at = offset;
    for (let i = 0; i < targets.length; i += MOST_TARGETS) {
      const some = targets.slice(i, i + MOST_TARGETS);
      const sizeBytes = some.reduce((sum, target) => sum + target.length, 0);
      const { bytesRead } = await this.#orUnreadable(() => readVector(this.#descriptor, some, at));
      if (bytesRead !== sizeBytes) await this.#readRest(at, some, bytesRead);
      at += sizeBytes;
    }
  }

  /** A system may read less than it was asked for. */
  async #readRest(offset: number, targets: readonly Uint8Array[], done: number): Promise<void> {
    let at = 0;
    for (const target of targets) {
      const from = Math.max(0, done - at);
      if (from < target.length) await this.read(offset + at + from, target.subarray(from));
      at += target.length;
    }
  }

  readNow(offset: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      let bytesRead: number;
      try {
        bytesRead = readSync(this.#descriptor, target, done, target.length - done, offset + done);
      } catch (cause) {
        throw unreadable(this.path, cause);
      }
      if (bytesRead === 0) throw this.#endsEarly();
      done += bytesRead;
    }
  }

  close(): Promise<void> {
    return closeDescriptor(this.#descriptor);
  }

  #endsEarly(): VmError {
    return new VmError({ code: "file-unreadable", path: this.path, reason: "it ends too early" });
  }

  async #orUnreadable<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
  }
}

class NodeSnapshotSink implements SnapshotSink {
  readonly #path: string;
  readonly #staging: string;
  readonly #handle: FileHandle;
  #open = true;

  constructor(filePath: string, staging: string, handle: FileHandle) {
    this.#path = filePath;
    this.#staging = staging;
    this.#handle = handle;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#orUnwritable(() => this.#handle.appendFile(bytes));
  }

  rewriteStart(bytes: Uint8Array): Promise<void> {
    return this.#orUnwritable(async () => {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#handle.fd, bytes, done, bytes.length - done, done);
    });
  }

  finish(): Promise<void> {
    return this.#orUnwritable(async () => {
      await this.#handle.sync();
      this.#open = false;
      await this.#handle.close();
      await rename(this.#staging, this.#path);
    });
  }

  async abandon(): Promise<void> {
    if (this.#open) await this.#handle.close();
    this.#open = false;
    await rm(this.#staging, { force: true });
  }

  async #orUnwritable(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
  }
}

/** The output in one piece; zlib takes no less than 64 bytes for it. */
function outputSize(sizeBytes: number): number {
  return Math.max(64, sizeBytes + 1024);
}

function sized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  if (bytes.length === sizeBytes) return bytes;
  throw new RangeError(`unpacks to ${bytes.length} bytes, not ${sizeBytes}`);
}

function unreadable(filePath: string, cause: unknown): VmError {
  return new VmError({ code: "file-unreadable", path: filePath, reason: systemErrorText(cause) }, { cause });
}

function unwritable(filePath: string, cause: unknown): VmError {
  return new VmError({ code: "file-unwritable", path: filePath, reason: systemErrorText(cause) }, { cause });
}
