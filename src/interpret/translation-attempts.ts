/** After so many attempts at one place, each waits as long as the one before. */
const MOST_WAITS = 64;
/** A guest can make up any number of places. */
const MOST_PLACES = 50_000;

interface Place {
  /** How many more times the place has to become hot. */
  left: number;
  /** The same after the next attempt. */
  next: number;
}

/**
 * Which hot code is worth another translation. A kernel rewrites some of its functions once or twice, at the end of its boot;
 * these may be translated again as soon as they are hot again. Code that is rewritten all the time has to become hot more and more often.
 */
export class TranslationAttempts {
  /** By physical address. */
  readonly #places = new Map<number, Place>();

  /** Whether code that has become hot, and is in no region, is to be translated. */
  isDue(physical: number): boolean {
    const place = this.#places.get(physical);
    if (place === undefined) {
      if (this.#places.size >= MOST_PLACES) this.#places.clear();
      this.#places.set(physical, { left: 0, next: 0 });
      return true;
    }
    if (place.left > 0) {
      place.left--;
      return false;
    }
    place.next = Math.min(MOST_WAITS - 1, 2 * place.next + 1);
    place.left = place.next;
    return true;
  }
}
