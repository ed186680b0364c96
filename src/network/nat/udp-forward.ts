import type { HostDatagramSocket, HostEndpoint, HostSocketFailure } from "../../host/network.ts";
import { type UdpEndpoint, udpFrames } from "../ip/udp.ts";
import { GATEWAY } from "./addresses.ts";
import type { GatewayContext } from "./gateway-context.ts";

const MAXIMUM_CLIENTS = 256;
const FIRST_PORT = 32768;

/** Carries datagrams that come to a port of the host on to the guest, and its answers back to each sender. */
export class UdpForward {
  readonly #context: GatewayContext;
  readonly #guest: UdpEndpoint;
  readonly #socket: HostDatagramSocket;
  /** Client -> the gateway's port that stands for it, in the order of last use. */
  readonly #ports = new Map<string, { port: number; client: HostEndpoint }>();
  readonly #takePort: () => number;

  /** `takePort` gives a port of the gateway that no other forward uses. */
  constructor(
    context: GatewayContext,
    at: HostEndpoint,
    guest: UdpEndpoint,
    takePort: () => number,
    events: { opened(): void; failed(failure: HostSocketFailure): void },
  ) {
    this.#context = context;
    this.#guest = guest;
    this.#takePort = takePort;
    const family = at.address.includes(":") ? 6 : 4;
    this.#socket = context.host.openDatagrams(family, at, {
      datagram: (bytes, from) => this.#deliver(bytes, from),
      opened: () => events.opened(),
      failed: (failure) => events.failed(failure),
    });
  }

  /** Takes the guest's answer to one of the gateway's ports; false when it is not for a client of this forward. */
  answer(port: number, payload: Uint8Array): boolean {
    for (const entry of this.#ports.values()) {
      if (entry.port !== port) continue;
      this.#socket.send(payload, entry.client);
      return true;
    }
    return false;
  }

  close(): void {
    this.#socket.close();
  }

  #deliver(bytes: Uint8Array, client: HostEndpoint): void {
    const key = `${client.address} ${client.port}`;
    const entry = this.#ports.get(key) ?? { port: this.#takePort(), client };
    this.#ports.delete(key);
    this.#ports.set(key, entry);
    if (this.#ports.size > MAXIMUM_CLIENTS) {
      const [oldest] = this.#ports.keys();
      this.#ports.delete(oldest!);
    }
    const from = { address: GATEWAY, port: entry.port };
    this.#context.neighbours.send(this.#guest.address, (link) => udpFrames(link, from, this.#guest, bytes));
  }
}

/** Ports of the gateway for the clients of all forwards, in turn: more than clients can be remembered. */
export function portsInTurn(): () => number {
  let next = 0;
  return () => FIRST_PORT + (next++ & 0x3fff);
}
