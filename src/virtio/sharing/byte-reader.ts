import { FolderError } from "../../host/linux-errors.ts";
import type { ByteString } from "../../host/shared-folder.ts";

/** Takes a message of the guest apart, little-endian. What is not there throws EINVAL. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** As a number: from 2**53 on it is not exact, and whoever uses it refuses it. */
  size(): number {
    return this.u32() + this.u32() * 2 ** 32;
  }

  skip(length: number): void {
    this.#take(length);
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Text of `length` bytes. */
  text(length: number): ByteString {
    let text = "";
    for (const byte of this.bytes(length)) text += String.fromCharCode(byte);
    return text;
  }

  /** Text up to a NUL, which is passed over. */
  terminatedText(): ByteString {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new FolderError("EINVAL");
    const text = this.text(end - this.#at);
    this.skip(1);
    return text;
  }

  #take(length: number): number {
    if (length > this.left) throw new FolderError("EINVAL");
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
