/** The part of a request that lies in one cluster. */
export interface Piece {
  /** Index of the guest's cluster */
  readonly cluster: number;
  /** Where in the cluster it begins */
  readonly within: number;
  /** Where in the request it begins */
  readonly at: number;
  readonly length: number;
}

/** Cuts a request at the boundaries of clusters. */
export function* piecesOf(offset: number, length: number, clusterBytes: number): Generator<Piece> {
  for (let at = 0; at < length; ) {
    const within = (offset + at) % clusterBytes;
    const piece = Math.min(length - at, clusterBytes - within);
    yield { cluster: Math.floor((offset + at) / clusterBytes), within, at, length: piece };
    at += piece;
  }
}
