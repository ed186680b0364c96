import type { HttpHandler } from "../host/node/http-services.ts";

export type { HttpHandler };

/**
 * A disk whose contents a program makes up or keeps somewhere. Offsets and lengths are multiples of 512 inside
 * `0 .. sizeBytes`; several calls may be under way at a time. What a method throws, or rejects with, is an I/O error for
 * the guest and a `deviceError` of the machine.
 */
export interface VirtualDisk {
  /** A multiple of 512. */
  readonly sizeBytes: number;
  /** Returns `length` bytes. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** Absent: the disk is read-only. */
  write?(offset: number, bytes: Uint8Array): void | Promise<void>;
  /** Resolves when what was written before will last. */
  flush?(): void | Promise<void>;
}

export interface DiskFileOptions {
  readonly path: string;
  /** Found out from the file if absent. */
  readonly format?: "raw" | "qcow2";
}

export interface ProgramDiskOptions {
  readonly content: VirtualDisk;
}

/** A disk of the guest: a file of this computer, or an object of the program. */
export type DiskOptions = (DiskFileOptions | ProgramDiskOptions) & {
  readonly readOnly?: boolean;
  /**
   * What the guest writes vanishes with the machine. Only disks with this, and those that are read-only, can go with a
   * snapshot.
   */
  readonly snapshot?: boolean;
  /** Up to 20 ASCII characters, by which the guest can tell the disk. */
  readonly serial?: string;
};

interface CardOptions {
  /** Such as "52:54:00:12:34:56"; one is chosen if absent. */
  readonly mac?: string;
  /** In each direction, from 8000; no limit if absent. */
  readonly bitsPerSecond?: number;
}

/** A network of the machine's own, which reaches what this computer reaches. */
export interface UserNetworkOptions extends CardOptions {
  readonly kind: "user";
  /** Rules such as "tcp:*.debian.org:443" or "10.0.0.0/8"; if there are any, only what they name is reached. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  /** Addresses, such as "192.0.2.1" or "192.0.2.1:5353"; the computer's own name servers if absent. */
  readonly nameServers?: readonly string[];
  /** True if absent. */
  readonly ipv6?: boolean;
  /** Ports of this computer that lead to the guest's. */
  readonly forwards?: readonly ForwardOptions[];
  /**
   * Names that exist for this guest only, with an optional port (80 if absent), and what answers there:
   * `{ "api.test": (request) => Response.json({ path: new URL(request.url).pathname }) }`. Rules do not concern them.
   */
  readonly http?: Readonly<Record<string, HttpHandler>>;
}

export interface ForwardOptions {
  /** `tcp` if absent. */
  readonly protocol?: "tcp" | "udp";
  readonly hostPort: number;
  /** 127.0.0.1 if absent: only this computer can connect. */
  readonly hostAddress?: string;
  readonly guestPort: number;
}

/** A switch that all machines of this user share that name it. */
export interface SwitchNetworkOptions extends CardOptions {
  readonly kind: "switch";
  /** Letters, digits, `_`, `.` and `-`; at most 60. */
  readonly name: string;
}

/** A cable to the program: it gets Ethernet frames and sends them, without preamble and check sequence. */
export interface ProgramNetworkOptions extends CardOptions {
  readonly kind: "program";
  /** Called once, when the machine is there, with what sends a frame to the guest. Returns what receives the guest's. */
  readonly connect: (send: (frame: Uint8Array) => void) => (frame: Uint8Array) => void;
}

export type NetworkOptions = UserNetworkOptions | SwitchNetworkOptions | ProgramNetworkOptions;

/** Both directions of a connection, as Web Streams of bytes. Ending one leaves the other open. */
export interface SocketStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Gets a connection of the guest. What it throws, or rejects with, ends the connection and is a `deviceError`. */
export type SocketHandler = (connection: SocketStreams) => void | Promise<void>;

/**
 * AF_VSOCK sockets, which join guest and host without a network: what answers when the guest connects to a port of the host
 * (CID 2), a function of the program or a Unix-domain socket at which another one listens:
 * `{ 1024: ({ readable, writable }) => readable.pipeTo(writable), 1025: { path: "/run/other" } }`.
 * `VirtualMachine.connect` goes the other way.
 */
export type SocketOptions = Readonly<Record<number, SocketHandler | { readonly path: string }>>;
