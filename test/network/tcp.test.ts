import { expect, test } from "vitest";
import { ManualClock } from "../../src/bus/manual-clock.ts";
import { TcpConnection, type TcpEvents } from "../../src/network/tcp/connection.ts";
import { ACK, RST, SYN, type TcpSegment } from "../../src/network/tcp/segment.ts";
import { concat } from "./fake-guest.ts";

const MILLISECOND_NS = 1e6;
const DELAY_NS = 5 * MILLISECOND_NS;

/** What the link does with the next segment. */
type Fate = "deliver" | "lose" | "double" | "delay";

class End implements TcpEvents {
  tcp!: TcpConnection;
  readonly received: Uint8Array[] = [];
  readonly log: string[] = [];
  taking = true;

  established(): void {
    this.log.push("established");
  }
  data(bytes: Uint8Array): void {
    this.received.push(bytes);
    if (this.taking) this.tcp.consumed(bytes.length);
  }
  ended(): void {
    this.log.push("ended");
  }
  acknowledged(): void {}
  closed(why: string): void {
    this.log.push(why);
  }
}

/** Two ends and a link between them with a delay of 5 ms; `fate` decides about each segment, cut to 1000 bytes. */
class Link {
  readonly clock = new ManualClock();
  readonly caller = new End();
  readonly callee = new End();
  readonly segments: TcpSegment[] = [];
  fate: (segment: TcpSegment, fromCaller: boolean) => Fate = () => "deliver";

  constructor(options: { callerScales?: boolean; sequence?: number } = {}) {
    const { callerScales = true, sequence = 0xffff_fe00 } = options;
    this.caller.tcp = TcpConnection.open(
      this.#surroundings(sequence, (segment) => {
        const { windowScale: _, ...unscaled } = segment;
        this.#transmit(callerScales ? segment : unscaled, true);
      }),
      this.caller,
    );
  }

  run(milliseconds: number): void {
    this.clock.advance(milliseconds * MILLISECOND_NS);
  }

  #surroundings(sequence: number, send: (segment: TcpSegment) => void) {
    return {
      clock: this.clock,
      random: () => sequence,
      segmentBytes: 1000,
      receiveBytes: 256 * 1024,
      send: (segment: TcpSegment, segmentBytes: number) => {
        expect(segmentBytes).toBe(1000);
        const { payload } = segment;
        if (payload.length <= 1000) return send(segment);
        for (let at = 0; at < payload.length; at += 1000) {
          const last = at + 1000 >= payload.length;
          const flags = last ? segment.flags : segment.flags & ACK;
          const sequenceHere = (segment.sequence + at) >>> 0;
          send({ ...segment, sequence: sequenceHere, flags, payload: payload.subarray(at, at + 1000) });
        }
      },
    };
  }

  #transmit(segment: TcpSegment, fromCaller: boolean): void {
    this.segments.push(segment);
    const fate = this.fate(segment, fromCaller);
    if (fate === "lose") return;
    const deliver = () => this.#deliver(segment, fromCaller);
    const atNs = this.clock.nowNs() + DELAY_NS * (fate === "delay" ? 3 : 1);
    this.clock.schedule(atNs, deliver);
    if (fate === "double") this.clock.schedule(atNs + 1, deliver);
  }

  #deliver(segment: TcpSegment, fromCaller: boolean): void {
    if (!fromCaller) this.caller.tcp.receive(segment);
    else if (this.callee.tcp === undefined) {
      if ((segment.flags & SYN) === 0) return;
      const surroundings = this.#surroundings(7, (answer) => this.#transmit(answer, false));
      this.callee.tcp = TcpConnection.accept(surroundings, this.callee, segment);
    } else this.callee.tcp.receive(segment);
  }
}

const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 9)) & 0xff);

