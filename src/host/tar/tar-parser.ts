import {
  BLOCK_BYTES,
  headerSum,
  paddingBytes,
  TAR_TYPES,
  type TarHeader,
  type TarKind,
} from "./tar-header.ts";

const TYPE_AT = 156;
/** Contents in one piece, as some old archivers marked them (POSIX.1-1988, ustar). */
const CONTIGUOUS = "7";
const KINDS = new Map<string, TarKind>([
  ...Object.entries(TAR_TYPES).map(([kind, type]) => [type, kind as TarKind] as const),
  ["\0", "file"],
  [CONTIGUOUS, "file"],
]);
/** Members that say something of the one behind them; "g" says it of all behind it. */
const EXTENSIONS = ["L", "K", "x", "g"];
/** Longer than any path that Linux takes, with room for what else GNU tar says of a file. */
const MOST_EXTENSION_BYTES = 1 << 20;

/** What stands before a member's contents. Names are bytes, in no fixed encoding, and nothing is known of them. */
export interface ParsedMember extends Pick<TarHeader, "kind" | "path" | "permissions"> {
  /** Of a link or symlink. */
  readonly target: Uint8Array;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly sizeBytes: number;
}

/** What an archive has in it, one member after the other. */
export interface TarEvents {
  begin(member: ParsedMember): void;
  /** A piece of its contents, which is the callee's until it returns. */
  data(bytes: Uint8Array): void;
  end(): void;
  /** The archive is damaged, or not one. */
  fail(reason: string): never;
}

/** What stands before a member in place of what its header is too small for. */
interface Extension {
  path?: Uint8Array;
  target?: Uint8Array;
  sizeBytes?: number;
  modified?: number;
}

/**
 * Takes a tar archive apart as it comes, whoever it is from: ustar, and the extensions of GNU's and POSIX' (pax) formats that
 * busybox and GNU tar write. Names stay the bytes that they are, and nothing is known of them.
 *
 * Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual, "Basic Tar Format".
 */
export class TarParser {
  readonly #events: TarEvents;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #blockBytes = 0;
  /** Of the member that is under way. */
  #missingBytes = 0;
  #paddingBytes = 0;
  /** The contents of an extension, as far as they have come; undefined where the member is none. */
  #extension: { readonly type: string; readonly bytes: Uint8Array; filledBytes: number } | undefined;
  #pending: Extension = {};
  #isAtEnd = false;

  constructor(events: TarEvents) {
    this.#events = events;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isAtEnd; ) {
      const rest = bytes.length - at;
      if (this.#missingBytes > 0) {
        const count = Math.min(rest, this.#missingBytes);
        this.#takeContents(bytes.subarray(at, at + count));
        at += count;
      } else if (this.#paddingBytes > 0) {
        const count = Math.min(rest, this.#paddingBytes);
        this.#paddingBytes -= count;
        at += count;
      } else {
        const count = Math.min(rest, BLOCK_BYTES - this.#blockBytes);
        this.#block.set(bytes.subarray(at, at + count), this.#blockBytes);
        this.#blockBytes += count;
        at += count;
        if (this.#blockBytes === BLOCK_BYTES) this.#takeHeader();
      }
    }
  }

  /** There is no more. */
  end(): void {
    if (!this.#isAtEnd) this.#events.fail("the archive of its tar breaks off");
  }

  #takeHeader(): void {
    const block = this.#block;
    this.#blockBytes = 0;
    // The rest fills the last record.
    if (block.every((byte) => byte === 0)) {
      this.#isAtEnd = true;
      return;
    }
    if (this.#number(148, 8) !== headerSum(block)) this.#events.fail("the archive of its tar is damaged");
    const type = String.fromCharCode(block[TYPE_AT]!);
    if (EXTENSIONS.includes(type)) this.#beginExtension(type);
    else this.#beginMember(type);
  }

  #beginExtension(type: string): void {
    const sizeBytes = this.#number(124, 12);
    if (sizeBytes > MOST_EXTENSION_BYTES)
      this.#events.fail(`its tar sends a name of ${sizeBytes} bytes, which is none`);
    this.#extension = { type, bytes: new Uint8Array(sizeBytes), filledBytes: 0 };
    this.#expect(sizeBytes);
  }

  #beginMember(type: string): void {
    const kind = KINDS.get(type);
    if (kind === undefined)
      return this.#events.fail(`its tar sends a kind of file that is not known: ${type}`);
    const { path, target, sizeBytes = this.#number(124, 12), modified } = this.#pending;
    this.#pending = {};
    if (kind !== "file" && sizeBytes > 0) this.#events.fail(`its tar sends a ${kind} with contents`);
    this.#events.begin({
      kind,
      path: path ?? this.#headerPath(),
      target: target ?? this.#field(157, 100),
      permissions: this.#number(100, 8) & 0o7777,
      modified: modified ?? this.#time(136, 12),
      sizeBytes,
    });
    this.#expect(sizeBytes);
  }

  /** Contents follow, perhaps none. */
  #expect(sizeBytes: number): void {
    this.#missingBytes = sizeBytes;
    this.#paddingBytes = paddingBytes(sizeBytes);
    if (sizeBytes === 0) this.#endContents();
  }

