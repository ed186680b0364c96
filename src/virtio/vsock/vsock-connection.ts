import type { HostSocketFailure, HostStreamEvents } from "../../host/network.ts";
import type { IncomingStream } from "./host-sockets.ts";
import { OP, type PacketHeader, SHUTDOWN_RECEIVE, SHUTDOWN_SEND } from "./packet.ts";

/** What the guest may send ahead of its receiver here. */
const BUFFER_BYTES = 256 << 10;
const BOTH = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;

/** Packets of a connection for the guest, but for its data, which are fetched by `takeData`. */
export interface ConnectionOutput {
  send(op: number, flags: number): void;
  /** There are data that could be sent. */
  hasData(): void;
  /** The connection is over, for both sides. */
  gone(): void;
}

/**
 * A stream between a program of the guest and one of the host. Towards the host's program it is a `HostStream`; what
 * the guest sends comes to `receive`.
 */
export class VsockConnection implements IncomingStream {
  readonly guestPort: number;
  readonly hostPort: number;
  events: HostStreamEvents | undefined;
  readonly #output: ConnectionOutput;
  #state: "asked" | "asking" | "open" | "gone";
  /** From the host, not yet with the guest. */
  readonly #toGuest: Uint8Array[] = [];
  #sentBytes = 0;
  #guestBufferBytes = 0;
  #guestForwardedBytes = 0;
  /** From the guest, not yet with the host's program. */
  readonly #toHost: Uint8Array[] = [];
  #receivedBytes = 0;
  #forwardedBytes = 0;
  #toldForwardedBytes = 0;
  #paused = false;
  #hostEnded = false;
  #toldHostEnded = false;
  #guestEnded = false;
  #toldGuestEnded = false;
  #guestReceives = true;

  /** @param asking The host opens the connection; else the guest has asked for it. */
  constructor(ports: { guest: number; host: number }, asking: boolean, output: ConnectionOutput) {
    this.guestPort = ports.guest;
    this.hostPort = ports.host;
    this.#output = output;
    this.#state = asking ? "asking" : "asked";
  }

