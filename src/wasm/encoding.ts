/** A growing buffer of bytes with WebAssembly's encodings of numbers. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    let capacity = Math.max(this.bytes.length * 2, 64);
    while (capacity < needed) capacity *= 2;
    const bytes = new Uint8Array(capacity);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }

  u8(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    let rest = value >>> 0;
    this.reserve(5);
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  s32(value: number): void {
    let rest = value | 0;
    this.reserve(5);
    while (rest < -0x40 || rest > 0x3f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.bytes[this.length++] = rest & 0x7f;
  }

  s64(value: bigint): void {
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) {
      this.s32(Number(value));
      return;
    }
    let low = Number(BigInt.asIntN(32, value));
    let high = Number(BigInt.asIntN(32, value >> 32n));
    this.reserve(10);
    while (high !== low >> 31 || low < -0x40 || low > 0x3f) {
      this.bytes[this.length++] = (low & 0x7f) | 0x80;
      low = (low >>> 7) | (high << 25);
      high >>= 7;
    }
    this.bytes[this.length++] = low & 0x7f;
  }

  f32(value: number): void {
    this.reserve(4);
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true);
    this.length += 4;
  }

  f64(value: number): void {
    this.reserve(8);
    new DataView(this.bytes.buffer).setFloat64(this.length, value, true);
    this.length += 8;
  }

  rawBytes(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** Copies `source[start, end)`. Faster than a subarray for the short runs of function bodies. */
  rawRange(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    const bytes = this.bytes;
    let to = this.length;
    if (end - start > 128) {
      bytes.set(source.subarray(start, end), to);
      to += end - start;
    } else {
      for (let from = start; from < end; from++) bytes[to++] = source[from] as number;
    }
    this.length = to;
  }

  string(text: string): void {
    const encoded = new ByteWriter(text.length + 8);
    for (const character of text) encoded.codePoint(character.codePointAt(0) as number);
    this.u32(encoded.length);
    this.rawRange(encoded.bytes, 0, encoded.length);
  }

  /** Writes a code point in UTF-8. */
  codePoint(value: number): void {
    if (value < 0x80) {
      this.u8(value);
      return;
    }
    const continuations = value < 0x800 ? 1 : value < 0x1_0000 ? 2 : 3;
    this.u8(((0xff00 >> (continuations + 1)) & 0xff) | (value >> (6 * continuations)));
    for (let i = continuations - 1; i >= 0; i--) this.u8(0x80 | ((value >> (6 * i)) & 0x3f));
  }

  /** Writes a section: its id, its length in bytes, and `contents`. */
  section(id: number, contents: ByteWriter): void {
    this.u8(id);
    this.u32(contents.length);
    this.rawRange(contents.bytes, 0, contents.length);
  }

  /** A copy of what has been written. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes.subarray(0, this.length));
  }
}
