import { promisify } from "node:util";
import * as zlib from "node:zlib";
import type { Decompressor } from "../decompressor.ts";

const inflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);
const zstdDecompress = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

/** Node.js's own zlib and Zstandard, in its threads. */
export const nodeDecompressor: Decompressor = {
  inflateRaw: (bytes, mostBytes) =>
    inflateRaw(bytes, { maxOutputLength: mostBytes, finishFlush: zlib.constants.Z_SYNC_FLUSH }),
  zstd: (bytes, mostBytes) => zstdDecompress(bytes, { maxOutputLength: mostBytes }),
};
