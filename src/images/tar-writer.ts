import { closeSync, openSync, writeSync } from "node:fs";
import { BLOCK_BYTES, paddingBytes, type TarKind, tarHeader } from "../host/tar/tar-header.ts";
import { invariant } from "../layout/invariant.ts";

export interface TarMember {
  readonly kind: TarKind;
  /** From the archive's root, without a slash in front. */
  readonly path: string;
  /** Of a link or symlink. */
  readonly target?: string;
  readonly permissions?: number;
  readonly owner?: number;
  readonly group?: number;
  /** Seconds since 1970. */
  readonly modified?: number;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly sizeBytes?: number;
}

/** Writes a tar archive into a new file, in GNU's format, which busybox reads with names of any length. */
export class TarWriter {
  readonly #descriptor: number;
  #written = 0;
  /** What the member begun last has still to get. */
  #missingBytes = 0;
  readonly #folders = new Set<string>();

  constructor(file: string) {
    this.#descriptor = openSync(file, "wx");
  }

  get sizeBytes(): number {
    return this.#written;
  }

  /** Begins a member; `sizeBytes` of contents have to follow by `data`. A folder that is there already stays as it is. */
  begin(member: TarMember): void {
    this.#pad();
    if (member.kind === "directory") {
      if (this.#folders.has(member.path)) return;
      this.#folders.add(member.path);
    }
    const { path, target, permissions = member.kind === "directory" ? 0o755 : 0o644 } = member;
    const names = { path: Buffer.from(path), target: target === undefined ? undefined : Buffer.from(target) };
    this.#write(tarHeader({ ...member, ...names, permissions }));
    this.#missingBytes = member.sizeBytes ?? 0;
  }

  data(bytes: Uint8Array): void {
    invariant(bytes.length <= this.#missingBytes, "a member's contents are as long as its header says");
    this.#missingBytes -= bytes.length;
    this.#write(bytes);
  }

  /** A file with its contents. */
  file(path: string, bytes: Uint8Array, permissions = 0o644): void {
    this.begin({ kind: "file", path, permissions, sizeBytes: bytes.length });
    this.data(bytes);
  }

  close(): void {
    this.#pad();
    this.#write(new Uint8Array(2 * BLOCK_BYTES));
    closeSync(this.#descriptor);
  }

  /** Lets go of a file that is of no use any more. */
  abandon(): void {
    closeSync(this.#descriptor);
  }

  #pad(): void {
    invariant(this.#missingBytes === 0, "a member has all its contents before the next begins");
    this.#write(new Uint8Array(paddingBytes(this.#written)));
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#written += bytes.length;
  }
}
