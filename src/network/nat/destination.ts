import type { HostEndpoint } from "../../host/network.ts";
import { formatIp, type IpAddress } from "../ip/ip-address.ts";
import type { AccessRules } from "./access-rules.ts";
import { isGateway, isNameServer, isOutside } from "./addresses.ts";
import type { NameServers } from "./name-servers.ts";

const DNS_PORT = 53;

/** Where on the host's side a guest's packet goes. */
export type Destination =
  | { readonly kind: "host"; readonly to: HostEndpoint }
  | { readonly kind: "name-server"; readonly to: HostEndpoint }
  /** There is nobody. */
  | { readonly kind: "nobody" }
  /** The rules forbid it. */
  | { readonly kind: "denied" };

/** Finds where a packet for `address` and `port` goes. The gateway's address stands for the host's own loopback. */
export function findDestination(
  protocol: "tcp" | "udp",
  address: IpAddress,
  port: number,
  rules: AccessRules,
  nameServers: NameServers,
): Destination {
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
