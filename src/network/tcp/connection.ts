import type { Clock, Timer } from "../../bus/clock.ts";
import { Receiver } from "./receiver.ts";
import { ACK, FIN, RST, SYN, type TcpSegment } from "./segment.ts";
import { Sender } from "./sender.ts";
import { advance, distance } from "./sequence.ts";

/** Our receive window is counted in units of 128 bytes. */
const OUR_SCALE = 7;
const DEFAULT_SEGMENT_BYTES = 536;
const DELAYED_ACKNOWLEDGEMENT_NS = 1e6;
/** A last acknowledgement may be lost; the cable has no old duplicates that would ask for minutes. */
const TIME_WAIT_NS = 2e9;
const NOTHING = new Uint8Array();

/** What a connection needs of its surroundings. */
export interface TcpSurroundings {
  readonly clock: Clock;
  /** Sends a segment whose payload may be longer than `segmentBytes`; then the wire cuts it. */
  send(segment: TcpSegment, segmentBytes: number): void;
  /** 32 random bits. */
  random(): number;
  /** The longest payload of a segment that fits the link, both ways. */
  readonly segmentBytes: number;
  /** How much the peer may send before the application has taken it. */
  readonly receiveBytes: number;
}

/** What happens to a connection. Nothing follows `closed`. */
export interface TcpEvents {
  established(): void;
  /** Data in order. The receiver says with `consumed` when it has room for as much again. */
  data(bytes: Uint8Array): void;
  /** The peer will send no more. */
  ended(): void;
  /** The peer has taken bytes. */
  acknowledged(): void;
  closed(why: "done" | "reset" | "timed-out"): void;
}

type State = "opening" | "accepting" | "open" | "waiting" | "closed";

/**
 * One end of a TCP connection (RFC 9293). What the RFC calls ESTABLISHED,
 * FIN-WAIT, CLOSE-WAIT, CLOSING and LAST-ACK is "open" here: which of the two
 * directions have ended is known by their halves.
 */
export class TcpConnection {
  readonly #surroundings: TcpSurroundings;
  readonly #events: TcpEvents;
  readonly #sender: Sender;
  #receiver: Receiver;
  #state: State;
  #scaling = true;
  #weEndedFirst = false;
  #timer: Timer | undefined;

