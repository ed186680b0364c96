import type { Clock } from "../../src/bus/clock.ts";
import type { EthernetPort, Frame } from "../../src/host/ethernet-port.ts";
import { readU16 } from "../../src/network/big-endian.ts";
import { icmpFrame } from "../../src/network/ip/icmp.ts";
import { parseIp } from "../../src/network/ip/ip-address.ts";
import { type IpPacket, PROTOCOL_TCP, PROTOCOL_UDP, parseIpFrame } from "../../src/network/ip/ip-packet.ts";
import { parseUdp, type UdpDatagram, udpFrames } from "../../src/network/ip/udp.ts";
import { answerArp, parseArp } from "../../src/network/link/arp.ts";
import { plainFrames } from "../../src/network/link/segmentation.ts";
import { GATEWAY_MAC } from "../../src/network/nat/addresses.ts";
import { TcpConnection, type TcpEvents } from "../../src/network/tcp/connection.ts";
import {
  ACK,
  parseTcp,
  SYN,
  type TcpPorts,
  type TcpSegment,
  tcpFrame,
} from "../../src/network/tcp/segment.ts";

export const GUEST_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const GUEST_IP = parseIp("10.0.2.15")!;

/** One TCP connection as a program in the fake guest has it. */
export class GuestConnection {
  tcp!: TcpConnection;
  state: "opening" | "open" | "done" | "reset" | "timed-out" = "opening";
  ended = false;
  readonly received: Uint8Array[] = [];
  /** False: what comes is not taken, and the window closes. */
  taking = true;

  established(): void {
    this.state = "open";
  }
  data(bytes: Uint8Array): void {
    this.received.push(bytes.slice());
    if (this.taking) this.tcp.consumed(bytes.length);
  }
  acknowledged(): void {}
  closed(why: "done" | "reset" | "timed-out"): void {
    this.state = why;
  }

  /** All that came. */
  get bytes(): Uint8Array {
    return concat(this.received);
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A station with 10.0.2.15 that sees frames as a wire would carry them, and has a TCP of its own. */
export class FakeGuest {
  readonly frames: Uint8Array[] = [];
  readonly packets: IpPacket[] = [];
  readonly datagrams: (UdpDatagram & { from: string })[] = [];
  readonly segments: (TcpSegment & TcpPorts)[] = [];
  readonly #port: EthernetPort;
  readonly #clock: Clock;
  readonly #connections = new Map<string, GuestConnection>();
  /** Ports at which connections are accepted. */
  readonly listening = new Map<number, (connection: GuestConnection) => void>();
  readonly #waiting: IpPacket[] = [];
  #nextPort: number;

  constructor(port: EthernetPort, clock: Clock, firstPort = 40000) {
    this.#port = port;
    this.#clock = clock;
    this.#nextPort = firstPort;
    port.onFrame = (frame) => {
      for (const bytes of plainFrames(frame)) this.#receive(bytes);
    };
  }

  connect(address: string, port: number): GuestConnection {
    const local = { address: GUEST_IP, port: this.#nextPort++ };
    const remote = { address: parseIp(address)!, port };
    const connection = this.#connection(`${local.port} ${port} ${remote.address}`);
    connection.tcp = TcpConnection.open(this.#surroundings(local, remote), eventsOf(connection));
    return connection;
  }

  sendUdp(fromPort: number, address: string, port: number, payload: Uint8Array): void {
    const link = { sourceMac: GUEST_MAC, destinationMac: GATEWAY_MAC };
    const [from, to] = [
      { address: GUEST_IP, port: fromPort },
      { address: parseIp(address)!, port },
    ];
    for (const frame of udpFrames(link, from, to, payload)) this.#port.send(frame);
  }

  ping(address: string, payload = new Uint8Array(8)): void {
    const link = { sourceMac: GUEST_MAC, destinationMac: GATEWAY_MAC };
    const message = concat([Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1), payload]);
    this.#port.send(icmpFrame(link, GUEST_IP, parseIp(address)!, message));
  }

  sendFrame(frame: Frame): void {
    this.#port.send(frame);
  }

  #connection(key: string): GuestConnection {
    const connection = new GuestConnection();
    this.#connections.set(key, connection);
    return connection;
  }

  #receive(bytes: Uint8Array): void {
    this.frames.push(bytes);
    if (readU16(bytes, 12) === 0x0806) {
      const message = parseArp(bytes);
      const answer = message && answerArp(message, GUEST_MAC, GUEST_IP);
      if (answer !== undefined) this.#port.send(answer);
      return;
    }
    const packet = parseIpFrame(bytes);
    if (packet === undefined) throw new Error("the guest was sent a malformed packet");
    this.packets.push(packet);
    if (packet.protocol === PROTOCOL_UDP && packet.fragment === undefined) {
      const datagram = parseUdp(packet, false);
      if (datagram === undefined) throw new Error("the guest was sent a malformed datagram");
      this.datagrams.push({ ...datagram, from: packet.source.join(".") });
    }
    if (packet.protocol === PROTOCOL_TCP) this.#waiting.push(packet);
  }

  /** Takes the segments that have come: a guest does nothing from inside of a call of its network. */
  settle(): void {
    for (let packet = this.#waiting.shift(); packet !== undefined; packet = this.#waiting.shift()) {
      this.#receiveTcp(packet);
    }
  }

  #receiveTcp(packet: IpPacket): void {
    // An answer to a frame in whose sender's address a fuzzer has put something else.
    if (packet.destination.length === 4 && packet.destination.join() !== GUEST_IP.join()) return;
    const segment = parseTcp(packet, false);
    if (segment === undefined) throw new Error("the guest was sent a malformed segment");
    this.segments.push(segment);
    const key = `${segment.destinationPort} ${segment.sourcePort} ${packet.source}`;
    const known = this.#connections.get(key);
    const accept = this.listening.get(segment.destinationPort);
    if (known !== undefined) known.tcp.receive(segment);
    else if ((segment.flags & (SYN | ACK)) === SYN && accept !== undefined) {
      const connection = this.#connection(key);
      const local = { address: GUEST_IP, port: segment.destinationPort };
      const remote = { address: packet.source.slice(), port: segment.sourcePort };
      connection.tcp = TcpConnection.accept(this.#surroundings(local, remote), eventsOf(connection), segment);
      accept(connection);
    }
  }

  #surroundings(local: { address: Uint8Array; port: number }, remote: { address: Uint8Array; port: number }) {
    const link = { sourceMac: GUEST_MAC, destinationMac: GATEWAY_MAC };
    return {
      clock: this.#clock,
      random: () => 0x12345678,
      segmentBytes: 1460,
      receiveBytes: 256 * 1024,
      send: (segment: TcpSegment, segmentBytes: number) => {
        const frame = tcpFrame(link, local, remote, segment, segmentBytes);
        for (const bytes of plainFrames(frame)) this.#port.send({ bytes });
      },
    };
  }
}

/** A connection's fields and its events have one name in common. */
function eventsOf(connection: GuestConnection): TcpEvents {
  return {
    established: () => connection.established(),
    data: (bytes) => connection.data(bytes),
    ended: () => {
      connection.ended = true;
    },
    acknowledged: () => connection.acknowledged(),
    closed: (why) => connection.closed(why),
  };
}
