import type { HostEndpoint } from "../../host/network.ts";
import { formatIp, parseIp } from "../ip/ip-address.ts";

const DNS_PORT = 53;

/** Reads `ADDRESS`, `ADDRESS:PORT` or `[IPv6]:PORT`; undefined for anything else. */
export function parseNameServer(text: string): HostEndpoint | undefined {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]+)(?::(\d{1,5}))?$/.exec(text);
  const address = parseIp(match?.[1] ?? text);
  const port = Number(match?.[2] ?? DNS_PORT);
  return address !== undefined && port > 0 && port <= 65535
    ? { address: formatIp(address), port }
    : undefined;
}

/** The servers that the guest's questions go to. One that leaves questions open is asked after those that answer. */
export class NameServers {
  readonly #servers: () => readonly HostEndpoint[];
  readonly #open = new Map<string, number>();

  constructor(servers: () => readonly HostEndpoint[]) {
    this.#servers = servers;
  }

  choose(): HostEndpoint | undefined {
    const servers = this.#servers().slice(0, 8);
    let best: HostEndpoint | undefined;
    for (const server of servers) {
      if (best === undefined || this.#openAt(server) < this.#openAt(best)) best = server;
    }
    return best;
  }

  asked(server: HostEndpoint): void {
    if (this.#open.size > 64) this.#open.clear();
    this.#open.set(nameOf(server), this.#openAt(server) + 1);
  }

  answered(server: HostEndpoint): void {
    this.#open.delete(nameOf(server));
  }

  #openAt(server: HostEndpoint): number {
    return this.#open.get(nameOf(server)) ?? 0;
  }
}

function nameOf({ address, port }: HostEndpoint): string {
  return `${address} ${port}`;
}
