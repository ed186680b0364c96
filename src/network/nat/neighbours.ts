import type { Frame } from "../../host/ethernet-port.ts";
import { addressKey, addressOfKey, type IpAddress } from "../ip/ip-address.ts";
import type { LinkAddresses } from "../ip/ip-packet.ts";
import { neighbourSolicitation } from "../ip/neighbour-discovery.ts";
import { ARP_REQUEST, arpFrame } from "../link/arp.ts";
import { isMulticastMac, type MacAddress } from "../link/mac-address.ts";
import { GATEWAY, GATEWAY_LINK_LOCAL, GATEWAY_MAC } from "./addresses.ts";

const MAXIMUM_STATIONS = 512;
const MAXIMUM_WAITING_STATIONS = 32;
const MAXIMUM_WAITING_EACH = 8;

/** Makes the frames of a packet when its station's address is known. */
type FramesFor = (link: LinkAddresses) => readonly Frame[];

/** Who has which address on the guest's side, and the packets that wait for the answer to that. */
export class Neighbours {
  readonly #transmit: (frame: Frame) => void;
  /** In the order in which they were last heard; the first one gives way. */
  readonly #stations = new Map<string, MacAddress>();
  readonly #waiting = new Map<string, FramesFor[]>();

  constructor(transmit: (frame: Frame) => void) {
    this.#transmit = transmit;
  }

  /** All that are known. */
  get stations(): { address: IpAddress; mac: MacAddress }[] {
    return [...this.#stations].map(([key, mac]) => ({ address: addressOfKey(key), mac: mac.slice() }));
  }

  /** Takes note of a station that was heard. */
  learn(address: IpAddress, mac: MacAddress): void {
    if (isMulticastMac(mac)) return;
    const key = addressKey(address);
    const known = this.#stations.get(key);
    if (known === undefined || !equal(known, mac)) {
      this.#stations.delete(key);
      this.#stations.set(key, mac.slice());
      if (this.#stations.size > MAXIMUM_STATIONS) {
        const [oldest] = this.#stations.keys();
        this.#stations.delete(oldest!);
      }
    }
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    for (const frames of waiting) this.send(address, frames);
  }

  /** Sends to a station, after asking for it if it is not known. */
  send(address: IpAddress, frames: FramesFor): void {
    const key = addressKey(address);
    const mac = this.#stations.get(key);
    if (mac !== undefined) {
      for (const frame of frames({ sourceMac: GATEWAY_MAC, destinationMac: mac })) this.#transmit(frame);
      return;
    }
    const waiting = this.#waiting.get(key) ?? [];
    if (waiting.length < MAXIMUM_WAITING_EACH) waiting.push(frames);
    this.#waiting.set(key, waiting);
    if (this.#waiting.size > MAXIMUM_WAITING_STATIONS) {
      const [oldest] = this.#waiting.keys();
      this.#waiting.delete(oldest!);
    }
    this.#transmit(question(address));
  }
}

function question(address: IpAddress): Frame {
  if (address.length === 16) return neighbourSolicitation(GATEWAY_MAC, GATEWAY_LINK_LOCAL, address);
  return arpFrame({
    operation: ARP_REQUEST,
    senderMac: GATEWAY_MAC,
    senderIp: GATEWAY,
    targetMac: new Uint8Array(6),
    targetIp: address,
  });
}

function equal(a: MacAddress, b: MacAddress): boolean {
  return a.every((byte, index) => byte === b[index]);
}
