import type { HostNetwork, HostSocketFailure, HostStream, HostStreamEvents } from "../../host/network.ts";
import type { Unreachable } from "../ip/icmp.ts";
import { addressKey, type IpAddress } from "../ip/ip-address.ts";
import type { IpPacket } from "../ip/ip-packet.ts";
import type { UdpEndpoint } from "../ip/udp.ts";
import { refusal, TcpConnection, type TcpEvents, type TcpSurroundings } from "../tcp/connection.ts";
import { ACK, parseTcp, RST, SYN, type TcpPorts, type TcpSegment, tcpFrame } from "../tcp/segment.ts";
import { GATEWAY } from "./addresses.ts";
import { findDestination } from "./destination.ts";
import type { GatewayContext } from "./gateway-context.ts";
import type { SavedConnection } from "./network-state.ts";

/** Connections at once, whoever began them. */
const MAXIMUM_FLOWS = 1024;
/** Connections of which the host's half is not there yet. */
const MAXIMUM_CONNECTING = 256;
/** What one connection may hold back in each direction, when there are few; many share ALL_BUFFERS_BYTES. */
const MAXIMUM_BUFFER_BYTES = 2 ** 20;
const ALL_BUFFERS_BYTES = 64 * 2 ** 20;
const FIRST_EPHEMERAL_PORT = 49152;

interface Flow {
  readonly key: string;
  readonly guest: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly stream: HostStream;
  /** Absent until the host has connected. */
  connection: TcpConnection | undefined;
  guestEnded: boolean;
  paused: boolean;
  /** What may wait in each direction: above, the host's socket is paused; below the half, it goes on. */
  readonly bufferBytes: number;
  usedNs: number;
}

/** Ends the guest's TCP connections here and carries their data over sockets of the host, both ways. */
export class TcpRelay {
  readonly #context: GatewayContext;
  readonly #host: HostNetwork;
  readonly #flows = new Map<string, Flow>();
  #connecting = 0;
  #nextPort = FIRST_EPHEMERAL_PORT;

  constructor(context: GatewayContext) {
    this.#context = context;
    this.#host = context.host;
  }

  /** Connections under way. */
  get size(): number {
    return this.#flows.size;
  }

