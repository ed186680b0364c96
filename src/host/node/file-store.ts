import * as fs from "node:fs";
import { VmError } from "../../layout/vm-error.ts";
import { DiskError } from "../block-device.ts";
import { type BytePieces, byteCount, joined } from "../byte-pieces.ts";
import type { ByteStore } from "../byte-store.ts";
import { FileLock } from "./file-lock.ts";
import { fileThread, type TakeMoved } from "./file-thread/file-thread.ts";
import { systemErrorCode, systemErrorText } from "./files.ts";
import { readGroup, writeGroup } from "./group-calls.ts";
import { groupsOf, moveInGroups } from "./move-in-groups.ts";
import { QuickCalls } from "./quick-calls.ts";

/** A file of this host. While it is open for writing no other process of ours opens it. */
export class FileStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  readonly #descriptor: number;
  readonly #lock: FileLock | undefined;
  readonly #calls = new QuickCalls();
  /** Calls that threads are making. */
  #underWay = 0;
  #closing: (() => void) | undefined;
  #isClosed = false;

  private constructor(name: string, readOnly: boolean, descriptor: number, lock: FileLock | undefined) {
    this.name = name;
    this.readOnly = readOnly;
    this.#descriptor = descriptor;
    this.#lock = lock;
  }

  /**
   * @throws {VmError} `file-not-found`, `file-unreadable`, `file-unwritable`, `file-locked`.
   */
  static async open(path: string, { readOnly }: { readOnly: boolean }): Promise<FileStore> {
    const descriptor = openDescriptor(path, readOnly ? "r" : "r+");
    try {
      return new FileStore(path, readOnly, descriptor, await FileLock.take(path, descriptor, readOnly));
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }

  /** Makes a new file. @throws {VmError} `file-exists`, `file-unwritable`. */
  static async create(path: string): Promise<FileStore> {
    const descriptor = openDescriptor(path, "wx+");
    return new FileStore(path, false, descriptor, await FileLock.take(path, descriptor, false));
  }

  /** Makes a file that goes away with its last user, in `folder`. */
  static createTemporary(folder: string): FileStore {
    const inside = fs.mkdtempSync(`${folder}/ringfence-`);
    const path = `${inside}/disk`;
    const descriptor = openDescriptor(path, "wx+");
    fs.rmSync(inside, { recursive: true });
    return new FileStore(path, false, descriptor, undefined);
  }

  async size(): Promise<number> {
    return (await this.#call<fs.Stats>((done) => fs.fstat(this.#descriptor, done))).size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const got = await this.#readOnce(offset + done, into.subarray(done));
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += await this.#writeOnce(offset + done, bytes.subarray(done));
  }

  readNow(offset: number, into: BytePieces): number | undefined {
    return this.#quickly(() =>
      moveInGroups(into, offset, (group, at) => readGroup(this.#descriptor, group, at)),
    );
  }

  writeNow(offset: number, pieces: BytePieces): boolean {
    const write = () => moveInGroups(pieces, offset, (group, at) => writeGroup(this.#descriptor, group, at));
    // A write that was cut short is made again in the other way, which tells why: a disk that is full, for one.
    return this.#quickly(write) === byteCount(pieces);
  }

  readInPlace(
    offset: number,
    into: BytePieces,
    done: (got: number) => void,
    failed: (error: unknown) => void,
  ): void {
    const otherWay = () => void this.#readGroups(offset, into).then(done, failed);
    this.#inThread(false, offset, into, (got) => (got === undefined ? otherWay() : done(got)), otherWay);
  }

  writeInPlace(offset: number, pieces: BytePieces, done: () => void, failed: (error: unknown) => void): void {
    const otherWay = () => void this.#writeGroups(offset, pieces).then(done, failed);
    const all = byteCount(pieces);
    // One that was cut short is made again in the other way, which tells why.
    this.#inThread(true, offset, pieces, (put) => (put === all ? done() : otherWay()), otherWay);
  }

  /** Has the thread that stays awake make a call; `otherWay` where it does not. */
  #inThread(
    isWrite: boolean,
    position: number,
    pieces: BytePieces,
    take: TakeMoved,
    otherWay: () => void,
  ): void {
    const call = { descriptor: this.#descriptor, position, isWrite, pieces };
    const isBegun =
      !this.#isClosed &&
      fileThread.begin(this, call, (moved) => {
        take(moved);
        if (--this.#underWay === 0) this.#closing?.();
      });
    if (isBegun) this.#underWay++;
    else otherWay();
  }

  async #readGroups(offset: number, into: BytePieces): Promise<number> {
    let done = 0;
    for (const group of groupsOf(into)) {
      const got = await this.#readGroup(offset + done, group);
      done += got;
      if (got < byteCount(group)) break;
    }
    return done;
  }

  async #writeGroups(offset: number, pieces: BytePieces): Promise<void> {
    let done = 0;
    for (const group of groupsOf(pieces)) {
      const put = await this.#writeGroup(offset + done, group);
      // One that was cut short is made again in the other way, which tells why.
      if (put < byteCount(group)) await this.write(offset + done, joined(group));
      done += byteCount(group);
    }
  }

  #quickly<T>(call: () => T): T | undefined {
    try {
      return this.#calls.make(call);
    } catch (error) {
      throw this.#failure(error as Error);
    }
  }

  sync(): Promise<void> {
    return this.#call((done) => fs.fdatasync(this.#descriptor, (error) => done(error)));
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#call((done) => fs.ftruncate(this.#descriptor, sizeBytes, (error) => done(error)));
  }

  /** Waits for calls under way: the descriptor's number may be another file's as soon as it is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#closing = resolve));
    fileThread.leave(this);
    await new Promise<void>((resolve, reject) => {
      fs.close(this.#descriptor, (error) => (error ? reject(this.#failure(error)) : resolve()));
    });
    await this.#lock?.release();
  }

  #readOnce(position: number, into: Uint8Array): Promise<number> {
    return this.#call((done) => fs.read(this.#descriptor, into, 0, into.length, position, done));
  }

  #readGroup(position: number, group: BytePieces): Promise<number> {
    return this.#call((done) => fs.readv(this.#descriptor, group, position, done));
  }

  #writeGroup(position: number, group: BytePieces): Promise<number> {
    return this.#call((done) => fs.writev(this.#descriptor, group, position, done));
  }

  #writeOnce(position: number, bytes: Uint8Array): Promise<number> {
    return this.#call((done) => fs.write(this.#descriptor, bytes, 0, bytes.length, position, done));
  }

  #call<T = void>(begin: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new DiskError(`${this.name}: it is closed`);
      this.#underWay++;
      begin((error, result) => {
        if (--this.#underWay === 0) this.#closing?.();
        if (error) reject(this.#failure(error));
        else resolve(result as T);
      });
    });
  }

  #failure(cause: Error): DiskError {
    return new DiskError(`${this.name}: ${systemErrorText(cause)}`, { cause });
  }
}

function openDescriptor(path: string, flags: "r" | "r+" | "wx+"): number {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(path, flags);
    if (!fs.fstatSync(descriptor).isFile()) throw new Error("it is not a regular file");
    return descriptor;
  } catch (cause) {
    if (descriptor !== undefined) fs.closeSync(descriptor);
    const reason = systemErrorText(cause);
    if (flags === "wx+") {
      if (systemErrorCode(cause) === "EEXIST") throw new VmError({ code: "file-exists", path }, { cause });
      throw new VmError({ code: "file-unwritable", path, reason }, { cause });
    }
    if (systemErrorCode(cause) === "ENOENT") throw new VmError({ code: "file-not-found", path }, { cause });
    const code = flags === "r" ? "file-unreadable" : "file-unwritable";
    throw new VmError({ code, path, reason }, { cause });
  }
}