  private constructor(surroundings: TcpSurroundings, events: TcpEvents, state: State, receiver: Receiver) {
    this.#surroundings = surroundings;
    this.#events = events;
    this.#state = state;
    this.#receiver = receiver;
    this.#sender = new Sender(surroundings.clock, surroundings.random() >>> 0, {
      transmit: (sequence, flags, payload) => this.#transmit(sequence, flags, payload),
      transmitSyn: () => this.#transmitSyn(),
      gaveUp: () => this.#close("timed-out"),
    });
  }

  /** Calls a peer. */
  static open(surroundings: TcpSurroundings, events: TcpEvents): TcpConnection {
    const receiver = new Receiver(0, 0, 0, 0);
    const connection = new TcpConnection(surroundings, events, "opening", receiver);
    connection.#sender.sendSyn();
    return connection;
  }

  /** Answers a peer's SYN. */
  static accept(surroundings: TcpSurroundings, events: TcpEvents, syn: TcpSegment): TcpConnection {
    const connection = new TcpConnection(surroundings, events, "accepting", new Receiver(0, 0, 0, 0));
    connection.#takeSyn(syn);
    connection.#sender.sendSyn();
    return connection;
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** True while only late duplicates are waited for: a new connection may take the place. */
  get lingering(): boolean {
    return this.#state === "waiting";
  }

  /** Bytes written that the peer has not acknowledged. */
  get queuedBytes(): number {
    return this.#sender.queuedBytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== "closed" && !this.#sender.endQueued) this.#sender.write(bytes);
  }

  /** Ends our direction; the peer may go on sending. */
  end(): void {
    if (this.#state === "closed" || this.#sender.endQueued) return;
    this.#weEndedFirst = !this.#receiver.ended;
    this.#sender.end();
  }

  /** Breaks the connection off with RST; no event follows. */
  abort(): void {
    if (this.#state === "closed") return;
    if (this.#state !== "opening") this.#transmit(this.#sender.next, RST | ACK, NOTHING);
    this.#stop();
  }

  /** The application has taken `bytes` of what it got. */
  consumed(bytes: number): void {
    if (this.#receiver.consumed(bytes) && this.#state === "open") this.#acknowledge();
  }

  /** Takes a segment from the peer. */
  receive(segment: TcpSegment): void {
    if (this.#state === "closed") return;
    if (this.#state === "opening") {
      this.#receiveWhileOpening(segment);
      return;
    }
    if ((segment.flags & RST) !== 0) {
      this.#receiveReset(segment);
      return;
    }
    if ((segment.flags & SYN) !== 0) {
      // A SYN again: our answer was lost. Another: the peer has forgotten us and says so when asked (RFC 5961, 4).
      if (this.#state === "accepting") this.#transmitSyn();
      else this.#acknowledge();
      return;
    }
    if (!this.#receiver.accepts(segment)) {
      this.#acknowledge();
      return;
    }
    if ((segment.flags & ACK) === 0) return;
    this.#receiveAcceptable(segment);
  }

  #receiveAcceptable(segment: TcpSegment): void {
    const queuedBytes = this.#sender.queuedBytes;
    if (this.#state === "accepting" && segment.acknowledgement !== this.#sender.next) {
      const answer = refusal(segment);
      if (answer !== undefined) this.#surroundings.send(answer, this.#surroundings.segmentBytes);
      this.#close("reset");
      return;
    }
    if (!this.#sender.acknowledged(segment)) {
      this.#acknowledge();
      return;
    }
    if (this.#state === "accepting") {
      this.#state = "open";
      this.#events.established();
      if (this.closed) return;
    }
    const { data, ended, acknowledge } = this.#receiver.receive(segment);
    if (acknowledge === "now") this.#acknowledge();
    else if (acknowledge === "soon") this.#acknowledgeSoon();
    for (const bytes of data) {
      this.#events.data(bytes);
      if (this.closed) return;
    }
    if (ended) this.#events.ended();
    if (this.#sender.queuedBytes < queuedBytes && !this.closed) this.#events.acknowledged();
    this.#closeWhenDone();
  }

  #receiveWhileOpening(segment: TcpSegment): void {
    const { flags } = segment;
    const acknowledged = (flags & ACK) !== 0 && segment.acknowledgement === this.#sender.next;
    if ((flags & RST) !== 0) {
      if (acknowledged) this.#close("reset");
      return;
    }
    if ((flags & ACK) !== 0 && !acknowledged) {
      // The peer still has an old connection by these ports: it is to forget that, and the next SYN counts.
      const answer = refusal(segment);
      if (answer !== undefined) this.#surroundings.send(answer, this.#surroundings.segmentBytes);
      return;
    }
    // Simultaneous opening is not for a gateway: nobody calls the port we call from.
    if (!acknowledged || (flags & SYN) === 0) return;
    this.#takeSyn(segment);
    this.#sender.acknowledged(segment);
    this.#state = "open";
    this.#acknowledge();
    this.#events.established();
  }

  #takeSyn(syn: TcpSegment): void {
    const { segmentBytes, receiveBytes } = this.#surroundings;
    const theirs = Math.max(64, syn.maximumSegmentBytes ?? DEFAULT_SEGMENT_BYTES);
    this.#scaling = syn.windowScale !== undefined;
    this.#sender.negotiated(Math.min(segmentBytes, theirs), syn.windowScale ?? 0);
    const scale = this.#scaling ? OUR_SCALE : 0;
    this.#receiver = new Receiver(advance(syn.sequence, 1), scale, segmentBytes, receiveBytes);
  }

  /** A reset counts when it stands exactly where the next byte is due; elsewhere in the window it is asked about (RFC 5961, 3). */
  #receiveReset(segment: TcpSegment): void {
    const from = distance(this.#receiver.next, segment.sequence);
    if (from === 0) this.#close(this.#state === "waiting" ? "done" : "reset");
    else if (this.#receiver.accepts(segment)) this.#acknowledge();
  }

  #closeWhenDone(): void {
    if (this.#state !== "open" || !this.#sender.endAcknowledged || !this.#receiver.ended) return;
    if (!this.#weEndedFirst) {
      this.#close("done");
      return;
    }
    this.#state = "waiting";
    this.#timer?.cancel();
    this.#timer = this.#after(TIME_WAIT_NS, () => this.#close("done"));
  }

  #acknowledge(): void {
    this.#transmit(this.#sender.next, ACK, NOTHING);
  }

  #acknowledgeSoon(): void {
    if (this.#state === "open")
      this.#timer ??= this.#after(DELAYED_ACKNOWLEDGEMENT_NS, () => this.#acknowledge());
  }

  #after(delayNs: number, callback: () => void): Timer {
    const { clock } = this.#surroundings;
    return clock.schedule(clock.nowNs() + delayNs, () => {
      this.#timer = undefined;
      callback();
    });
  }

  #transmit(sequence: number, flags: number, payload: Uint8Array): void {
    if (this.#state !== "waiting") {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    const acknowledgement = this.#receiver.next;
    const window = this.#receiver.windowField();
    this.#surroundings.send({ sequence, acknowledgement, flags, window, payload }, this.#sender.segmentBytes);
  }

  #transmitSyn(): void {
    const calling = this.#state === "opening";
    const segment: TcpSegment = {
      sequence: advance(this.#sender.next, -1),
      acknowledgement: calling ? 0 : this.#receiver.next,
      flags: calling ? SYN : SYN | ACK,
      window: 0xffff,
      payload: NOTHING,
      maximumSegmentBytes: this.#surroundings.segmentBytes,
      ...(this.#scaling ? { windowScale: OUR_SCALE } : undefined),
    };
    this.#surroundings.send(segment, this.#surroundings.segmentBytes);
  }

  #close(why: "done" | "reset" | "timed-out"): void {
    if (this.#state === "closed") return;
    this.#stop();
    this.#events.closed(why);
  }

  #stop(): void {
    this.#state = "closed";
    this.#sender.stop();
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** The answer to a segment of a connection that does not exist; undefined for one that must not be answered. */
export function refusal(segment: TcpSegment): TcpSegment | undefined {
  const { flags, payload } = segment;
  if ((flags & RST) !== 0) return undefined;
  if ((flags & ACK) !== 0) {
    return { sequence: segment.acknowledgement, acknowledgement: 0, flags: RST, window: 0, payload: NOTHING };
  }
  const length = payload.length + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
  const acknowledgement = advance(segment.sequence, length);
  return { sequence: 0, acknowledgement, flags: RST | ACK, window: 0, payload: NOTHING };
}
