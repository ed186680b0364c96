/** Where a stream leads: a port of a host by its IP address, or a Unix-domain socket. */
export type StreamAddress = HostEndpoint | { readonly path: string };

export interface HostEndpoint {
  /** As text, such as "127.0.0.1" or "::1". */
  readonly address: string;
  readonly port: number;
}

/** Why a connection of the host failed or ended: what a peer behind us must be told. */
export type HostSocketFailure = "refused" | "reset" | "unreachable" | "timed-out" | "in-use" | "other";

/** What happens to a stream socket. Nothing follows `closed`. None of these is called from inside a call of the socket. */
export interface HostStreamEvents {
  connected(): void;
  /** `bytes` are good until the receiver returns. */
  data(bytes: Uint8Array): void;
  /** The other side will send no more. */
  ended(): void;
  /** The host has taken `bytes` of what was written. */
  written(bytes: number): void;
  /** Both directions are over; without a failure, in order. */
  closed(failure: HostSocketFailure | undefined): void;
}

/** A stream socket of the host. Ending one direction leaves the other open. */
export interface HostStream {
  /** Queues `bytes`, which nobody may change any more; `written` tells when they have gone. */
  write(bytes: Uint8Array): void;
  end(): void;
  /** No more `data` until `resume`, but for what is under way. */
  pause(): void;
  resume(): void;
  /** Breaks the connection off; with RST where there is one. No event follows. */
  reset(): void;
}

export interface HostListener {
  close(): void;
}

export interface HostDatagramEvents {
  /** The socket has its port. */
  opened?(): void;
  datagram(bytes: Uint8Array, from: HostEndpoint): void;
  /** The socket is of no use any more, or could not be opened. */
  failed(failure: HostSocketFailure): void;
}

export interface HostDatagramSocket {
  /** Sends; what does not get through is lost. */
  send(bytes: Uint8Array, to: HostEndpoint): void;
  close(): void;
}

/** The sockets that a program may open without privileges. */
export interface HostNetwork {
  connect(to: StreamAddress, events: HostStreamEvents): HostStream;
  /**
   * Listens. `accept` is called with each connection, `listening` once, `failed` if that is not possible. A
   * Unix-domain socket that a dead process has left behind is replaced.
   */
  listen(
    at: StreamAddress,
    events: {
      listening(): void;
      accept(stream: HostStream): HostStreamEvents;
      failed(failure: HostSocketFailure): void;
    },
  ): HostListener;
  /** Opens a datagram socket, at a port of the host's choice unless `at` names one. */
  openDatagrams(family: 4 | 6, at: HostEndpoint | undefined, events: HostDatagramEvents): HostDatagramSocket;
  /** The name servers that the host itself asks, best first; may be empty. */
  nameServers(): readonly HostEndpoint[];
}
