/** Buffers that are used one behind the other, as one. */
export type BytePieces = readonly Uint8Array[];

export function byteCount(pieces: BytePieces): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** A copy in one piece. */
export function joined(pieces: BytePieces): Uint8Array {
  const bytes = new Uint8Array(byteCount(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Zeroes what lies behind the first `from` bytes. */
export function fillFrom(pieces: BytePieces, from: number): void {
  let at = 0;
  for (const piece of pieces) {
    if (at + piece.length > from) piece.fill(0, Math.max(0, from - at));
    at += piece.length;
  }
}
