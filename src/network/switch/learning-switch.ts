import type { EthernetPort, Frame } from "../../host/ethernet-port.ts";
import { isMulticastMac, macKey } from "../link/mac-address.ts";

/** Stations remembered; the one unheard for longest gives way, and is found again by flooding. */
const MAXIMUM_STATIONS = 4096;

/** Joins any number of ports: frames go where their receiver was last heard, or everywhere. */
export class LearningSwitch {
  readonly #ports = new Set<SwitchPort>();
  readonly #stations = new Map<string, SwitchPort>();

  /** A new port, to be joined with a station's. */
  connect(): EthernetPort & { disconnect(): void } {
    const port = new SwitchPort(
      (frame) => this.#forward(port, frame),
      () => this.#disconnect(port),
    );
    this.#ports.add(port);
    return port;
  }

  #forward(from: SwitchPort, frame: Frame): void {
    const { bytes } = frame;
    if (bytes.length < 14) return;
    this.#learn(macKey(bytes.subarray(6, 12)), bytes.subarray(6, 12), from);
    const destination = bytes.subarray(0, 6);
    const to = isMulticastMac(destination) ? undefined : this.#stations.get(macKey(destination));
    if (to === undefined) {
      for (const port of this.#ports) if (port !== from) port.onFrame(frame);
    } else if (to !== from) to.onFrame(frame);
  }

  #learn(key: string, mac: Uint8Array, from: SwitchPort): void {
    if (isMulticastMac(mac)) return;
    this.#stations.delete(key);
    this.#stations.set(key, from);
    if (this.#stations.size <= MAXIMUM_STATIONS) return;
    const [oldest] = this.#stations.keys();
    this.#stations.delete(oldest!);
  }

  #disconnect(port: SwitchPort): void {
    this.#ports.delete(port);
    for (const [key, at] of this.#stations) if (at === port) this.#stations.delete(key);
  }
}

class SwitchPort implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #forward: (frame: Frame) => void;
  readonly disconnect: () => void;

  constructor(forward: (frame: Frame) => void, disconnect: () => void) {
    this.#forward = forward;
    this.disconnect = disconnect;
  }

  send(frame: Frame): void {
    this.#forward(frame);
  }
}
