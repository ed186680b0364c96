import type { AssembledFunction } from "./code-emitter.ts";

/** Bytes of the LEB128 that a linked i32 is, with leading zeros: 0 to 2^27 - 1, signed or not. */
export const LINKED_BYTES = 4;
const LIMIT = 2 ** 27;
/** Words that a place takes in `LinkableFunction.links`. */
const LINK_WORDS = 3;

/** A function that refers to what is known only when it is put into a module: its code with places for the numbers. */
export interface LinkableFunction extends AssembledFunction {
  /** Of each place: its offset in the body, the symbol, and what is added to what that stands for. */
  readonly links: Int32Array;
}

/** The function with the numbers put in. */
export function linkFunction(
  { body, links, hints }: LinkableFunction,
  numberOf: (symbol: number) => number,
): AssembledFunction {
  const linked = body.slice();
  for (let i = 0; i < links.length; i += LINK_WORDS) {
    const at = links[i] as number;
    const value = numberOf(links[i + 1] as number) + (links[i + 2] as number);
    if (value !== Math.max(0, Math.min(value, LIMIT - 1)))
      throw new RangeError(`wasm: ${value} is no linked number`);
    for (let byte = 0; byte < LINKED_BYTES; byte++) {
      const more = byte < LINKED_BYTES - 1 ? 0x80 : 0;
      linked[at + byte] = ((value >> (7 * byte)) & 0x7f) | more;
    }
  }
  return { body: linked, hints };
}
