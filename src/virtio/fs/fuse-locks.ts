import { FolderError, LINUX_ERRORS } from "../../host/linux-errors.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import type { Lock, LockTable } from "../sharing/lock-table.ts";
import { LOCK_NONE, LOCK_READ, LOCK_WHOLE_FILE, LOCK_WRITE } from "./protocol.ts";

/** struct fuse_lk_in: what is asked for; `type` is LOCK_*. */
function readLock(reader: ByteReader): { lock: Lock; type: number } {
  reader.skip(8); // handle
  const owner = `${reader.u64()}`;
  const start = reader.u64();
  const end = reader.u64();
  const type = reader.u32();
  const process = reader.u32();
  const kind = (reader.u32() & LOCK_WHOLE_FILE) !== 0 ? "file" : "range";
  if (type > LOCK_NONE) throw new FolderError("EINVAL");
  return { lock: { kind, owner, start, end, process, exclusive: type === LOCK_WRITE }, type };
}

/** The requests about locks, for a driver that leaves them to the device. */
export class FuseLocks {
  readonly #table: LockTable;
  /** Requests that wait for a lock, by their number: how to give one up. */
  readonly #waiting = new Map<bigint, () => void>();

  constructor(table: LockTable) {
    this.#table = table;
  }

  /** GETLK. Replies with struct fuse_lk_out. */
  test(node: number, reader: ByteReader): Uint8Array {
    const { lock } = readLock(reader);
    const held = this.#table.conflict(node, lock);
    const type = held === undefined ? LOCK_NONE : held.exclusive ? LOCK_WRITE : LOCK_READ;
    const { start, end, process } = held ?? { ...lock, process: 0 };
    return new ByteWriter().u64(start).u64(end).u32(type).u32(process).written;
  }

  /** SETLK */
  set(node: number, reader: ByteReader): Uint8Array {
    const { lock, type } = readLock(reader);
    if (type === LOCK_NONE) this.#table.unlock(node, lock);
    else if (!this.#table.set(node, lock)) throw new FolderError("EAGAIN");
    return NOTHING;
  }

  /** SETLKW. Undefined: `finish` is called when the lock is there, or with EINTR when the driver has lost patience. */
  setWhenFree(
    node: number,
    reader: ByteReader,
    unique: bigint,
    finish: (errno: number) => void,
  ): Uint8Array | undefined {
    const { lock, type } = readLock(reader);
    if (type === LOCK_NONE) {
      this.#table.unlock(node, lock);
      return NOTHING;
    }
    if (this.#table.set(node, lock)) return NOTHING;
    const { cancel } = this.#table.wait(node, lock, () => {
      this.#waiting.delete(unique);
      finish(0);
    });
    this.#waiting.set(unique, () => {
      if (cancel()) finish(LINUX_ERRORS.EINTR);
    });
    return undefined;
  }

  interrupt(unique: bigint): void {
    const cancel = this.#waiting.get(unique);
    this.#waiting.delete(unique);
    cancel?.();
  }

  /** FLUSH: a process closes a file, and its locks are gone. */
  closed(node: number, owner: bigint): void {
    this.#table.release(node, "range", `${owner}`);
  }

  /** RELEASE, where it says that the last one with the file open has gone. */
  released(node: number, owner: bigint): void {
    this.#table.release(node, "file", `${owner}`);
  }

  /** The driver is gone, and with it who waited. */
  reset(): void {
    this.#waiting.clear();
    this.#table.reset();
  }
}

const NOTHING = new Uint8Array();
