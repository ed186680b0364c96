import type { BlockDevice } from "../host/block-device.ts";

const STEP_BYTES = 2 << 20;
/** Pieces of this that hold only zeroes are not written. */
const ZERO_BYTES = 65536;

/** Copies all of a disk to a new one, which reads as zeroes, and leaves out what is zero. */
export async function copyDisk(
  from: BlockDevice,
  to: BlockDevice,
  progress: (doneBytes: number, totalBytes: number) => void = () => {},
): Promise<void> {
  const total = from.sizeBytes;
  for (let at = 0; at < total; at += STEP_BYTES) {
    const bytes = new Uint8Array(Math.min(STEP_BYTES, total - at));
    await from.read(at, bytes);
    for (const { start, end } of runsOfData(bytes)) await to.write(at + start, bytes.subarray(start, end));
    progress(Math.min(at + STEP_BYTES, total), total);
  }
  await to.flush();
}

/** The parts of `bytes` that are not all zero, in whole pieces. */
function* runsOfData(bytes: Uint8Array): Generator<{ start: number; end: number }> {
  let start = -1;
  for (let at = 0; at < bytes.length; at += ZERO_BYTES) {
    const end = Math.min(at + ZERO_BYTES, bytes.length);
    if (!isZero(bytes.subarray(at, end))) {
      if (start < 0) start = at;
    } else if (start >= 0) {
      yield { start, end: at };
      start = -1;
    }
  }
  if (start >= 0) yield { start, end: bytes.length };
}

function isZero(bytes: Uint8Array): boolean {
  // Whole words first: the pieces begin at multiples of 8.
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3);
  return words.every((word) => word === 0n);
}
