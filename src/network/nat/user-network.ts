import type { Clock } from "../../bus/clock.ts";
import type { EthernetPort, Frame } from "../../host/ethernet-port.ts";
import type {
  HostEndpoint,
  HostListener,
  HostNetwork,
  HostSocketFailure,
  HostStream,
} from "../../host/network.ts";
import { readU16 } from "../big-endian.ts";
import * as icmp from "../ip/icmp.ts";
import { type IpAddress, inRange, sameAddress } from "../ip/ip-address.ts";
import {
  type IpPacket,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseIpFrame,
} from "../ip/ip-packet.ts";
import {
  neighbourAdvertisement,
  parseNeighbourMessage,
  routerAdvertisement,
} from "../ip/neighbour-discovery.ts";
import { Reassembly } from "../ip/reassembly.ts";
import { parseUdp, type UdpDatagram, udpFrames } from "../ip/udp.ts";
import { answerArp, parseArp } from "../link/arp.ts";
import { ETHERNET_HEADER_BYTES, ETHERTYPE_ARP } from "../link/ethernet.ts";
import { BROADCAST_MAC } from "../link/mac-address.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../services/dhcp-message.ts";
import { DhcpServer } from "../services/dhcp-server.ts";
import { type AccessRule, AccessRules } from "./access-rules.ts";
import * as layout from "./addresses.ts";
import type { GatewayContext } from "./gateway-context.ts";
import { NameServers } from "./name-servers.ts";
import { Neighbours } from "./neighbours.ts";
import { isNetworkState, type UserNetworkState } from "./network-state.ts";
import { type Service, Services } from "./services.ts";
import { TcpRelay } from "./tcp-relay.ts";
import { portsInTurn, UdpForward } from "./udp-forward.ts";
import { UdpRelay } from "./udp-relay.ts";

/** A router advertises itself anew long before what it said has run out. */
const ADVERTISEMENT_INTERVAL_NS = 600e9;
const BROADCAST_V4 = Uint8Array.of(255, 255, 255, 255);

/** A port of the host that leads to one of a guest. */
export interface PortForward {
  readonly protocol: "tcp" | "udp";
  readonly host: HostEndpoint;
  /** The first guest, 10.0.2.15, if absent. */
  readonly guestAddress?: IpAddress;
  readonly guestPort: number;
}

export interface UserNetworkOptions {
  readonly clock: Clock;
  readonly host: HostNetwork;
  /** 32 random bits. */
  readonly random: () => number;
  readonly allow?: readonly AccessRule[];
  readonly deny?: readonly AccessRule[];
  /** Asked in place of the host's own. */
  readonly nameServers?: readonly HostEndpoint[];
  /** Names that lead to programs on the host. */
  readonly services?: readonly Service[];
  /** False: no router advertisements, and IPv6 packets go nowhere. */
  readonly ipv6?: boolean;
}

/**
 * A network for guests that needs no privileges: a gateway with DHCP and DNS
 * that ends the guests' TCP connections and datagram flows and carries them
 * over ordinary sockets of the host. `src/network/nat/addresses.ts` has its layout.
 *
 * Pings are answered at the gateway's own addresses only: an ordinary program
 * cannot send any. Elsewhere they are answered with "prohibited".
 */
