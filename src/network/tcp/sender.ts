import type { Clock } from "../../bus/clock.ts";
import { CongestionWindow } from "./congestion.ts";
import { RetransmissionTimer } from "./retransmission-timer.ts";
import { ACK, FIN, PSH, type TcpSegment } from "./segment.ts";
import { SendQueue } from "./send-queue.ts";
import { advance, distance, isBefore } from "./sequence.ts";

/** After so many retransmissions without an answer the peer is taken for dead: about a minute. */
const MAXIMUM_RETRIES = 8;
const MAXIMUM_SYN_RETRIES = 5;
const DUPLICATES_FOR_LOSS = 3;
/** With so much on its way, the rest of what is to be sent waits until it fills a segment, or something has arrived. */
const BULK_SEGMENTS = 8;
/** The most one frame carries; the wire cuts it to segments. */
const MAXIMUM_BURST_BYTES = 65535 - 20 - 60;

export interface SenderOutput {
  /** Sends one segment; ACK is always among the flags. */
  transmit(sequence: number, flags: number, payload: Uint8Array): void;
  /** Sends SYN, again if need be. */
  transmitSyn(): void;
  gaveUp(): void;
}

/** The sending half of a connection: RFC 9293, with loss recovery by RFC 5681, RFC 6298 and RFC 6582. */
export class Sender {
  readonly #output: SenderOutput;
  readonly #clock: Clock;
  readonly #timer: RetransmissionTimer;
  readonly #queue = new SendQueue();
  #congestion: CongestionWindow;
  #segmentBytes = 536;
  #burstBytes = 536;
  #scale = 0;
  /** SND.UNA and SND.NXT. The latter falls back when all is to be sent again; `#highest` does not. */
  #oldest: number;
  #next: number;
  #highest: number;
  #windowBytes = 0;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  #synAcknowledged = false;
  #endQueued = false;
  #endAcknowledged = false;
  #duplicates = 0;
  #retries = 0;
  /** Until this is acknowledged, a loss is being repaired. */
  #recoverUntil: number | undefined;
  #measuring: { end: number; sentNs: number } | undefined;

  constructor(clock: Clock, initialSequence: number, output: SenderOutput) {
    this.#clock = clock;
    this.#output = output;
    this.#timer = new RetransmissionTimer(clock, () => this.#timedOut());
    this.#congestion = new CongestionWindow(this.#segmentBytes);
    this.#oldest = initialSequence;
    this.#next = initialSequence;
    this.#highest = initialSequence;
  }

  /** SND.NXT as an acknowledgement without data has it. */
  get next(): number {
    return this.#highest;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get segmentBytes(): number {
    return this.#segmentBytes;
  }

  get endQueued(): boolean {
    return this.#endQueued;
  }

  get endAcknowledged(): boolean {
    return this.#endAcknowledged;
  }

  /** What the peer's SYN says. */
  negotiated(segmentBytes: number, scale: number): void {
    this.#segmentBytes = segmentBytes;
    this.#burstBytes = MAXIMUM_BURST_BYTES - (MAXIMUM_BURST_BYTES % segmentBytes);
    this.#scale = scale;
    this.#congestion = new CongestionWindow(segmentBytes);
  }

  sendSyn(): void {
    this.#next = advance(this.#oldest, 1);
    this.#highest = this.#next;
    this.#measuring = { end: this.#next, sentNs: this.#clock.nowNs() };
    this.#output.transmitSyn();
    this.#timer.start();
  }

  /** Sends `bytes` as soon as the peer has room; they are copied. */
  write(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#pump();
  }

  /** FIN, behind everything that is queued. */
  end(): void {
    this.#endQueued = true;
    this.#pump();
  }

  stop(): void {
    this.#timer.stop();
    this.#queue.clear();
  }

