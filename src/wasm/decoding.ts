/** Reads WebAssembly's encodings of numbers. */
export class ByteReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.end;
  }

  u8(): number {
    if (this.offset >= this.end) throw new RangeError(`wasm: truncated at byte ${this.offset}`);
    return this.bytes[this.offset++] as number;
  }

  u32(): number {
    return Number(BigInt.asUintN(32, this.leb()));
  }

  s32(): number {
    return Number(this.s64());
  }

  s64(): bigint {
    const start = this.offset;
    const value = this.leb();
    return BigInt.asIntN(Math.min(64, 7 * (this.offset - start)), value);
  }

  f32(): number {
    this.offset += 4;
    return this.view.getFloat32(this.offset - 4, true);
  }

  f64(): number {
    this.offset += 8;
    return this.view.getFloat64(this.offset - 8, true);
  }

  take(count: number): Uint8Array {
    if (count > this.end - this.offset) throw new RangeError(`wasm: truncated at byte ${this.offset}`);
    this.offset += count;
    return this.bytes.subarray(this.offset - count, this.offset);
  }

  string(): string {
    const encoded = this.take(this.u32());
    let escaped = "";
    for (const byte of encoded) escaped += `%${byte.toString(16).padStart(2, "0")}`;
    return decodeURIComponent(escaped);
  }

  /** Reads a vector, its length in front. */
  vector<T>(element: () => T): T[] {
    const elements: T[] = [];
    for (let count = this.u32(); count > 0; count--) elements.push(element());
    return elements;
  }

  private leb(): bigint {
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return value;
    }
  }
}
