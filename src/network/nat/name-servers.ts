import type { HostEndpoint } from "../../host/network.ts";

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
