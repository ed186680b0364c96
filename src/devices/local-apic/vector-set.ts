/** A set of vectors 0..255 as eight 32-bit words: the shape of IRR, ISR and TMR. Plain data. */
export type VectorSet = number[];

export const emptyVectorSet = (): VectorSet => [0, 0, 0, 0, 0, 0, 0, 0];

export function addVector(set: VectorSet, vector: number): void {
  set[vector >>> 5] = ((set[vector >>> 5] ?? 0) | (1 << (vector & 31))) >>> 0;
}

export function removeVector(set: VectorSet, vector: number): void {
  set[vector >>> 5] = ((set[vector >>> 5] ?? 0) & ~(1 << (vector & 31))) >>> 0;
}

export function hasVector(set: VectorSet, vector: number): boolean {
  return (((set[vector >>> 5] ?? 0) >>> (vector & 31)) & 1) !== 0;
}

/** The highest vector of the set, or -1 when it is empty. */
export function highestVector(set: VectorSet): number {
  for (let word = 7; word >= 0; word--) {
    const bits = set[word] ?? 0;
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
  }
  return -1;
}
