import type { HostEndpoint, StreamAddress } from "../../host/network.ts";
import { formatIp } from "../ip/ip-address.ts";
import type { UdpEndpoint } from "../ip/udp.ts";
import { isGateway, isNameServer, isOutside } from "./addresses.ts";
import type { GatewayContext } from "./gateway-context.ts";

const DNS_PORT = 53;

/** Where on the host's side a guest's packet goes. */
export type Destination =
  | { readonly kind: "host"; readonly to: HostEndpoint }
  | { readonly kind: "name-server"; readonly to: HostEndpoint }
  /** Given by whoever made the network, so no rule is asked. */
  | { readonly kind: "service"; readonly to: StreamAddress }
  /** There is nobody. */
  | { readonly kind: "nobody" }
  /** The rules forbid it. */
  | { readonly kind: "denied" };

/** Finds where a packet for an endpoint goes. The gateway's address stands for the host's own loopback. */
export function findDestination(
  protocol: "tcp" | "udp",
  { address, port }: UdpEndpoint,
  { rules, nameServers, services }: GatewayContext,
): Destination {
  const service = protocol === "tcp" ? services.find({ address, port }) : undefined;
  if (service !== undefined) return { kind: "service", to: service };
  if (isNameServer(address)) {
    if (port !== DNS_PORT) return { kind: "nobody" };
    const to = nameServers.choose();
    // A stream of DNS messages is not looked into, so it would pass rules on names by.
    if (protocol === "tcp" && rules.usesNames) return { kind: "denied" };
    return to === undefined ? { kind: "nobody" } : { kind: "name-server", to };
  }
  const toHost = isGateway(address);
  if (!toHost && !isOutside(address)) return { kind: "nobody" };
  if (!rules.permits(protocol, address, port)) return { kind: "denied" };
  const loopback = address.length === 4 ? "127.0.0.1" : "::1";
  return { kind: "host", to: { address: toHost ? loopback : formatIp(address), port } };
}
