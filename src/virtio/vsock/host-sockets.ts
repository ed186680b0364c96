import type { HostStream, HostStreamEvents } from "../../host/network.ts";

/** A connection that a program of the guest asks for: it stands when it is accepted, and `reset` refuses it. */
export interface IncomingStream extends HostStream {
  accept(): void;
}

/** Gets a connection and gives what is to be told of it. */
export type AcceptStream = (stream: IncomingStream) => HostStreamEvents;

/** The device's end, from when a machine is built with it. */
export interface SocketDevice {
  /** Undefined: the guest has no driver. */
  connect(hostPort: number, guestPort: number, events: HostStreamEvents): HostStream | undefined;
}

const FIRST_OWN_PORT = 1024;
const LAST_OWN_PORT = 0xffff_fffe;

/** The host's end of a guest's socket device: ports to listen at, and connections to the guest. It outlives resets. */
export class HostSockets {
  readonly #listeners = new Map<number, AcceptStream>();
  #device: SocketDevice | undefined;
  #nextPort = FIRST_OWN_PORT;

  /** Connections of the guest to `port` go to `accept`, until `close`. @returns False: the port is taken. */
  listen(port: number, accept: AcceptStream): boolean {
    if (this.#listeners.has(port)) return false;
    this.#listeners.set(port, accept);
    return true;
  }

  close(port: number): void {
    this.#listeners.delete(port);
  }

  /** Connects to a port of the guest. It fails as "refused" where nobody listens, or there is no driver. */
  connect(port: number, events: HostStreamEvents): HostStream {
    const own = this.#nextPort;
    this.#nextPort = own >= LAST_OWN_PORT ? FIRST_OWN_PORT : own + 1;
    const stream = this.#device?.connect(own, port, events);
    if (stream !== undefined) return stream;
    void Promise.resolve().then(() => events.closed("refused"));
    const nothing = () => {};
    return { write: nothing, end: nothing, pause: nothing, resume: nothing, reset: nothing };
  }

  /** For the device. */
  attach(device: SocketDevice): void {
    this.#device = device;
  }

  /** For the device: who takes connections to a port. */
  listener(port: number): AcceptStream | undefined {
    return this.#listeners.get(port);
  }
}