  /** Those of which the guest knows that they are there. */
  get connections(): SavedConnection[] {
    return [...this.#flows.values()]
      .filter(({ connection }) => connection !== undefined)
      .map(({ guest, remote }) => ({
        ...{ guest: guest.address.slice(), guestPort: guest.port },
        ...{ remote: remote.address.slice(), remotePort: remote.port },
      }));
  }

  /**
   * Ends connections of which nothing is left but the guest's end. A SYN is answered with an acknowledgement (RFC 5961,
   * section 4), which tells the sequence number that a reset must have: it is refused like any that belongs to nothing.
   */
  breakOff(connections: readonly SavedConnection[]): void {
    for (const { guest, guestPort, remote, remotePort } of connections) {
      const [from, to] = [
        { address: remote, port: remotePort },
        { address: guest, port: guestPort },
      ];
      const sequence = this.#context.random();
      const syn = { sequence, acknowledgement: 0, flags: SYN, window: 0, payload: new Uint8Array() };
      this.#context.neighbours.send(guest, (link) => [tcpFrame(link, from, to, syn, 1440)]);
    }
  }

  /** Takes a packet of the guest. */
  receive(packet: IpPacket, checksumLeft: boolean): void {
    const segment = parseTcp(packet, checksumLeft);
    if (segment === undefined) return;
    const guest = { address: packet.source, port: segment.sourcePort };
    const remote = { address: packet.destination, port: segment.destinationPort };
    const key = flowKey(guest, remote);
    const flow = this.#flows.get(key);
    const isSyn = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (flow?.connection !== undefined && !(isSyn && flow.connection.lingering)) {
      flow.usedNs = this.#context.clock.nowNs();
      flow.connection.receive(segment);
    } else if (flow !== undefined && flow.connection === undefined) {
      // The host has not connected yet: a SYN again changes nothing, but the guest may give up.
      if ((segment.flags & RST) !== 0) this.#drop(flow);
    } else if (isSyn) {
      if (flow !== undefined) this.#drop(flow);
      this.#connect(own(guest), own(remote), packet, segment);
    } else this.#refuse(guest, remote, segment);
  }

  /** Carries a connection that came to the host on to the guest. Returns what its stream has to call. */
  forward(stream: HostStream, guest: UdpEndpoint): HostStreamEvents {
    const remote = { address: GATEWAY, port: this.#ephemeralPort(guest) };
    const flow = this.#add(guest, remote, stream);
    const events = this.#connectionEvents(flow);
    flow.connection = TcpConnection.open(this.#surroundings(flow, guest, remote), events);
    return this.#streamEvents(flow, () => {});
  }

  /** Breaks off everything. */
  close(): void {
    for (const flow of [...this.#flows.values()]) {
      flow.connection?.abort();
      this.#drop(flow);
    }
  }

  #connect(guest: UdpEndpoint, remote: UdpEndpoint, packet: IpPacket, syn: TcpSegment & TcpPorts): void {
    const destination = findDestination("tcp", remote, this.#context);
    if (destination.kind === "nobody" || destination.kind === "denied") {
      if (destination.kind === "denied") this.#context.unreachable(packet, "prohibited");
      this.#refuse(guest, remote, syn);
      return;
    }
    // The guest asks again, and by then there may be room.
    if (this.#connecting >= MAXIMUM_CONNECTING) return;
    const kept = ownPacket(packet);
    const ownSyn = { ...syn, payload: new Uint8Array() };
    let flow: Flow | undefined;
    let settled = false;
    const settle = () => {
      if (!settled) this.#connecting--;
      settled = true;
    };
    this.#connecting++;
    const proxy: HostStreamEvents = {
      connected: () => {
        settle();
        if (flow === undefined || !this.#isCurrent(flow)) return;
        flow.connection = TcpConnection.accept(
          this.#surroundings(flow, guest, remote),
          this.#connectionEvents(flow),
          ownSyn,
        );
      },
      data: (bytes) => events.data(bytes),
      ended: () => events.ended(),
      written: (bytes) => events.written(bytes),
      closed: (failure) => {
        settle();
        events.closed(failure);
      },
    };
    flow = this.#add(guest, remote, this.#host.connect(destination.to, proxy), settle);
    const events = this.#streamEvents(flow, (failure) => {
      const why = unreachableFor(failure);
      if (why !== undefined) this.#context.unreachable(kept, why);
      else this.#refuse(guest, remote, ownSyn);
    });
  }

  #add(guest: UdpEndpoint, remote: UdpEndpoint, stream: HostStream, dropped?: () => void): Flow {
    if (this.#flows.size >= MAXIMUM_FLOWS) this.#dropLeastUsed();
    const usedNs = this.#context.clock.nowNs();
    const bufferBytes = Math.min(MAXIMUM_BUFFER_BYTES, ALL_BUFFERS_BYTES / (this.#flows.size + 1));
    const key = flowKey(guest, remote);
    const flow: Flow = {
      ...{ key, guest, remote },
      stream,
      connection: undefined,
      guestEnded: false,
      paused: false,
      bufferBytes,
      usedNs,
    };
    this.#flows.set(key, flow);
    if (dropped !== undefined) this.#onDrop.set(flow, dropped);
    return flow;
  }

  readonly #onDrop = new WeakMap<Flow, () => void>();

  /** What the host's socket tells us. `failed`: it did before there was a connection with the guest. */
  #streamEvents(flow: Flow, failed: (failure: HostSocketFailure) => void): HostStreamEvents {
    return {
      connected() {},
      data: (bytes) => {
        flow.usedNs = this.#context.clock.nowNs();
        flow.connection?.write(bytes);
        if (flow.paused || (flow.connection?.queuedBytes ?? 0) < flow.bufferBytes) return;
        flow.paused = true;
        flow.stream.pause();
      },
      ended: () => flow.connection?.end(),
      written: (bytes) => flow.connection?.consumed(bytes),
      closed: (failure) => {
        if (!this.#isCurrent(flow)) return;
        if (flow.connection === undefined) {
          this.#remove(flow);
          failed(failure ?? "other");
        } else if (failure !== undefined || !flow.guestEnded) {
          flow.connection.abort();
          this.#remove(flow);
        }
      },
    };
  }

  /** What the connection with the guest tells us. */
  #connectionEvents(flow: Flow): TcpEvents {
    return {
      established() {},
      data: (bytes) => flow.stream.write(bytes),
      ended: () => {
        flow.guestEnded = true;
        flow.stream.end();
      },
      acknowledged: () => {
        if (!flow.paused || (flow.connection?.queuedBytes ?? 0) > flow.bufferBytes / 2) return;
        flow.paused = false;
        flow.stream.resume();
      },
      closed: (why) => {
        if (why === "done") this.#remove(flow);
        else this.#drop(flow);
      },
    };
  }

  #surroundings(flow: Flow, guest: UdpEndpoint, remote: UdpEndpoint): TcpSurroundings {
    const { clock, random, neighbours } = this.#context;
    return {
      clock,
      random,
      receiveBytes: Math.floor(flow.bufferBytes),
      segmentBytes: guest.address.length === 4 ? 1460 : 1440,
      send: (segment, segmentBytes) =>
        neighbours.send(guest.address, (link) => [tcpFrame(link, remote, guest, segment, segmentBytes)]),
    };
  }

  #refuse(guest: UdpEndpoint, remote: UdpEndpoint, segment: TcpSegment): void {
    const answer = refusal(segment);
    if (answer === undefined) return;
    const [from, to] = [own(remote), own(guest)];
    this.#context.neighbours.send(to.address, (link) => [tcpFrame(link, from, to, answer, 1440)]);
  }

  /** A guest that was reset has forgotten its connections without a word; they go first. */
  #dropLeastUsed(): void {
    let least: Flow | undefined;
    for (const flow of this.#flows.values()) {
      if (least === undefined || flow.usedNs < least.usedNs) least = flow;
    }
    least?.connection?.abort();
    if (least !== undefined) this.#drop(least);
  }

  #drop(flow: Flow): void {
    if (!this.#isCurrent(flow)) return;
    this.#remove(flow);
    flow.stream.reset();
  }

  #remove(flow: Flow): void {
    if (!this.#isCurrent(flow)) return;
    this.#flows.delete(flow.key);
    this.#onDrop.get(flow)?.();
  }

  #isCurrent(flow: Flow): boolean {
    return this.#flows.get(flow.key) === flow;
  }

  #ephemeralPort(guest: UdpEndpoint): number {
    for (;;) {
      const port = this.#nextPort;
      this.#nextPort = port === 65535 ? FIRST_EPHEMERAL_PORT : port + 1;
      if (!this.#flows.has(flowKey(guest, { address: GATEWAY, port }))) return port;
    }
  }
}

function flowKey(guest: UdpEndpoint, remote: UdpEndpoint): string {
  return `${addressKey(guest.address)}${addressKey(remote.address)}${guest.port}:${remote.port}`;
}

/** A copy that does not keep the whole frame in memory. */
function own({ address, port }: UdpEndpoint): UdpEndpoint {
  return { address: address.slice(), port };
}

function ownPacket(packet: IpPacket): IpPacket {
  const whole = packet.whole.slice(0, 128);
  return {
    ...packet,
    source: ownAddress(packet.source),
    destination: ownAddress(packet.destination),
    whole,
    payload: whole,
  };
}

function ownAddress(address: IpAddress): IpAddress {
  return address.slice();
}

/** What the guest is told when the host could not connect; undefined: a reset, as from a closed port. */
function unreachableFor(failure: HostSocketFailure): Unreachable | undefined {
  if (failure === "unreachable") return "network";
  return failure === "timed-out" ? "host" : undefined;
}