  #takeContents(bytes: Uint8Array): void {
    const extension = this.#extension;
    if (extension === undefined) this.#events.data(bytes);
    else {
      extension.bytes.set(bytes, extension.filledBytes);
      extension.filledBytes += bytes.length;
    }
    this.#missingBytes -= bytes.length;
    if (this.#missingBytes === 0) this.#endContents();
  }

  #endContents(): void {
    const extension = this.#extension;
    if (extension === undefined) return this.#events.end();
    this.#extension = undefined;
    const { type, bytes } = extension;
    if (type === "L") this.#pending.path = untilNul(bytes);
    else if (type === "K") this.#pending.target = untilNul(bytes);
    // What is said of all members behind is times or comments, which nothing depends on.
    else if (type === "x") this.#readRecords(bytes);
  }

  /** Records such as "30 mtime=1795489442.123456789\n", each with its own length in front. */
  #readRecords(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const space = bytes.indexOf(0x20, at);
      const lengthBytes = space < 0 ? Number.NaN : digits(text(bytes.subarray(at, space)));
      const end = at + lengthBytes;
      const equals = bytes.indexOf(0x3d, space);
      if (!(end <= bytes.length && end > space && equals > space && equals < end && bytes[end - 1] === 0x0a))
        return this.#events.fail("the archive of its tar is damaged");
      this.#takeRecord(text(bytes.subarray(space + 1, equals)), bytes.subarray(equals + 1, end - 1));
      at = end;
    }
  }

  #takeRecord(key: string, value: Uint8Array): void {
    if (key === "path") this.#pending.path = value;
    else if (key === "linkpath") this.#pending.target = value;
    else if (key === "mtime") this.#pending.modified = Math.max(0, Number(text(value)) || 0);
    else if (key === "size") this.#pending.sizeBytes = this.#sound(digits(text(value)));
    else if (key.startsWith("GNU.sparse.")) this.#events.fail("its tar leaves out the holes of sparse files");
  }

  #headerPath(): Uint8Array {
    const name = this.#field(0, 100);
    // In GNU's format other things stand in the prefix' place.
    const isUstar = text(this.#block.subarray(257, 263)) === "ustar\0";
    const prefix = isUstar ? this.#field(345, 155) : new Uint8Array();
    if (prefix.length === 0) return name;
    const path = new Uint8Array(prefix.length + 1 + name.length);
    path.set(prefix);
    path[prefix.length] = 0x2f;
    path.set(name, prefix.length + 1);
    return path;
  }

  /** A copy of a field, up to its NUL. */
  #field(at: number, length: number): Uint8Array {
    return untilNul(this.#block.slice(at, at + length));
  }

  #number(at: number, length: number): number {
    const field = this.#block.subarray(at, at + length);
    if (field[0]! < 0x80) return this.#sound(octalDigits(text(field)));
    // GNU's form: big-endian behind the top bit.
    return this.#sound(field.subarray(1).reduce((sum, byte) => sum * 256 + byte, field[0]! & 0x7f));
  }

  /** A negative number is one before 1970, which becomes that. */
  #time(at: number, length: number): number {
    return this.#block[at] === 0xff ? 0 : this.#number(at, length);
  }

  #sound(value: number): number {
    return Number.isSafeInteger(value) ? value : this.#events.fail("the archive of its tar is damaged");
  }
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Characters are bytes here. */
function text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function digits(decimal: string): number {
  return /^\d+$/.test(decimal) ? Number(decimal) : Number.NaN;
}

/** Some archivers fill up with spaces, in front or behind; an empty field is 0. */
function octalDigits(field: string): number {
  const octal = /^ *([0-7]*)[ \0]*$/.exec(field)?.[1];
  return octal === undefined ? Number.NaN : Number.parseInt(octal || "0", 8);
}
