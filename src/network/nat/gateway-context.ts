import type { Clock } from "../../bus/clock.ts";
import type { HostNetwork } from "../../host/network.ts";
import type { Unreachable } from "../ip/icmp.ts";
import type { IpPacket } from "../ip/ip-packet.ts";
import type { AccessRules } from "./access-rules.ts";
import type { NameServers } from "./name-servers.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Services } from "./services.ts";

/** What the relays of a gateway share. */
export interface GatewayContext {
  readonly clock: Clock;
  readonly host: HostNetwork;
  readonly rules: AccessRules;
  readonly nameServers: NameServers;
  readonly services: Services;
  readonly neighbours: Neighbours;
  /** 32 random bits. */
  random(): number;
  /** Tells a packet's sender why it does not go on. */
  unreachable(packet: IpPacket, why: Unreachable): void;
}
