import { closeSync, openSync, writeSync } from "node:fs";
import { invariant } from "../layout/invariant.ts";

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
/** GNU tar's member that holds the name, or the link's target, of the one behind it. */
const LONG_NAME = "L";
const LONG_LINK = "K";
/** The largest number that 11 octal digits hold; sizes only, owners are far below. */
const MOST_OCTAL = 0o77777777777;

/** A member's kind by its byte in the header (POSIX.1-1988, ustar). */
export const TAR_TYPES = {
  file: "0",
  link: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
} as const;

export interface TarMember {
  readonly kind: keyof typeof TAR_TYPES;
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
    if (Buffer.byteLength(member.path) > NAME_BYTES) this.#long(LONG_NAME, member.path);
    if (Buffer.byteLength(member.target ?? "") > NAME_BYTES) this.#long(LONG_LINK, member.target ?? "");
    this.#write(header(member, TAR_TYPES[member.kind]));
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

  #long(type: string, name: string): void {
    const bytes = Buffer.from(`${name}\0`);
    this.#write(header({ kind: "file", path: "././@LongLink", sizeBytes: bytes.length }, type));
    this.#write(bytes);
    this.#pad();
  }

  #pad(): void {
    invariant(this.#missingBytes === 0, "a member has all its contents before the next begins");
    const over = this.#written % BLOCK_BYTES;
    if (over > 0) this.#write(new Uint8Array(BLOCK_BYTES - over));
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#written += bytes.length;
  }
}

function header(member: TarMember, type: string): Uint8Array {
  const { owner = 0, group = 0, modified = 0, sizeBytes = 0, device } = member;
  const permissions = member.permissions ?? (member.kind === "directory" ? 0o755 : 0o644);
  const block = Buffer.alloc(BLOCK_BYTES);
  Buffer.from(member.path).copy(block, 0, 0, NAME_BYTES);
  octal(block, 100, 8, permissions & 0o7777);
  octal(block, 108, 8, owner);
  octal(block, 116, 8, group);
  octal(block, 124, 12, sizeBytes);
  octal(block, 136, 12, Math.max(0, Math.min(Math.floor(modified), MOST_OCTAL)));
  block.write(type, 156, "latin1");
  Buffer.from(member.target ?? "").copy(block, 157, 0, NAME_BYTES);
  block.write("ustar  \0", 257, "latin1");
  if (device !== undefined) {
    octal(block, 329, 8, device.major);
    octal(block, 337, 8, device.minor);
  }
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  const digits = value.toString(8);
  if (digits.length < length) block.write(`${digits.padStart(length - 1, "0")}\0`, at, "latin1");
  else binary(block, at, length, value);
}

/** GNU's form of numbers that octal digits are too few for: big-endian, with the top bit set. */
function binary(block: Buffer, at: number, length: number, value: number): void {
  let rest = value;
  for (let byte = at + length - 1; byte > at; byte--) {
    block[byte] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  block[at] = 0x80;
}
