import { FolderError } from "../../host/linux-errors.ts";
import type { NodeId } from "../../host/shared-folder.ts";

/** More are refused with ENOLCK. */
const MOST_LOCKS = 8192;
const MOST_WAITING = 256;

/** An advisory lock of a process of the guest. */
export interface Lock {
  /** Ranges of bytes (fcntl) and whole files (flock) do not see each other. */
  readonly kind: "range" | "file";
  /** Who holds it, as the guest numbers its owners. */
  readonly owner: string;
  /** First and last byte; 2**63 - 1 is the end of any file. */
  readonly start: bigint;
  readonly end: bigint;
  readonly exclusive: boolean;
  /** For whoever asks who is in the way. */
  readonly process: number;
}

interface Waiting {
  readonly node: NodeId;
  readonly lock: Lock;
  granted(): void;
}

/** Advisory locks of one guest on the files of a shared folder. */
export class LockTable {
  readonly #locks = new Map<NodeId, Lock[]>();
  readonly #waiting = new Set<Waiting>();
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** A lock that is in the way. */
  conflict(node: NodeId, wanted: Lock): Lock | undefined {
    return this.#locks
      .get(node)
      ?.find(
        (held) =>
          held.kind === wanted.kind &&
          held.owner !== wanted.owner &&
          (held.exclusive || wanted.exclusive) &&
          overlaps(held, wanted),
      );
  }

  /** Sets a lock, in place of what its owner holds there. False: another one is in the way. */
  set(node: NodeId, lock: Lock): boolean {
    if (lock.end < lock.start) throw new FolderError("EINVAL");
    if (this.conflict(node, lock) !== undefined) return false;
    // Setting one may split another in two.
    if (this.#count + 2 > MOST_LOCKS) throw new FolderError("ENOLCK");
    this.#replace(node, lock, [lock]);
    this.#grantWaiting();
    return true;
  }

  /** Sets a lock as soon as none is in the way; `cancel` gives up, and tells whether it still waited. */
  wait(node: NodeId, lock: Lock, granted: () => void): { cancel(): boolean } {
    if (this.#waiting.size >= MOST_WAITING) throw new FolderError("ENOLCK");
    const waiting = { node, lock, granted };
    this.#waiting.add(waiting);
    this.#grantWaiting();
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Gives up what `owner` holds of the range. */
  unlock(node: NodeId, range: Pick<Lock, "kind" | "owner" | "start" | "end">): void {
    if (this.#count + 1 > MOST_LOCKS) throw new FolderError("ENOLCK");
    this.#replace(node, range, []);
    this.#grantWaiting();
  }

  /** Gives up all that `owner` holds of a file. */
  release(node: NodeId, kind: Lock["kind"], owner: string): void {
    this.unlock(node, { kind, owner, start: 0n, end: 2n ** 64n });
  }

  reset(): void {
    this.#locks.clear();
    this.#waiting.clear();
    this.#count = 0;
  }

  /** Cuts the range out of what its owner holds, and adds `locks`. */
  #replace(
    node: NodeId,
    range: Pick<Lock, "kind" | "owner" | "start" | "end">,
    locks: readonly Lock[],
  ): void {
    const before = this.#locks.get(node) ?? [];
    const after = before.flatMap((held) => {
      if (held.kind !== range.kind || held.owner !== range.owner || !overlaps(held, range)) return [held];
      return [
        ...(held.start < range.start ? [{ ...held, end: range.start - 1n }] : []),
        ...(held.end > range.end ? [{ ...held, start: range.end + 1n }] : []),
      ];
    });
    after.push(...locks);
    this.#count += after.length - before.length;
    if (after.length === 0) this.#locks.delete(node);
    else this.#locks.set(node, after);
  }

  #grantWaiting(): void {
    for (const waiting of [...this.#waiting]) {
      if (this.conflict(waiting.node, waiting.lock) !== undefined) continue;
      this.#waiting.delete(waiting);
      this.#replace(waiting.node, waiting.lock, [waiting.lock]);
      waiting.granted();
    }
  }
}

function overlaps(one: Pick<Lock, "start" | "end">, other: Pick<Lock, "start" | "end">): boolean {
  return one.start <= other.end && other.start <= one.end;
}