export class UserNetwork implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #ipv6: boolean;
  readonly #clock: Clock;
  readonly #context: GatewayContext;
  readonly #neighbours: Neighbours;
  readonly #services: Services;
  readonly #reassembly: Reassembly;
  readonly #dhcp: DhcpServer;
  readonly #tcp: TcpRelay;
  readonly #udp: UdpRelay;
  readonly #udpForwards: UdpForward[] = [];
  readonly #listeners: HostListener[] = [];
  readonly #takePort = portsInTurn();
  #advertising = false;
  #closed = false;

  constructor(options: UserNetworkOptions) {
    const { clock, host, nameServers } = options;
    this.#clock = clock;
    this.#ipv6 = options.ipv6 ?? true;
    this.#neighbours = new Neighbours((frame) => this.onFrame(frame));
    this.#reassembly = new Reassembly(() => clock.nowNs());
    this.#services = new Services(options.services ?? []);
    this.#context = {
      clock,
      host,
      random: options.random,
      rules: new AccessRules(options.allow ?? [], options.deny ?? [], () => clock.nowNs()),
      nameServers: new NameServers(() => nameServers ?? host.nameServers()),
      neighbours: this.#neighbours,
      services: this.#services,
      unreachable: (packet, why) => this.#unreachable(packet, why),
    };
    this.#dhcp = new DhcpServer({
      server: layout.GATEWAY,
      router: layout.GATEWAY,
      dns: layout.NAME_SERVER,
      subnetMask: layout.SUBNET_MASK,
      first: layout.FIRST_GUEST,
      count: layout.GUEST_COUNT,
    });
    this.#tcp = new TcpRelay(this.#context);
    this.#udp = new UdpRelay(this.#context);
  }

  /** What is under way, for statistics and tests. */
  get load(): { readonly connections: number; readonly datagramPorts: number; readonly fragments: number } {
    return { connections: this.#tcp.size, datagramPorts: this.#udp.size, fragments: this.#reassembly.size };
  }

  /** Opens a port of the host; one of `events` follows. */
  forward(forward: PortForward, events: { opened(): void; failed(reason: string): void }): void {
    const guest = { address: forward.guestAddress ?? layout.FIRST_GUEST, port: forward.guestPort };
    const opened = () => events.opened();
    const failed = (why: HostSocketFailure) =>
      events.failed(why === "in-use" ? "is in use" : "cannot be opened");
    const { host } = this.#context;
    if (forward.protocol === "udp") {
      const relay = new UdpForward(this.#context, forward.host, guest, this.#takePort, { opened, failed });
      this.#udpForwards.push(relay);
      return;
    }
    const accept = (stream: HostStream) => this.#tcp.forward(stream, guest);
    this.#listeners.push(host.listen(forward.host, { listening: opened, accept, failed }));
  }

  /** Ends all connections and closes all ports. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.close();
    for (const forward of this.#udpForwards) forward.close();
    this.#tcp.close();
    this.#udp.close();
  }

  saveState(): UserNetworkState {
    return { stations: this.#neighbours.stations, connections: this.#tcp.connections };
  }

  /** The host's ends of the connections are gone: the guest is made to find out. */
  restoreState(state: unknown): void {
    if (!isNetworkState(state)) return;
    for (const { address, mac } of state.stations) this.#neighbours.learn(address, mac);
    this.#tcp.breakOff(state.connections);
  }

  /** Takes a frame of a guest. */
  send(frame: Frame): void {
    const { bytes } = frame;
    if (this.#closed || bytes.length < ETHERNET_HEADER_BYTES) return;
    if (readU16(bytes, 12) === ETHERTYPE_ARP) {
      this.#receiveArp(bytes);
      return;
    }
    const isForUs = (bytes[0]! & 1) !== 0 || sameAddress(bytes.subarray(0, 6), layout.GATEWAY_MAC);
    const packet = isForUs ? parseIpFrame(bytes) : undefined;
    if (packet === undefined || (packet.source.length === 16 && !this.#ipv6)) return;
    const isGuest = layout.isGuestAddress(packet.source);
    if (isGuest) this.#neighbours.learn(packet.source, bytes.subarray(6, 12));
    const whole = packet.fragment === undefined ? packet : this.#reassembly.add(packet);
    if (whole === undefined) return;
    this.#receivePacket(whole, bytes, frame.offload !== undefined, isGuest);
  }

  #receiveArp(bytes: Uint8Array): void {
    const message = parseArp(bytes);
    if (message === undefined) return;
    if (layout.isGuestAddress(message.senderIp)) this.#neighbours.learn(message.senderIp, message.senderMac);
    for (const address of [layout.GATEWAY, layout.NAME_SERVER, ...this.#services.addresses]) {
      const answer = answerArp(message, layout.GATEWAY_MAC, address);
      if (answer !== undefined) this.onFrame(answer);
    }
  }

  #receivePacket(packet: IpPacket, frame: Uint8Array, checksumLeft: boolean, isGuest: boolean): void {
    const { protocol, destination } = packet;
    if (
      protocol === PROTOCOL_ICMPV6 &&
      packet.source.length === 16 &&
      this.#discover(packet, frame, checksumLeft)
    ) {
      return;
    }
    const datagram = protocol === PROTOCOL_UDP ? parseUdp(packet, checksumLeft) : undefined;
    if (datagram?.destinationPort === DHCP_SERVER_PORT && packet.source.length === 4) {
      this.#answerDhcp(datagram);
      return;
    }
    // The rest is for stations that have an address, and for one receiver.
    const isGroup = destination[0] === 0xff || (destination.length === 4 && destination[0]! >= 224);
    if (!isGuest || isGroup) return;
    if (packet.hopLimit <= 1 && !layout.isOwnAddress(destination)) {
      this.#unreachable(packet, "hop-limit");
      return;
    }
    if (protocol === PROTOCOL_TCP) this.#tcp.receive(packet, checksumLeft);
    else if (datagram !== undefined) this.#receiveDatagram(packet, datagram);
    else if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6)
      this.#receiveIcmp(packet, checksumLeft);
  }

  #answerDhcp(datagram: UdpDatagram): void {
    const answer = this.#dhcp.answer(datagram.payload);
    if (answer === undefined) return;
    // Whoever asks has no address to which an answer could go; its MAC address stands in the message.
    const destinationMac = datagram.payload.slice(28, 34);
    const link = {
      sourceMac: layout.GATEWAY_MAC,
      destinationMac: (answer[10]! & 0x80) !== 0 ? BROADCAST_MAC : destinationMac,
    };
    const from = { address: layout.GATEWAY, port: DHCP_SERVER_PORT };
    const to = { address: BROADCAST_V4, port: DHCP_CLIENT_PORT };
    for (const frame of udpFrames(link, from, to, answer)) this.onFrame(frame);
  }

  #receiveDatagram(packet: IpPacket, datagram: UdpDatagram): void {
    const { destinationPort, payload } = datagram;
    const isAnswer =
      layout.isGateway(packet.destination) &&
      this.#udpForwards.some((forward) => forward.answer(destinationPort, payload));
    if (!isAnswer) this.#udp.receive(packet, datagram);
  }

  #receiveIcmp(packet: IpPacket, checksumLeft: boolean): void {
    const message = icmp.parseIcmp(packet, checksumLeft);
    if (message === undefined || !icmp.isEchoRequest(packet, message)) return;
    if (!layout.isOwnAddress(packet.destination)) this.#unreachable(packet, "prohibited");
    else {
      const answer = packet.payload.length > 1452 ? undefined : message;
      if (answer !== undefined)
        this.#neighbours.send(packet.source, (link) => [icmp.echoReply(link, packet, answer)]);
    }
  }

  /** IPv6 neighbour discovery; false when the packet is something else. */
  #discover(packet: IpPacket, frame: Uint8Array, checksumLeft: boolean): boolean {
    const message = icmp.parseIcmp(packet, checksumLeft);
    const found = message === undefined ? undefined : parseNeighbourMessage(packet, message);
    if (found === undefined) return false;
    const senderMac = frame.slice(6, 12);
    if (found.kind === "router-solicitation") this.#advertise();
    else if (found.kind === "advertisement") {
      if (layout.isGuestAddress(found.target)) {
        this.#neighbours.learn(found.target, found.targetMac ?? senderMac);
      }
    } else if (found.target.length === 16 && layout.isOwnAddress(found.target)) {
      const asker = { mac: found.senderMac ?? senderMac, address: packet.source.slice() };
      this.onFrame(neighbourAdvertisement(layout.GATEWAY_MAC, found.target, asker));
    }
    return true;
  }

  #advertise(): void {
    this.onFrame(
      routerAdvertisement({
        mac: layout.GATEWAY_MAC,
        linkLocal: layout.GATEWAY_LINK_LOCAL,
        prefix: layout.PREFIX,
        dnsServer: layout.NAME_SERVER_V6,
      }),
    );
    if (this.#advertising) return;
    this.#advertising = true;
    this.#clock.schedule(this.#clock.nowNs() + ADVERTISEMENT_INTERVAL_NS, () => {
      this.#advertising = false;
      if (!this.#closed) this.#advertise();
    });
  }

  #unreachable(packet: IpPacket, why: icmp.Unreachable): void {
    const isIpv4 = packet.source.length === 4;
    const from = isIpv4
      ? layout.GATEWAY
      : inRange(packet.source, layout.PREFIX)
        ? layout.GATEWAY_V6
        : layout.GATEWAY_LINK_LOCAL;
    this.#neighbours.send(packet.source.slice(), (link) => [icmp.unreachable(link, from, packet, why)]);
  }
}
