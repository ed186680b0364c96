import { LAYER_BLOCK_BYTES } from "../../host/block-device.ts";
import { runsOf } from "./format.ts";

/** Bytes of blocks of a disk, which may end within the last. */
export function diskBytes(runs: readonly number[], sizeBytes: number): number {
  let sum = 0;
  for (const { first, count } of runsOf(runs))
    sum += Math.min(sizeBytes, (first + count) * LAYER_BLOCK_BYTES) - first * LAYER_BLOCK_BYTES;
  return sum;
}

/** Where such bytes, one after the other, lie on the disk: `at` is their place among themselves. */
export function* diskRanges(
  runs: readonly number[],
  sizeBytes: number,
): Generator<{ offset: number; at: number; length: number }> {
  let at = 0;
  for (const { first, count } of runsOf(runs)) {
    const length = diskBytes([first, count], sizeBytes);
    yield { offset: first * LAYER_BLOCK_BYTES, at, length };
    at += length;
  }
}
