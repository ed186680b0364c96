/** Unpacks what disk images hold compressed. A promise rejects when the input is not sound or gives more than it may. */
export interface Decompressor {
  /** Raw DEFLATE; what follows the end of the stream is ignored. */
  inflateRaw(bytes: Uint8Array, mostBytes: number): Promise<Uint8Array>;
  /** One Zstandard frame, and nothing behind it. */
  zstd(bytes: Uint8Array, mostBytes: number): Promise<Uint8Array>;
}
