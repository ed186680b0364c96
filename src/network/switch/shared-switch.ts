import type { Clock } from "../../bus/clock.ts";
import type { EthernetPort, Frame } from "../../host/ethernet-port.ts";
import type {
  HostListener,
  HostNetwork,
  HostStream,
  HostStreamEvents,
  StreamAddress,
} from "../../host/network.ts";
import { plainFrames } from "../link/segmentation.ts";
import { FrameReader, frameMessage } from "./frame-stream.ts";
import { LearningSwitch } from "./learning-switch.ts";

const RETRY_NS = 200e6;
/** Frames that wait for a slow station; more are lost. */
const MAXIMUM_WAITING_BYTES = 4 * 2 ** 20;
const MAXIMUM_STATIONS = 64;

/**
 * A switch that machines in several processes share. Who finds nobody at the
 * address becomes the switch, the others connect to it; when it goes, one of
 * them takes its place. Frames sent meanwhile are lost.
 */
export class SharedSwitch implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #host: HostNetwork;
  readonly #clock: Clock;
  readonly #at: StreamAddress;
  /** Where our own frames go: to the switch we are, or to the one we are connected to. */
  #uplink: ((frame: Frame) => void) | undefined;
  #listener: HostListener | undefined;
  #streams = new Set<HostStream>();
  #closed = false;

  constructor(host: HostNetwork, clock: Clock, at: StreamAddress) {
    this.#host = host;
    this.#clock = clock;
    this.#at = at;
    this.#join();
  }

  /** True while there is a switch to send to. */
  get connected(): boolean {
    return this.#uplink !== undefined;
  }

  /** True while this one is the switch. */
  get serving(): boolean {
    return this.#listener !== undefined && this.#uplink !== undefined;
  }

  send(frame: Frame): void {
    this.#uplink?.(frame);
  }

  close(): void {
    this.#closed = true;
    this.#uplink = undefined;
    this.#listener?.close();
    for (const stream of this.#streams) stream.reset();
    this.#streams.clear();
  }

  #join(): void {
    if (this.#closed) return;
    const link = new StreamLink((frame) => this.onFrame(frame));
    let connected = false;
    const stream = this.#host.connect(this.#at, {
      ...link.events,
      connected: () => {
        connected = true;
        this.#uplink = (frame) => link.send(frame);
      },
      ended: () => stream.end(),
      closed: () => {
        this.#streams.delete(stream);
        this.#uplink = undefined;
        if (connected) this.#retry();
        else this.#serve();
      },
    });
    link.stream = stream;
    this.#streams.add(stream);
  }

  #serve(): void {
    if (this.#closed) return;
    const hub = new LearningSwitch();
    this.#listener = this.#host.listen(this.#at, {
      listening: () => {
        const own = hub.connect();
        own.onFrame = (frame) => this.onFrame(frame);
        this.#uplink = (frame) => own.send(frame);
      },
      accept: (stream) => this.#accept(hub, stream),
      // Another was faster: it is the switch.
      failed: () => {
        this.#listener = undefined;
        this.#retry();
      },
    });
  }

  #accept(hub: LearningSwitch, stream: HostStream): HostStreamEvents {
    if (this.#streams.size >= MAXIMUM_STATIONS) {
      stream.reset();
      return new StreamLink(() => {}).events;
    }
    const port = hub.connect();
    const link = new StreamLink((frame) => port.send(frame));
    link.stream = stream;
    port.onFrame = (frame) => link.send(frame);
    this.#streams.add(stream);
    return {
      ...link.events,
      ended: () => stream.end(),
      closed: () => {
        port.disconnect();
        this.#streams.delete(stream);
      },
    };
  }

  #retry(): void {
    this.#clock.schedule(this.#clock.nowNs() + RETRY_NS, () => this.#join());
  }
}

/** Frames over one stream, both ways. */
class StreamLink {
  stream: HostStream | undefined;
  readonly events: HostStreamEvents;
  #waitingBytes = 0;

  constructor(deliver: (frame: Frame) => void) {
    const reader = new FrameReader();
    this.events = {
      connected() {},
      data: (bytes) => {
        const frames = reader.read(bytes);
        if (frames === undefined) this.stream?.end();
        for (const frame of frames ?? []) deliver({ bytes: frame });
      },
      ended() {},
      written: (bytes) => {
        this.#waitingBytes -= bytes;
      },
      closed() {},
    };
  }

  send(frame: Frame): void {
    for (const plain of plainFrames(frame)) {
      if (this.#waitingBytes > MAXIMUM_WAITING_BYTES) return;
      const message = frameMessage(plain);
      this.#waitingBytes += message.length;
      this.stream?.write(message);
    }
  }
}
