import { addressKey } from "./ip-address.ts";
import type { IpPacket } from "./ip-packet.ts";

/** How long the pieces of a packet wait for the others. */
const TIMEOUT_NS = 30e9;
/** How many incomplete packets wait at once; the oldest gives way to a new one. */
const MAXIMUM_PACKETS = 16;
/** Fragments of one packet; at an MTU of 1500 the longest packet has 45. */
const MAXIMUM_FRAGMENTS = 128;
const MAXIMUM_PAYLOAD_BYTES = 65535 - 20;

interface Incomplete {
  readonly first: IpPacket;
  readonly startedNs: number;
  readonly pieces: { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Known once the last fragment is there. */
  totalBytes: number | undefined;
}

/**
 * Puts fragmented packets together. Pieces that overlap, or that contradict
 * each other, void the whole packet (RFC 5722, here for IPv4 too).
 */
export class Reassembly {
  readonly #waiting = new Map<string, Incomplete>();
  readonly #nowNs: () => number;

  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
  }

  /** Packets of which something is still missing. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Takes a fragment; returns the packet that it completes. */
  add(packet: IpPacket): IpPacket | undefined {
    const { fragment } = packet;
    if (fragment === undefined) return packet;
    this.#dropOld();
    const key = `${fragment.identification}.${packet.protocol}.${addressKey(packet.source)}${addressKey(packet.destination)}`;
    const entry = this.#waiting.get(key) ?? this.#start(key, packet);
    const end = fragment.offsetBytes + packet.payload.length;
    const last = !fragment.moreFollow;
    const lengthFits = last || (packet.payload.length > 0 && packet.payload.length % 8 === 0);
    const totalFits =
      entry.totalBytes === undefined || (last ? entry.totalBytes === end : end <= entry.totalBytes);
    const overlaps = entry.pieces.some(
      (piece) => fragment.offsetBytes < piece.offset + piece.bytes.length && piece.offset < end,
    );
    if (
      !lengthFits ||
      !totalFits ||
      overlaps ||
      end > MAXIMUM_PAYLOAD_BYTES ||
      entry.pieces.length >= MAXIMUM_FRAGMENTS
    ) {
      this.#waiting.delete(key);
      return undefined;
    }
    if (last) entry.totalBytes = end;
    entry.pieces.push({ offset: fragment.offsetBytes, bytes: packet.payload.slice() });
    const complete = completed(entry);
    if (complete !== undefined) this.#waiting.delete(key);
    return complete;
  }

  #start(key: string, packet: IpPacket): Incomplete {
    if (this.#waiting.size >= MAXIMUM_PACKETS) {
      const [oldest] = this.#waiting.keys();
      if (oldest !== undefined) this.#waiting.delete(oldest);
    }
    const { fragment: _, ...rest } = packet;
    const first = {
      ...rest,
      source: packet.source.slice(),
      destination: packet.destination.slice(),
      whole: packet.whole.slice(0, 128),
    };
    const entry: Incomplete = { first, startedNs: this.#nowNs(), pieces: [], totalBytes: undefined };
    this.#waiting.set(key, entry);
    return entry;
  }

  #dropOld(): void {
    const nowNs = this.#nowNs();
    for (const [key, { startedNs }] of this.#waiting) {
      if (nowNs - startedNs < TIMEOUT_NS) return;
      this.#waiting.delete(key);
    }
  }
}

/** Pieces never overlap, so their lengths alone tell whether one is missing. */
function completed({ first, pieces, totalBytes }: Incomplete): IpPacket | undefined {
  const presentBytes = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (totalBytes === undefined || presentBytes !== totalBytes) return undefined;
  if (pieces.some(({ offset, bytes }) => offset + bytes.length > totalBytes)) return undefined;
  const payload = new Uint8Array(totalBytes);
  for (const { offset, bytes } of pieces) payload.set(bytes, offset);
  return { ...first, payload };
}
