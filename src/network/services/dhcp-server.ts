import { type IpAddress, sameAddress } from "../ip/ip-address.ts";
import { MTU } from "../link/ethernet.ts";
import { macKey } from "../link/mac-address.ts";
import * as dhcp from "./dhcp-message.ts";

const LEASE_S = 86400;

/** What a DHCP server hands out. */
export interface DhcpPool {
  readonly server: IpAddress;
  readonly router: IpAddress;
  readonly dns: IpAddress;
  readonly subnetMask: IpAddress;
  /** The first client's address; the next ones follow. */
  readonly first: IpAddress;
  /** How many there are. When all are given, the client unseen for longest loses its own. */
  readonly count: number;
}

/** Gives each station an address by its MAC address (RFC 2131). A station that comes back gets the same one. */
export class DhcpServer {
  readonly #pool: DhcpPool;
  /** MAC address -> which of the pool; in the order in which they were last seen. */
  readonly #leases = new Map<string, number>();

  constructor(pool: DhcpPool) {
    this.#pool = pool;
  }

  /** Answers a message to the server's port; undefined when there is nothing to say. */
  answer(message: Uint8Array): Uint8Array | undefined {
    const request = dhcp.parseDhcp(message);
    if (request === undefined) return undefined;
    const { server } = this.#pool;
    switch (request.type) {
      case dhcp.DISCOVER:
        return this.#grant(request, dhcp.OFFER);
      case dhcp.REQUEST: {
        if (request.server !== undefined && !sameAddress(request.server, server)) return undefined;
        const lease = this.#addressOf(macKey(request.mac));
        const wanted = request.requested ?? request.clientAddress;
        if (sameAddress(wanted, lease)) return this.#grant(request, dhcp.ACKNOWLEDGE);
        return dhcp.writeDhcp(request, dhcp.REFUSE, server, undefined, []);
      }
      case dhcp.INFORM:
        return dhcp.writeDhcp(request, dhcp.ACKNOWLEDGE, server, undefined, this.#network());
      default:
        return undefined;
    }
  }

  #grant(request: dhcp.DhcpRequest, type: number): Uint8Array {
    const address = this.#addressOf(macKey(request.mac));
    const lease = [0, 8, 16, 24].map((shift) => (LEASE_S >>> (24 - shift)) & 0xff);
    const options = [...this.#network(), [dhcp.OPTION_LEASE_TIME, lease] as const];
    return dhcp.writeDhcp(request, type, this.#pool.server, address, options);
  }

  #network() {
    const { router, dns, subnetMask } = this.#pool;
    return [
      [dhcp.OPTION_SUBNET_MASK, subnetMask],
      [dhcp.OPTION_ROUTER, router],
      [dhcp.OPTION_DNS, dns],
      [dhcp.OPTION_MTU, [MTU >> 8, MTU & 0xff]],
    ] as const;
  }

  #addressOf(key: string): IpAddress {
    const index = this.#leases.get(key) ?? this.#freeIndex();
    this.#leases.delete(key);
    this.#leases.set(key, index);
    const address = this.#pool.first.slice();
    address[3]! += index;
    return address;
  }

  #freeIndex(): number {
    const taken = new Set(this.#leases.values());
    for (let index = 0; index < this.#pool.count; index++) if (!taken.has(index)) return index;
    const [oldest] = this.#leases.entries();
    this.#leases.delete(oldest![0]);
    return oldest![1];
  }
}
