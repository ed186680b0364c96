import { RECORDS, RECORDS_END } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";

/** Room at the start for single-stepped instructions. */
export const STEP_RECORDS = RECORDS;
/** Where records begin that stay. */
export const FIRST_RECORD = RECORDS + 8 * RECORD_BYTES;

/** Regions' own records are taken so many at a time. */
const ENTRIES_AT_ONCE = 512;

/** Which records of the one memory are taken. They are given back all at once. */
export class RecordSpace {
  #next = FIRST_RECORD;
  #nextEntry = 0;
  #entriesEnd = 0;

  /** The first that is free: whoever has asked for room may write from here on before taking what was written. */
  get next(): number {
    return this.#next;
  }

  hasRoom(bytes: number): boolean {
    return this.#next + bytes <= RECORDS_END;
  }

  /** Takes records one behind the other; 0 when there is no room. */
  take(count: number): number {
    const bytes = count * RECORD_BYTES;
    if (!this.hasRoom(bytes)) return 0;
    this.#next += bytes;
    return this.#next - bytes;
  }

  /** Takes everything before an address. */
  takeUpTo(end: number): void {
    this.#next = end;
  }

  /**
   * Takes the record by which a region is entered; 0 when there is no room. These lie beside each other: whatever
   * leads to a region looks at it, and a guest that has thousands of them, each on a page and a line of its own, waited for memory each time.
   */
  takeEntry(): number {
    if (this.#nextEntry === this.#entriesEnd) {
      this.#nextEntry = this.take(ENTRIES_AT_ONCE);
      this.#entriesEnd = this.#nextEntry === 0 ? 0 : this.#next;
      if (this.#nextEntry === 0) return 0;
    }
    this.#nextEntry += RECORD_BYTES;
    return this.#nextEntry - RECORD_BYTES;
  }

  /** Gives everything from an address on back. */
  reset(next = FIRST_RECORD): void {
    this.#next = next;
    this.#nextEntry = 0;
    this.#entriesEnd = 0;
  }
}
