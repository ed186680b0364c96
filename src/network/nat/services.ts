import type { StreamAddress } from "../../host/network.ts";
import type { UdpEndpoint } from "../ip/udp.ts";
import { dnsAddress } from "../services/dns-message.ts";
import { isService, MOST_SERVICES, serviceAddress } from "./addresses.ts";

/** A name that exists for guests only, with a TCP port at which something on the host answers. */
export interface Service {
  /** In lower case. */
  readonly name: string;
  readonly port: number;
  readonly to: StreamAddress;
}

/** Names and addresses of services: each name has an address of the guest's own network. */
export class Services {
  /** Name -> its number. */
  readonly #names = new Map<string, number>();
  /** "number port" -> where it leads. */
  readonly #ports = new Map<string, StreamAddress>();

  constructor(services: readonly Service[]) {
    for (const { name, port, to } of services) {
      const number = this.#names.get(name) ?? this.#names.size;
      if (number >= MOST_SERVICES) throw new RangeError(`more than ${MOST_SERVICES} names of services`);
      this.#names.set(name, number);
      this.#ports.set(`${number} ${port}`, to);
    }
  }

  /** Addresses at which there is anything. */
  get addresses(): Uint8Array[] {
    return Array.from({ length: this.#names.size }, (_, number) => serviceAddress(number));
  }

  find({ address, port }: UdpEndpoint): StreamAddress | undefined {
    return isService(address) ? this.#ports.get(`${address[3]! - serviceAddress(0)[3]!} ${port}`) : undefined;
  }

  /** The answer to a question about a name of ours; undefined for any other message. */
  answer(query: Uint8Array): Uint8Array | undefined {
    if (this.#names.size === 0) return undefined;
    return dnsAddress(query, (name) => {
      const number = this.#names.get(name);
      return number === undefined ? undefined : serviceAddress(number);
    });
  }
}
