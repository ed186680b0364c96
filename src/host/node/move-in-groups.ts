import { type BytePieces, byteCount } from "../byte-pieces.ts";

/** Buffers of one call of the host: IOV_MAX of Linux and others. */
const MOST_PIECES = 1024;

/** Moves as many pieces with each call as the host takes, until one moves less than it was given. */
export function moveInGroups(
  pieces: BytePieces,
  offset: number,
  move: (group: BytePieces, at: number) => number,
): number {
  let done = 0;
  for (let first = 0; first < pieces.length; first += MOST_PIECES) {
    const group = pieces.slice(first, first + MOST_PIECES);
    let moved: number;
    try {
      moved = move(group, offset + done);
    } catch (error) {
      if (done === 0) throw error;
      break;
    }
    done += moved;
    if (moved < byteCount(group)) break;
  }
  return done;
}
