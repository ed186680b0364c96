import { type BytePieces, byteCount } from "../byte-pieces.ts";

/** Buffers of one call of the host: IOV_MAX of Linux and others. */
const MOST_PIECES = 1024;

/** As many pieces together as one call of the host takes. */
export function groupsOf(pieces: BytePieces): readonly BytePieces[] {
  if (pieces.length <= MOST_PIECES) return [pieces];
  const groups: BytePieces[] = [];
  for (let first = 0; first < pieces.length; first += MOST_PIECES)
    groups.push(pieces.slice(first, first + MOST_PIECES));
  return groups;
}

/** Moves group after group, until one moves less than it was given. */
export function moveInGroups(
  pieces: BytePieces,
  offset: number,
  move: (group: BytePieces, at: number) => number,
): number {
  let done = 0;
  for (const group of groupsOf(pieces)) {
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
