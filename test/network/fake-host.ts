import type {
  HostDatagramEvents,
  HostEndpoint,
  HostNetwork,
  HostSocketFailure,
  HostStream,
  HostStreamEvents,
  StreamAddress,
} from "../../src/host/network.ts";

/** What a program on the fake host does with one connection. */
export interface FakeProgram {
  readonly received: Uint8Array[];
  ended: boolean;
  reset: boolean;
  paused: boolean;
  /** Sends to the connection's other side. */
  send(bytes: Uint8Array): void;
  end(): void;
  fail(failure: HostSocketFailure): void;
  /** Called with what comes; "keep" leaves it untaken. */
  onData: (bytes: Uint8Array) => "taken" | "keep";
  onEnd: () => void;
  /** Takes what was kept. */
  takeKept(): void;
}

/** Sockets without an operating system. Events wait for `settle`, as real ones wait for the event loop. */
export class FakeHost implements HostNetwork {
  readonly connects: StreamAddress[] = [];
  readonly programs: FakeProgram[] = [];
  /** "address port" -> what happens to a connection there; absent: refused. */
  readonly services = new Map<string, (program: FakeProgram) => void>();
  readonly failures = new Map<string, HostSocketFailure>();
  readonly datagrams: { bytes: Uint8Array; to: HostEndpoint; socket: FakeDatagramSocket }[] = [];
  readonly datagramSockets = new Set<FakeDatagramSocket>();
  /** Port -> what calls it. */
  readonly listeners = new Map<number, (stream: HostStream) => HostStreamEvents>();
  servers: HostEndpoint[] = [{ address: "192.0.2.53", port: 53 }];
  #tasks: (() => void)[] = [];

  later(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Lets everything happen that waits. */
  settle(): void {
    for (let rounds = 0; this.#tasks.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error("the fake host does not come to rest");
      this.#tasks.shift()!();
    }
  }

  connect(to: StreamAddress, events: HostStreamEvents): HostStream {
    this.connects.push(to);
    const key = "path" in to ? to.path : `${to.address} ${to.port}`;
    const service = this.services.get(key);
    const { stream, program } = this.#pair(() => events);
    this.later(() => {
      if (program.reset) return;
      if (service === undefined) {
        events.closed(this.failures.get(key) ?? "refused");
        return;
      }
      this.programs.push(program);
      events.connected();
      service(program);
    });
    return stream;
  }

  /** A program on the host connects to a port that somebody listens at. */
  call(port: number): FakeProgram {
    const accept = this.listeners.get(port);
    if (accept === undefined) throw new Error(`nobody listens at ${port}`);
    let events: HostStreamEvents | undefined;
    const { stream, program } = this.#pair(() => events);
    events = accept(stream);
    return program;
  }

  listen(at: StreamAddress, events: { listening(): void; accept(stream: HostStream): HostStreamEvents }) {
    const port = "path" in at ? 0 : at.port;
    this.listeners.set(port, (stream) => events.accept(stream));
    this.later(() => events.listening());
    return { close: () => this.listeners.delete(port) };
  }

  openDatagrams(family: 4 | 6, at: HostEndpoint | undefined, events: HostDatagramEvents): FakeDatagramSocket {
    const socket = new FakeDatagramSocket(this, family, at, events);
    this.datagramSockets.add(socket);
    if (events.opened !== undefined) this.later(() => events.opened?.());
    return socket;
  }

  nameServers(): readonly HostEndpoint[] {
    return this.servers;
  }

  #pair(events: () => HostStreamEvents | undefined): { stream: HostStream; program: FakeProgram } {
    let kept = 0;
    let ourEnd = false;
    const closeIfDone = () => {
      if (ourEnd && program.ended && !program.reset) this.later(() => events()?.closed(undefined));
    };
    const program: FakeProgram = {
      received: [],
      ended: false,
      reset: false,
      paused: false,
      onData: () => "taken",
      onEnd: () => {},
      send: (bytes) => this.later(() => !program.reset && events()?.data(bytes)),
      end: () => {
        this.later(() => {
          ourEnd = true;
          if (!program.reset) events()?.ended();
          closeIfDone();
        });
      },
      fail: (failure) => this.later(() => events()?.closed(failure)),
      takeKept: () => {
        const bytes = kept;
        kept = 0;
        this.later(() => events()?.written(bytes));
      },
    };
    const stream: HostStream = {
      write: (bytes) => {
        this.later(() => {
          program.received.push(bytes);
          if (program.onData(bytes) === "taken") events()?.written(bytes.length);
          else kept += bytes.length;
        });
      },
      end: () => {
        this.later(() => {
          program.ended = true;
          program.onEnd();
          closeIfDone();
        });
      },
      pause: () => {
        program.paused = true;
      },
      resume: () => {
        program.paused = false;
      },
      reset: () => {
        program.reset = true;
      },
    };
    return { stream, program };
  }
}

export class FakeDatagramSocket {
  readonly family: 4 | 6;
  readonly at: HostEndpoint | undefined;
  closed = false;
  readonly #host: FakeHost;
  readonly #events: HostDatagramEvents;

  constructor(host: FakeHost, family: 4 | 6, at: HostEndpoint | undefined, events: HostDatagramEvents) {
    this.#host = host;
    this.family = family;
    this.at = at;
    this.#events = events;
  }

  send(bytes: Uint8Array, to: HostEndpoint): void {
    this.#host.datagrams.push({ bytes, to, socket: this });
  }

  close(): void {
    this.closed = true;
    this.#host.datagramSockets.delete(this);
  }

  /** A datagram comes from the network. */
  deliver(bytes: Uint8Array, from: HostEndpoint): void {
    this.#events.datagram(bytes, from);
  }
}