/** Numbers from 0 to 1, the same ones every time. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test("both ends open, exchange data and end in order", () => {
  const link = new Link();
  link.run(50);
  link.caller.tcp.write(pattern(5000));
  link.callee.tcp.write(pattern(3));
  link.run(200);
  expect(concat(link.callee.received)).toEqual(pattern(5000));
  expect(concat(link.caller.received)).toEqual(pattern(3));
  link.caller.tcp.end();
  link.run(100);
  link.callee.tcp.end();
  link.run(5000);
  expect(link.caller.log).toEqual(["established", "ended", "done"]);
  expect(link.callee.log).toEqual(["established", "ended", "done"]);
});

test.each([1, 2, 3, 4, 5, 6])(
  "a link that loses, doubles and reorders delivers everything, seed %i",
  (seed) => {
    const random = randomNumbers(seed);
    const link = new Link();
    link.fate = () => {
      const value = random();
      return value < 0.04 ? "lose" : value < 0.06 ? "double" : value < 0.1 ? "delay" : "deliver";
    };
    link.run(10_000);
    const data = pattern(300_000);
    link.caller.tcp.write(data);
    link.callee.tcp.write(data);
    link.caller.tcp.end();
    link.callee.tcp.end();
    link.run(600_000);
    expect(Buffer.compare(concat(link.callee.received), data)).toBe(0);
    expect(Buffer.compare(concat(link.caller.received), data)).toBe(0);
    expect(link.caller.log.at(-1)).toBe("done");
    expect(link.callee.log.at(-1)).toBe("done");
  },
);

test("one lost segment is repaired by three duplicates, long before the timeout", () => {
  const link = new Link();
  link.run(50);
  let lost = false;
  link.fate = ({ payload }) => {
    if (lost || payload.length === 0) return "deliver";
    lost = true;
    return "lose";
  };
  link.caller.tcp.write(pattern(10_000));
  link.run(60);
  expect(concat(link.callee.received).length).toBe(10_000);
});

test("a receiver that takes nothing closes its window, is probed, and gets the rest when it takes", () => {
  const link = new Link();
  link.run(50);
  link.callee.taking = false;
  link.caller.tcp.write(pattern(600_000));
  link.run(30_000);
  const held = concat(link.callee.received).length;
  expect(held).toBeLessThanOrEqual(256 * 1024);
  expect(link.segments.slice(-2).some(({ payload }) => payload.length === 1)).toBe(true);
  link.callee.taking = true;
  link.callee.tcp.consumed(held);
  link.run(10_000);
  expect(concat(link.callee.received).length).toBe(600_000);
});

test("without window scaling no more than 65535 bytes are on their way", () => {
  const link = new Link({ callerScales: false });
  link.run(50);
  expect(link.segments.filter(({ windowScale }) => windowScale !== undefined)).toEqual([]);
  link.callee.tcp.write(pattern(500_000));
  link.caller.taking = false;
  link.run(5000);
  expect(concat(link.caller.received).length).toBeLessThanOrEqual(65_536);
});

test("a peer that stops answering is given up after about a minute, and nothing is sent any more", () => {
  const link = new Link();
  link.run(50);
  link.fate = () => "lose";
  link.caller.tcp.write(pattern(10));
  link.run(30_000);
  expect(link.caller.log).toEqual(["established"]);
  link.run(90_000);
  expect(link.caller.log).toEqual(["established", "timed-out"]);
  const sent = link.segments.length;
  link.run(600_000);
  expect(link.segments.length).toBe(sent);
});

test("a call that nobody answers is given up", () => {
  const link = new Link();
  link.fate = (_, fromCaller) => (fromCaller ? "deliver" : "lose");
  link.run(120_000);
  expect(link.caller.log).toEqual(["timed-out"]);
  expect(link.callee.log).toEqual(["timed-out"]);
  expect(link.segments.filter(({ flags }) => flags === SYN).length).toBe(6);
});

test("a reset ends a connection only at the very next sequence number", () => {
  const link = new Link();
  link.run(50);
  const next = link.segments.at(-1)!;
  const reset = { ...next, flags: RST, payload: new Uint8Array() };
  link.callee.tcp.receive({ ...reset, sequence: (next.sequence + 100) >>> 0 });
  link.callee.tcp.receive({ ...reset, sequence: (next.sequence - 1) >>> 0 });
  expect(link.callee.log).toEqual(["established"]);
  link.callee.tcp.receive(reset);
  expect(link.callee.log).toEqual(["established", "reset"]);
});

test("an acknowledgement of what was never sent changes nothing", () => {
  const link = new Link();
  link.run(50);
  const last = link.segments.at(-1)!;
  link.callee.tcp.receive({ ...last, acknowledgement: (last.acknowledgement + 5000) >>> 0 });
  link.callee.tcp.write(pattern(10));
  link.run(100);
  expect(concat(link.caller.received)).toEqual(pattern(10));
});

test("a last acknowledgement that does not fit refuses the connection", () => {
  const link = new Link();
  link.fate = (_, fromCaller) => (fromCaller ? "deliver" : "lose");
  link.run(20);
  const syn = link.segments[0]!;
  const sequence = (syn.sequence + 1) >>> 0;
  link.callee.tcp.receive({ ...syn, sequence, flags: ACK, acknowledgement: 12345 });
  expect(link.callee.log).toEqual(["reset"]);
});
