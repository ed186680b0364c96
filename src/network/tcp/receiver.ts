import { EarlySegments } from "./early-segments.ts";
import { FIN, type TcpSegment } from "./segment.ts";
import { advance, distance } from "./sequence.ts";

/**
 * So much is acknowledged at once, less a little later. An acknowledgement of every second segment, as RFC 9293 has it,
 * would cost the guest more than it gains, and one of every small segment keeps Nagle's algorithm from joining them.
 */
const ACKNOWLEDGE_SEGMENTS = 8;

/** What a received segment calls for. */
export interface Received {
  /** In order; may be empty. */
  readonly data: readonly Uint8Array[];
  /** The peer has sent everything. */
  readonly ended: boolean;
  readonly acknowledge: "now" | "soon" | "no";
}

/** The receiving half of a connection: order, duplicates, and the window that the peer is offered. */
export class Receiver {
  readonly #early = new EarlySegments();
  #next: number;
  /** The end of what has been offered; it never goes back. */
  #edge: number;
  /** Handed on, and not taken by the application yet. */
  #heldBytes = 0;
  #unacknowledgedBytes = 0;
  #ended = false;
  readonly #scale: number;
  readonly #segmentBytes: number;
  readonly #capacityBytes: number;

  /** `capacityBytes`: what the peer may have sent that nobody has taken yet. `scale`: of the window field. */
  constructor(next: number, scale: number, segmentBytes: number, capacityBytes: number) {
    this.#capacityBytes = Math.min(capacityBytes, 0xffff << scale);
    this.#next = next;
    this.#edge = advance(next, this.#capacityBytes);
    this.#scale = scale;
    this.#segmentBytes = segmentBytes;
  }

  /** RCV.NXT. */
  get next(): number {
    return this.#next;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** True when a part of the segment lies in the window (RFC 9293, 3.10.7.4, first check). */
  accepts({ sequence, payload, flags }: TcpSegment): boolean {
    const windowBytes = distance(this.#next, this.#edge);
    const from = distance(this.#next, sequence);
    const length = payload.length + (flags & FIN);
    if (length === 0) return windowBytes === 0 ? from === 0 : from >= 0 && from < windowBytes;
    return windowBytes > 0 && from < windowBytes && from + length > 0;
  }

  /** Takes the data of an acceptable segment. */
  receive(segment: TcpSegment): Received {
    const { payload, flags } = segment;
    const fin = (flags & FIN) !== 0;
    if (payload.length === 0 && !fin) return { data: [], ended: false, acknowledge: "no" };
    const known = -distance(this.#next, segment.sequence);
    if (this.#ended) return { data: [], ended: false, acknowledge: "now" };
    const room = distance(this.#next, this.#edge);
    if (known < 0) {
      if (payload.length - known <= room) this.#early.add(segment.sequence, payload, fin);
      return { data: [], ended: false, acknowledge: "now" };
    }
    const fresh = payload.subarray(known, known + room);
    const cut = payload.length > known + room;
    const data: Uint8Array[] = [];
    this.#take(data, fresh, fin && !cut);
    const filledGap = this.#early.size > 0;
    while (!this.#ended) {
      const following = this.#early.take(this.#next);
      if (following === undefined) break;
      this.#take(data, following.bytes, following.fin);
    }
    const urgent = cut || filledGap || this.#ended;
    const many = this.#unacknowledgedBytes >= ACKNOWLEDGE_SEGMENTS * this.#segmentBytes;
    return { data, ended: this.#ended, acknowledge: urgent || many ? "now" : "soon" };
  }

  /** The application has taken `bytes`. True: the peer should be told that there is room again. */
  consumed(bytes: number): boolean {
    const before = this.#offerable();
    this.#heldBytes -= bytes;
    const step = this.#capacityBytes / 4;
    return before < step && this.#offerable() >= step;
  }

  /** The header's window field for a segment that is sent now. */
  windowField(): number {
    this.#unacknowledgedBytes = 0;
    const offer = this.#offerable();
    if (offer >= 2 * this.#segmentBytes) this.#edge = advance(this.#edge, offer);
    return Math.min(0xffff, distance(this.#next, this.#edge) >> this.#scale);
  }

  /** By how much the window's end could move. */
  #offerable(): number {
    return Math.max(0, this.#capacityBytes - this.#heldBytes - distance(this.#next, this.#edge));
  }

  #take(data: Uint8Array[], bytes: Uint8Array, fin: boolean): void {
    if (bytes.length > 0) data.push(bytes);
    this.#heldBytes += bytes.length;
    this.#unacknowledgedBytes += bytes.length;
    this.#next = advance(this.#next, bytes.length + (fin ? 1 : 0));
    if (fin) this.#ended = true;
  }
}
