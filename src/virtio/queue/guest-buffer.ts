import type { DmaMemory } from "../../bus/dma-memory.ts";

/** A piece of guest RAM that one descriptor names; checked to be RAM. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** The bytes of several descriptors, in their order, as one. */
export class GuestBuffer {
  readonly length: number;
  readonly #memory: DmaMemory;
  readonly #segments: readonly Segment[];

  constructor(memory: DmaMemory, segments: readonly Segment[]) {
    this.#memory = memory;
    this.#segments = segments;
    let length = 0;
    for (const segment of segments) length += segment.length;
    this.length = length;
  }

  /** The part from `offset` on, of up to `length` bytes. */
  slice(offset: number, length = Number.POSITIVE_INFINITY): GuestBuffer {
    const pieces = this.#pieces(offset, Math.max(0, Math.min(length, this.length - offset)));
    return new GuestBuffer(this.#memory, pieces);
  }

  /** Copies out what there is of `length` bytes from `offset` on. */
  read(offset = 0, length = this.length): Uint8Array<ArrayBuffer> {
    const wanted = Math.max(0, Math.min(length, this.length - offset));
    const bytes = new Uint8Array(wanted);
    this.readInto(bytes, offset);
    return bytes;
  }

  /** Copies out what there is from `offset` on and fits into `target`; returns how many bytes it was. */
  readInto(target: Uint8Array, offset = 0): number {
    const wanted = Math.max(0, Math.min(target.length, this.length - offset));
    let done = 0;
    for (const piece of this.#pieces(offset, wanted)) {
      target.set(this.#memory.view(piece.address, piece.length), done);
      done += piece.length;
    }
    return done;
  }

  /** Four bytes at a multiple of four, all of which are there. */
  readU32(offset: number): number {
    const [first] = this.#segments;
    if (first !== undefined && offset + 4 <= first.length)
      return this.#memory.readU32(first.address + offset);
    const bytes = this.read(offset, 4);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  /** Writes the last byte, which is there. */
  writeLast(value: number): void {
    const last = this.#segments.findLast(({ length }) => length > 0);
    if (last !== undefined) this.#memory.fill(last.address + last.length - 1, 1, value);
  }

  /**
   * What there is of `length` bytes from `offset` on, as they lie in the guest's memory: for calls of the host that
   * read or write there, before the guest runs on. `noteWritten` must follow a write.
   */
  views(offset: number, length: number): Uint8Array[] {
    const wanted = Math.max(0, Math.min(length, this.length - offset));
    return this.#pieces(offset, wanted).map((piece) => this.#memory.view(piece.address, piece.length));
  }

  /** `length` bytes from `offset` on were written through `views`. */
  noteWritten(offset: number, length: number): void {
    for (const piece of this.#pieces(offset, length)) this.#memory.noteWritten(piece.address, piece.length);
  }

  /** Copies in what fits of `bytes`, from `offset` on; returns how many did. */
  write(bytes: Uint8Array, offset = 0): number {
    const wanted = Math.max(0, Math.min(bytes.length, this.length - offset));
    let done = 0;
    for (const piece of this.#pieces(offset, wanted)) {
      this.#memory.write(piece.address, bytes.subarray(done, done + piece.length));
      done += piece.length;
    }
    return done;
  }

  #pieces(offset: number, length: number): readonly Segment[] {
    const [first] = this.#segments;
    if (first !== undefined && length > 0 && offset + length <= first.length)
      return [{ address: first.address + offset, length }];
    const pieces: Segment[] = [];
    let skip = offset;
    let left = length;
    for (const segment of this.#segments) {
      if (left <= 0) break;
      const piece = Math.min(segment.length - skip, left);
      if (piece > 0) pieces.push({ address: segment.address + skip, length: piece });
      left -= Math.max(piece, 0);
      skip = Math.max(0, skip - segment.length);
    }
    return pieces;
  }
}
