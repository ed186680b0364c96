// A global of Node.js and of browsers, but not of the language's own type library.
declare const crypto: { getRandomValues(array: BigUint64Array<ArrayBuffer>): BigUint64Array<ArrayBuffer> };

/** 64 random bits at a time. */
export type RandomSource = () => bigint;

const BATCH = 64;

/** The host's cryptographic generator, asked for a batch at a time. */
export function hostRandom(): RandomSource {
  const batch = new BigUint64Array(BATCH);
  let used = BATCH;
  return () => {
    if (used === BATCH) {
      crypto.getRandomValues(batch);
      used = 0;
    }
    return batch[used++] ?? 0n;
  };
}

/**
 * The same numbers for the same seed: SplitMix64 (Steele, Lea, Flood, "Fast
 * Splittable Pseudorandom Number Generators", 2014). Not for secrets.
 */
export class SeededRandom {
  #state: bigint;

  /** A generator goes on where another was, with that one's `state` for its seed. */
  constructor(seed: bigint) {
    this.#state = BigInt.asUintN(64, seed);
  }

  get state(): bigint {
    return this.#state;
  }

  next(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let z = this.#state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }
}

/** That many bytes from a source. */
export function randomBytes(source: RandomSource, count: number): Uint8Array {
  const words = BigUint64Array.from({ length: Math.ceil(count / 8) }, () => source());
  return new Uint8Array(words.buffer, 0, count);
}
