/**
 * The calls that a `FileThread` is to make, in memory that it shares with the thread that asks: a ring of slots behind
 * the words by which both know how far they are.
 *
 *     0                                                          CONTROL_BYTES
 *     | asked | taken | sleeps | wantsMessage | isDone of slots | slot 0 | slot 1 | ... | slot SLOTS - 1 |
 *
 * Calls are taken in their order, by either side. Who takes one makes it, and says that it is done.
 */

/** A power of two, since calls are counted modulo 2**32. */
export const SLOTS = 32;
export const CONTROL_BYTES = 256;

/** The words of 32 bits in front, by index. */
export const CONTROL = {
  /** Calls asked for so far, modulo 2**32 */
  asked: 0,
  /** Calls that somebody makes or has made, modulo 2**32 */
  taken: 1,
  /** 1: the thread sleeps until it is woken. */
  sleeps: 2,
  /** 1: who asks wants a message when the thread has made its next call. */
  wantsMessage: 3,
  /** One for each slot. 1: its call has been made. */
  isDone: 4,
} as const;

/** The fields of a slot, each a double, by index. */
export const SLOT = {
  descriptor: 0,
  position: 1,
  /** 1: writes to the file. */
  isWrite: 2,
  pieces: 3,
  /** Bytes moved, or FAILED */
  moved: 4,
  tookNs: 5,
  /** Where in memory the first piece lies, and its length; the others follow. */
  firstPiece: 6,
} as const;
/** Pages of 1 MiB: more go another way. */
export const MOST_PIECES = 256;
export const SLOT_DOUBLES = SLOT.firstPiece + 2 * MOST_PIECES;
export const FAILED = -1;

export const RING_BYTES = CONTROL_BYTES + SLOTS * SLOT_DOUBLES * 8;

/** What the thread needs to know of the above: it gets it with its start, so that its entry loads no other file. */
export const LAYOUT = { CONTROL_BYTES, CONTROL, SLOTS, SLOT, SLOT_DOUBLES, FAILED };

/** What the thread is started with. */
export interface FileThreadData {
  readonly ring: SharedArrayBuffer;
  /** What pieces lie in. */
  readonly memory: SharedArrayBuffer;
  readonly layout: typeof LAYOUT;
  /** How long it stays awake when there is nothing to do. */
  readonly awakeMs: number;
}