  /** Takes what a segment acknowledges. False: it acknowledges what was never sent. */
  acknowledged(segment: TcpSegment): boolean {
    const acked = distance(this.#oldest, segment.acknowledgement);
    if (acked > distance(this.#oldest, this.#highest)) return false;
    if (acked < 0) return true;
    const windowChanged = this.#updateWindow(segment);
    if (acked > 0) this.#takeAcknowledgement(segment.acknowledgement, acked);
    else if (!windowChanged && segment.payload.length === 0 && (segment.flags & FIN) === 0) this.#duplicate();
    this.#pump();
    return true;
  }

  #updateWindow(segment: TcpSegment): boolean {
    const { sequence, acknowledgement, window, flags } = segment;
    const age = distance(this.#windowSequence, sequence);
    const isNewer = age > 0 || (age === 0 && distance(this.#windowAcknowledgement, acknowledgement) >= 0);
    if (!isNewer && this.#synAcknowledged) return false;
    // The window in a SYN is never scaled.
    const bytes = (flags & 2) !== 0 ? window : window << this.#scale;
    const changed = bytes !== this.#windowBytes;
    if (this.#windowBytes === 0 && bytes > 0 && this.#synAcknowledged) {
      // What was sent as a probe has been thrown away.
      this.#next = this.#oldest;
      this.#timer.stop();
    }
    this.#windowBytes = bytes;
    this.#windowSequence = sequence;
    this.#windowAcknowledgement = acknowledgement;
    if (bytes === 0) this.#retries = 0; // alive, only full
    return changed;
  }

  #takeAcknowledgement(acknowledgement: number, acked: number): void {
    this.#retries = 0;
    this.#duplicates = 0;
    if (this.#measuring !== undefined && !isBefore(acknowledgement, this.#measuring.end)) {
      this.#timer.measured(this.#clock.nowNs() - this.#measuring.sentNs);
      this.#measuring = undefined;
    }
    let dataBytes = acked;
    if (!this.#synAcknowledged) {
      this.#synAcknowledged = true;
      dataBytes--;
    }
    if (dataBytes > this.#queue.bytes) {
      this.#endAcknowledged = true;
      dataBytes = this.#queue.bytes;
    }
    this.#queue.drop(dataBytes);
    this.#oldest = acknowledgement;
    if (isBefore(this.#next, acknowledgement)) this.#next = acknowledgement;
    this.#recover(acknowledgement, acked);
    if (this.#oldest === this.#highest) this.#timer.stop();
    else this.#timer.restart();
  }

  #recover(acknowledgement: number, acked: number): void {
    if (this.#recoverUntil === undefined) {
      this.#congestion.acknowledged(acked);
      return;
    }
    if (isBefore(acknowledgement, this.#recoverUntil)) this.#retransmitOldest();
    else this.#recoverUntil = undefined;
  }

  #duplicate(): void {
    if (this.#oldest === this.#highest || this.#recoverUntil !== undefined) return;
    if (++this.#duplicates < DUPLICATES_FOR_LOSS) return;
    this.#recoverUntil = this.#highest;
    this.#congestion.lost(distance(this.#oldest, this.#highest));
    this.#retransmitOldest();
  }

  #retransmitOldest(): void {
    this.#measuring = undefined;
    this.#send(this.#oldest, Math.min(this.#segmentBytes, this.#queue.bytes));
    this.#timer.restart();
  }

  #timedOut(): void {
    const limit = this.#synAcknowledged ? MAXIMUM_RETRIES : MAXIMUM_SYN_RETRIES;
    if (++this.#retries > limit) {
      this.#output.gaveUp();
      return;
    }
    this.#measuring = undefined;
    this.#recoverUntil = undefined;
    this.#duplicates = 0;
    if (!this.#synAcknowledged) this.#output.transmitSyn();
    else {
      this.#congestion.timedOut(distance(this.#oldest, this.#next));
      this.#next = this.#oldest;
      if (this.#windowBytes === 0 && this.#queue.bytes > 0)
        this.#transmitNext(1); // a probe
      else this.#pump();
    }
    this.#timer.start();
  }

  /** Sends what the windows permit. */
  #pump(): void {
    if (!this.#synAcknowledged || this.#endAcknowledged) return;
    for (;;) {
      const onTheWay = distance(this.#oldest, this.#next);
      const available = this.#queue.bytes - onTheWay;
      if (available < 0) break;
      if (available === 0) {
        if (this.#endQueued) this.#transmitNext(0);
        break;
      }
      const room = Math.min(this.#windowBytes, this.#congestion.bytes) - onTheWay;
      let length = Math.min(available, room, this.#burstBytes);
      if (length <= 0) break;
      // In the midst of a large transfer more is about to come, and an acknowledgement too.
      const isTail = length === available && length < this.#segmentBytes && !this.#endQueued;
      if (isTail && onTheWay >= BULK_SEGMENTS * this.#segmentBytes) break;
      if (length < available) {
        // Rather whole segments later than small ones now (RFC 9293, 3.8.6.2.1).
        if (length < this.#segmentBytes && onTheWay > 0) break;
        if (length > this.#segmentBytes) length -= length % this.#segmentBytes;
      }
      if (length > this.#segmentBytes) length = this.#queue.contiguous(onTheWay, Math.floor(length));
      this.#transmitNext(Math.floor(length));
    }
    // It runs too while a closed window keeps everything back.
    if (this.#oldest !== this.#highest || this.#queue.bytes > 0) this.#timer.start();
  }

  #transmitNext(length: number): void {
    const sequence = this.#next;
    const space = this.#send(sequence, length);
    this.#next = advance(sequence, space);
    if (!isBefore(this.#highest, this.#next)) return;
    this.#highest = this.#next;
    this.#measuring ??= { end: this.#next, sentNs: this.#clock.nowNs() };
  }

  /** Sends `length` bytes from `sequence` on, and FIN if it follows them; returns how many sequence numbers that took. */
  #send(sequence: number, length: number): number {
    const offset = distance(this.#oldest, sequence);
    const isLast = offset + length === this.#queue.bytes;
    const withEnd = isLast && this.#endQueued && !this.#endAcknowledged;
    const payload = length === 0 ? new Uint8Array() : this.#queue.read(offset, length);
    const push = isLast && length > 0 ? PSH : 0;
    this.#output.transmit(sequence, ACK | push | (withEnd ? FIN : 0), payload);
    return length + (withEnd ? 1 : 0);
  }
}
