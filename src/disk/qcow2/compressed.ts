import { DiskError } from "../../host/block-device.ts";
import type { Decompressor } from "../../host/decompressor.ts";

const ZSTD_MAGIC = 0xfd2fb528;
const RLE_BLOCK = 1;

/** Unpacks a compressed cluster: exactly `clusterBytes` bytes. `bytes` may go on behind the stream's end. */
export async function decompressCluster(
  bytes: Uint8Array,
  compression: "zlib" | "zstd",
  clusterBytes: number,
  decompressor: Decompressor,
): Promise<Uint8Array> {
  let unpacked: Uint8Array;
  try {
    unpacked =
      compression === "zlib"
        ? await decompressor.inflateRaw(bytes, clusterBytes)
        : await decompressor.zstd(bytes.subarray(0, zstdFrameBytes(bytes)), clusterBytes);
  } catch (cause) {
    throw new DiskError("a compressed cluster is damaged", { cause });
  }
  if (unpacked.length !== clusterBytes)
    throw new DiskError(`a compressed cluster has ${unpacked.length} bytes of ${clusterBytes}`);
  return unpacked;
}

/**
 * Length of the Zstandard frame at the beginning of `bytes`.
 *
 * Source: RFC 8878, "Zstandard Frames".
 */
export function zstdFrameBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 6 || view.getUint32(0, true) !== ZSTD_MAGIC) throw new DiskError("no Zstandard frame");
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) throw new DiskError("a Zstandard frame that is cut off");
    const block = view.getUint16(at, true) + view.getUint8(at + 2) * 65536;
    last = (block & 1) !== 0;
    at += 3 + (((block >> 1) & 3) === RLE_BLOCK ? 1 : block >> 3);
  }
  at += (descriptor & 4) !== 0 ? 4 : 0;
  if (at > bytes.length) throw new DiskError("a Zstandard frame that is cut off");
  return at;
}