  /** For the header of every packet to the guest. */
  get credit(): { bufferBytes: number; forwardedBytes: number } {
    this.#toldForwardedBytes = this.#forwardedBytes;
    return { bufferBytes: BUFFER_BYTES, forwardedBytes: this.#forwardedBytes };
  }

  /** Bytes that may go to the guest now. */
  get sendableBytes(): number {
    if (this.#state !== "open" || this.#toGuest.length === 0) return 0;
    const underWay = (this.#sentBytes - this.#guestForwardedBytes) >>> 0;
    const waiting = this.#toGuest.reduce((sum, { length }) => sum + length, 0);
    return Math.max(0, Math.min(waiting, this.#guestBufferBytes - underWay));
  }

  /** Up to `most` bytes that the guest has room for. */
  takeData(most: number): Uint8Array {
    const data = new Uint8Array(Math.min(most, this.sendableBytes));
    for (let at = 0; at < data.length; ) {
      const first = this.#toGuest[0]!;
      const piece = first.subarray(0, data.length - at);
      data.set(piece, at);
      at += piece.length;
      if (piece.length === first.length) this.#toGuest.shift();
      else this.#toGuest[0] = first.subarray(piece.length);
    }
    this.#sentBytes = (this.#sentBytes + data.length) >>> 0;
    return data;
  }

  /** What `takeData` gave has left; not inside of the host's own calls. */
  sent(bytes: number): void {
    this.events?.written(bytes);
    this.#finishHost();
  }

  /** Takes a packet of the guest that belongs to this connection. */
  receive(header: PacketHeader, data: Uint8Array): void {
    this.noteCredit(header);
    switch (header.op) {
      case OP.RESPONSE:
        if (this.#state !== "asking") return this.#fail("reset");
        this.#state = "open";
        this.events?.connected();
        break;
      case OP.RST:
        return this.finish(this.#state === "asking" ? "refused" : this.#toldGuestEnded ? undefined : "reset");
      case OP.SHUTDOWN:
        this.#shutDown(header.flags);
        break;
      case OP.RW:
        this.#take(data);
        break;
      case OP.CREDIT_UPDATE:
        break;
      case OP.CREDIT_REQUEST:
        this.#output.send(OP.CREDIT_UPDATE, 0);
        break;
      default:
        return this.#fail("reset");
    }
    if (this.sendableBytes > 0) this.#output.hasData();
  }

  /** Every packet of the guest tells how much it can take. */
  noteCredit({ bufferBytes, forwardedBytes }: PacketHeader): void {
    this.#guestBufferBytes = bufferBytes;
    this.#guestForwardedBytes = forwardedBytes;
  }

  /** Ends it without a word to the guest. */
  finish(failure: HostSocketFailure | undefined): void {
    if (this.#state === "gone") return;
    this.#state = "gone";
    this.#toGuest.length = 0;
    this.#toHost.length = 0;
    this.#output.gone();
    this.events?.closed(failure);
  }

  // The host's program has these.

  accept(): void {
    if (this.#state !== "asked") return;
    this.#state = "open";
    this.#output.send(OP.RESPONSE, 0);
    if (this.sendableBytes > 0) this.#output.hasData();
  }

  write(bytes: Uint8Array): void {
    if (this.#state === "gone" || this.#hostEnded || bytes.length === 0) return;
    this.#toGuest.push(bytes);
    if (this.#state === "open") this.#output.hasData();
  }

  end(): void {
    if (this.#state === "gone" || this.#hostEnded) return;
    this.#hostEnded = true;
    this.#finishHost();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#deliver();
  }

  reset(): void {
    if (this.#state === "gone") return;
    this.events = undefined;
    this.#output.send(OP.RST, 0);
    this.finish("reset");
  }

  #fail(failure: HostSocketFailure): void {
    this.#output.send(OP.RST, 0);
    this.finish(failure);
  }

  #take(data: Uint8Array): void {
    this.#receivedBytes = (this.#receivedBytes + data.length) >>> 0;
    const held = (this.#receivedBytes - this.#forwardedBytes) >>> 0;
    // The guest sends what it was given no room for, or behind its end.
    if (this.#state !== "open" || this.#guestEnded || held > BUFFER_BYTES) return this.#fail("reset");
    if (data.length > 0) this.#toHost.push(data);
    this.#deliver();
  }

  #deliver(): void {
    while (!this.#paused && this.#state === "open") {
      const data = this.#toHost.shift();
      if (data === undefined) break;
      this.#forwardedBytes = (this.#forwardedBytes + data.length) >>> 0;
      this.events?.data(data);
    }
    if (this.#state !== "open") return;
    const untold = (this.#forwardedBytes - this.#toldForwardedBytes) >>> 0;
    if (untold >= BUFFER_BYTES / 2) this.#output.send(OP.CREDIT_UPDATE, 0);
    if (this.#guestEnded && !this.#toldGuestEnded && this.#toHost.length === 0) {
      this.#toldGuestEnded = true;
      this.events?.ended();
      this.#finishBoth();
    }
  }

  #shutDown(flags: number): void {
    if (this.#state !== "open") return this.#fail("reset");
    if ((flags & SHUTDOWN_RECEIVE) !== 0) {
      this.#guestReceives = false;
      // What it will never read counts as sent.
      const dropped = this.#toGuest.splice(0).reduce((sum, { length }) => sum + length, 0);
      if (dropped > 0) this.events?.written(dropped);
    }
    if ((flags & SHUTDOWN_SEND) !== 0) this.#guestEnded = true;
    this.#deliver();
    this.#finishBoth();
  }

  #finishHost(): void {
    if (this.#state !== "open" || !this.#hostEnded || this.#toldHostEnded || this.#toGuest.length > 0) return;
    this.#toldHostEnded = true;
    this.#output.send(OP.SHUTDOWN, SHUTDOWN_SEND);
    this.#finishBoth();
  }

  /** When nothing can come from either side, both forget the connection. */
  #finishBoth(): void {
    const hostIsDone = this.#toldHostEnded || !this.#guestReceives;
    if (this.#state !== "open" || !hostIsDone || !this.#toldGuestEnded) return;
    if (this.#guestReceives) this.#output.send(OP.SHUTDOWN, BOTH);
    else this.#output.send(OP.RST, 0);
    this.finish(undefined);
  }
}
