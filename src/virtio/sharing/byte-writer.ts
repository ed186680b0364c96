import type { ByteString } from "../../host/shared-folder.ts";

/** Puts a message for the guest together, little-endian. It grows as needed. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(expectedBytes = 160) {
    this.#bytes = new Uint8Array(expectedBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Begins anew in the same buffer: what was written before is no longer good. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  get length(): number {
    return this.#length;
  }

  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint | number): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }

  /** Replaces four bytes that were written. */
  patchU32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  patchU16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  text(text: ByteString): this {
    const at = this.#grow(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    return this;
  }

  zeroes(length: number): this {
    const at = this.#grow(length);
    this.#bytes.fill(0, at, at + length);
    return this;
  }

  /** Room for `length` bytes; returns where. The buffer may be another one afterwards. */
  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
