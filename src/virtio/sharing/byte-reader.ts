import { FolderError } from "../../host/linux-errors.ts";
import type { ByteString } from "../../host/shared-folder.ts";

/** Takes a message of the guest apart, little-endian. What is not there throws EINVAL. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  /** Begins anew: another message of `length` bytes has come into the same buffer. */
  restart(length: number): this {
    this.#at = 0;
    this.#end = Math.min(length, this.#bytes.length);
    return this;
  }

  get left(): number {
    return this.#end - this.#at;
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
    const at = this.#take(length);
    let text = "";
    for (let i = at; i < at + length; i++) text += String.fromCharCode(this.#view.getUint8(i));
    return text;
  }

  /** Text up to a NUL, which is passed over. */
  terminatedText(): ByteString {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0 || end >= this.#end) throw new FolderError("EINVAL");
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
