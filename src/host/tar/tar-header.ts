export const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
/** GNU tar's member that holds the name, or the link's target, of the one behind it. */
const LONG_NAME = "L";
const LONG_LINK = "K";
const LONG_MEMBER = new TextEncoder().encode("././@LongLink");
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

export type TarKind = keyof typeof TAR_TYPES;

/** What stands before a member's contents. Names are bytes, in no fixed encoding. */
export interface TarHeader {
  readonly kind: TarKind;
  readonly path: Uint8Array;
  /** Of a link or symlink. */
  readonly target?: Uint8Array | undefined;
  readonly permissions: number;
  readonly owner?: number | undefined;
  readonly group?: number | undefined;
  /** Seconds since 1970. */
  readonly modified?: number | undefined;
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
  readonly sizeBytes?: number | undefined;
}

/** A member's header in GNU's format, which busybox reads with names of any length: whole blocks. */
export function tarHeader(header: TarHeader): Uint8Array {
  const { path, target = new Uint8Array() } = header;
  const blocks: Uint8Array[] = [];
  if (path.length > NAME_BYTES) blocks.push(...longName(LONG_NAME, path));
  if (target.length > NAME_BYTES) blocks.push(...longName(LONG_LINK, target));
  blocks.push(headerBlock(header, TAR_TYPES[header.kind]));
  return joined(blocks);
}

/** How many bytes there are to the next whole block. */
export function paddingBytes(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function longName(type: string, name: Uint8Array): Uint8Array[] {
  // With the NUL at its end.
  const sizeBytes = name.length + 1;
  const contents = new Uint8Array(sizeBytes + paddingBytes(sizeBytes));
  contents.set(name);
  return [headerBlock({ kind: "file", path: LONG_MEMBER, permissions: 0o644, sizeBytes }, type), contents];
}

function headerBlock(header: TarHeader, type: string): Uint8Array {
  const { path, target, permissions, owner = 0, group = 0, modified = 0, sizeBytes = 0, device } = header;
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(path.subarray(0, NAME_BYTES));
  putNumber(block, 100, 8, permissions & 0o7777);
  putNumber(block, 108, 8, owner);
  putNumber(block, 116, 8, group);
  putNumber(block, 124, 12, sizeBytes);
  putNumber(block, 136, 12, Math.max(0, Math.min(Math.floor(modified), MOST_OCTAL)));
  putText(block, 156, type);
  if (target !== undefined) block.set(target.subarray(0, NAME_BYTES), 157);
  putText(block, 257, "ustar  \0");
  if (device !== undefined) {
    putNumber(block, 329, 8, device.major);
    putNumber(block, 337, 8, device.minor);
  }
  putText(block, 148, `${headerSum(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** The sum of a header's bytes, for which its own field counts as spaces. */
export function headerSum(block: Uint8Array): number {
  return block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

function putText(block: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) block[at + index] = text.charCodeAt(index);
}

function putNumber(block: Uint8Array, at: number, length: number, value: number): void {
  const digits = value.toString(8);
  if (digits.length < length) putText(block, at, `${digits.padStart(length - 1, "0")}\0`);
  else putBinary(block, at, length, value);
}

/** GNU's form of numbers that octal digits are too few for: big-endian, with the top bit set. */
function putBinary(block: Uint8Array, at: number, length: number, value: number): void {
  let rest = value;
  for (let byte = at + length - 1; byte > at; byte--) {
    block[byte] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  block[at] = 0x80;
}

function joined(blocks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}
