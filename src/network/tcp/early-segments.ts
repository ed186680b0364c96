import { advance, distance } from "./sequence.ts";

/** Pieces that wait; a peer that sends more than this out of order sends some again. */
const MAXIMUM_PIECES = 256;

interface Piece {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly fin: boolean;
}

/** Data that came before what goes ahead of it. The receive window limits its bytes, MAXIMUM_PIECES its pieces. */
export class EarlySegments {
  /** By sequence number; none contains another, but neighbours may overlap. */
  readonly #pieces: Piece[] = [];

  get size(): number {
    return this.#pieces.length;
  }

  add(sequence: number, bytes: Uint8Array, fin: boolean): void {
    if (this.#pieces.length >= MAXIMUM_PIECES) return;
    const end = advance(sequence, bytes.length);
    const index = this.#pieces.findIndex((piece) => distance(sequence, piece.sequence) >= 0);
    const at = index < 0 ? this.#pieces.length : index;
    const before = this.#pieces[at - 1];
    if (before !== undefined && contains(before, sequence, end) && (before.fin || !fin)) return;
    let swallowed = 0;
    for (let next = this.#pieces[at]; next !== undefined; next = this.#pieces[at + swallowed]) {
      const nextEnd = advance(next.sequence, next.bytes.length);
      if (distance(nextEnd, end) < 0 || (next.fin && !fin)) break;
      swallowed++;
    }
    this.#pieces.splice(at, swallowed, { sequence, bytes: bytes.slice(), fin });
  }

  /** Takes out what follows `sequence` without a gap; undefined when that is missing. */
  take(sequence: number): { bytes: Uint8Array; fin: boolean } | undefined {
    for (let piece = this.#pieces[0]; piece !== undefined; piece = this.#pieces[0]) {
      const known = distance(piece.sequence, sequence);
      if (known < 0) return undefined;
      this.#pieces.shift();
      if (known < piece.bytes.length) return { bytes: piece.bytes.subarray(known), fin: piece.fin };
      if (known === piece.bytes.length && piece.fin) return { bytes: piece.bytes.subarray(known), fin: true };
    }
    return undefined;
  }
}

function contains(piece: Piece, sequence: number, end: number): boolean {
  return (
    distance(piece.sequence, sequence) >= 0 && distance(end, advance(piece.sequence, piece.bytes.length)) >= 0
  );
}
