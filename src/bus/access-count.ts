/** How often the guest used one device, for `--stats`. */
export interface AccessCount {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly reads: number;
  readonly writes: number;
}

/** A claimed range of ports or addresses. */
export interface Registration {
  /** Gives the range up. Does nothing the second time. */
  remove(): void;
}

/** All ones in `bytes` bytes: what a bus reads where nothing answers. */
export function allOnes(bytes: 1 | 2 | 4): number {
  return bytes === 1 ? 0xff : bytes === 2 ? 0xffff : 0xffffffff;
}
