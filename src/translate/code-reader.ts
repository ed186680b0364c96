import type { TranslatorHost } from "../cpu/region-translator.ts";
import {
  DECODE_TRUNCATED,
  type DecodedInstruction,
  Decoder,
  MAX_INSTRUCTION_BYTES,
} from "../decode/decoder.ts";
import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import { type Position, pageDelta } from "./region-code.ts";

/** Decodes instructions of a region where they lie. */
export class CodeReader {
  readonly #memory: Uint8Array;
  readonly #decoder: Decoder;
  /** The bytes of an instruction that lies on two pages. */
  readonly #bytes = new Uint8Array(2 * MAX_INSTRUCTION_BYTES);

  constructor(host: Pick<TranslatorHost, "memory" | "regions">) {
    this.#memory = new Uint8Array(host.memory.buffer);
    this.#decoder = new Decoder(host.regions.forms);
  }

  /** What was decoded last. The next call changes it. */
  get result(): DecodedInstruction {
    return this.#decoder.result;
  }

  /**
   * Decodes the instruction at a position.
   *
   * @param pageOf The guest physical page that a position lies on.
   * @returns Its length in bytes; zero or less where there is none.
   */
  decode(position: Position, pageOf: (position: Position) => number | undefined): number {
    const page = pageOf(position);
    if (page === undefined) return 0;
    const pageStart = GUEST_RAM + page * PAGE_BYTES;
    const [start, end] = [pageStart + (position & (PAGE_BYTES - 1)), pageStart + PAGE_BYTES];
    const length = this.#decoder.decode(this.#memory, start, end, 64);
    if (length !== DECODE_TRUNCATED) return length;
    const next = pageOf((pageDelta(position) + 1) * PAGE_BYTES);
    return next === undefined ? 0 : this.#decodeOnTwoPages(start, end, GUEST_RAM + next * PAGE_BYTES);
  }

  /** `start` and `end` are those of its bytes on the first page. */
  #decodeOnTwoPages(start: number, end: number, behind: number): number {
    this.#bytes.set(this.#memory.subarray(start, end));
    this.#bytes.set(this.#memory.subarray(behind, behind + MAX_INSTRUCTION_BYTES), end - start);
    return this.#decoder.decode(this.#bytes, 0, this.#bytes.length, 64);
  }
}
