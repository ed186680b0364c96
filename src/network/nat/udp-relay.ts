import type { HostDatagramSocket, HostEndpoint } from "../../host/network.ts";
import { addressKey, type IpAddress } from "../ip/ip-address.ts";
import type { IpPacket } from "../ip/ip-packet.ts";
import { type UdpDatagram, type UdpEndpoint, udpFrames } from "../ip/udp.ts";
import {
  dnsFailure,
  NAME_ERROR,
  parseDnsAnswer,
  questionName,
  SERVER_FAILURE,
} from "../services/dns-message.ts";
import { isNameServer } from "./addresses.ts";
import { findDestination } from "./destination.ts";
import type { GatewayContext } from "./gateway-context.ts";

/** How long a guest's port keeps its socket without traffic. */
const IDLE_NS = 60e9;
const MAXIMUM_SESSIONS = 256;
/** Whom one port of the guest may hear from; the first asked gives way. */
const MAXIMUM_PEERS = 256;

interface Peer {
  /** As the guest addressed it. */
  readonly seen: UdpEndpoint;
  readonly isNameServer: boolean;
}

interface Session {
  readonly guest: UdpEndpoint;
  readonly socket: HostDatagramSocket;
  readonly peers: Map<string, Peer>;
  usedNs: number;
}

/**
 * Carries the guest's datagrams over sockets of the host: one for each port
 * the guest sends from, through which only those it has sent to may answer.
 */
export class UdpRelay {
  readonly #context: GatewayContext;
  /** In the order of their last use. */
  readonly #sessions = new Map<string, Session>();
  #sweeping = false;

  constructor(context: GatewayContext) {
    this.#context = context;
  }

  /** Ports of guests that have a socket. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Takes a datagram of the guest. */
  receive(packet: IpPacket, datagram: UdpDatagram): void {
    const guest = { address: packet.source.slice(), port: datagram.sourcePort };
    const seen = { address: packet.destination.slice(), port: datagram.destinationPort };
    const { nameServers } = this.#context;
    if (isNameServer(seen.address) && seen.port === 53 && this.#answerItself(guest, seen, datagram.payload))
      return;
    const destination = findDestination("udp", seen, this.#context);
    if (destination.kind !== "host" && destination.kind !== "name-server") {
      this.#context.unreachable(packet, destination.kind === "denied" ? "prohibited" : "port");
      return;
    }
    const session = this.#session(guest);
    const key = endpointKey(destination.to);
    session.peers.delete(key);
    session.peers.set(key, { seen, isNameServer: destination.kind === "name-server" });
    if (session.peers.size > MAXIMUM_PEERS) {
      const [oldest] = session.peers.keys();
      session.peers.delete(oldest!);
    }
    if (destination.kind === "name-server") nameServers.asked(destination.to);
    session.socket.send(datagram.payload, destination.to);
  }

  close(): void {
    for (const session of this.#sessions.values()) session.socket.close();
    this.#sessions.clear();
  }

  /** Questions about names that are ours or denied, and those that nobody could be asked. */
  #answerItself(guest: UdpEndpoint, seen: UdpEndpoint, query: Uint8Array): boolean {
    const { rules, nameServers, services, neighbours } = this.#context;
    const own = services.answer(query);
    const name = rules.usesNames ? questionName(query) : undefined;
    const denied = name !== undefined && !rules.permitsName(name);
    if (own === undefined && !denied && nameServers.choose() !== undefined) return false;
    const answer = own ?? dnsFailure(query, denied ? NAME_ERROR : SERVER_FAILURE);
    if (answer !== undefined) neighbours.send(guest.address, (link) => udpFrames(link, seen, guest, answer));
    return true;
  }

  #session(guest: UdpEndpoint): Session {
    const key = sessionKey(guest.address, guest.port);
    const known = this.#sessions.get(key);
    if (known !== undefined) {
      this.#touch(key, known);
      return known;
    }
    if (this.#sessions.size >= MAXIMUM_SESSIONS) {
      const [oldest] = this.#sessions.keys();
      this.#end(oldest!);
    }
    const family = guest.address.length === 4 ? 4 : 6;
    const socket = this.#context.host.openDatagrams(family, undefined, {
      datagram: (bytes, from) => this.#deliver(key, session, bytes, from),
      failed: () => {
        if (this.#sessions.get(key) === session) this.#end(key);
      },
    });
    const session: Session = { guest, socket, peers: new Map(), usedNs: this.#context.clock.nowNs() };
    this.#sessions.set(key, session);
    this.#sweepLater();
    return session;
  }

  #deliver(key: string, session: Session, bytes: Uint8Array, from: HostEndpoint): void {
    if (this.#sessions.get(key) !== session) return;
    const peer = session.peers.get(endpointKey(from));
    if (peer === undefined) return;
    this.#touch(key, session);
    if (peer.isNameServer) this.#noteAnswer(bytes, from);
    this.#context.neighbours.send(session.guest.address, (link) =>
      udpFrames(link, peer.seen, session.guest, bytes),
    );
  }

  #noteAnswer(bytes: Uint8Array, from: HostEndpoint): void {
    const { rules, nameServers } = this.#context;
    nameServers.answered(from);
    if (!rules.usesNames) return;
    const answer = parseDnsAnswer(bytes);
    for (const { address, lifetimeS } of answer?.addresses ?? []) {
      rules.learn(answer!.name, address, lifetimeS * 1e9);
    }
  }

  #touch(key: string, session: Session): void {
    session.usedNs = this.#context.clock.nowNs();
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
  }

  #end(key: string): void {
    this.#sessions.get(key)?.socket.close();
    this.#sessions.delete(key);
  }

  #sweepLater(): void {
    if (this.#sweeping || this.#sessions.size === 0) return;
    this.#sweeping = true;
    const { clock } = this.#context;
    clock.schedule(clock.nowNs() + IDLE_NS / 2, () => {
      this.#sweeping = false;
      const nowNs = clock.nowNs();
      for (const [key, { usedNs }] of [...this.#sessions]) if (nowNs - usedNs >= IDLE_NS) this.#end(key);
      this.#sweepLater();
    });
  }
}

function sessionKey(address: IpAddress, port: number): string {
  return `${addressKey(address)}${port}`;
}

function endpointKey({ address, port }: HostEndpoint): string {
  return `${address} ${port}`;
}
