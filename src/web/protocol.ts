import type { EngineName } from "../cli/options.ts";
import type { MachineEnd } from "../machine/machine-end.ts";

/** Where the bytes of a kernel or an initial RAM disk come from. A file needs no upload: the worker reads it. */
export type GuestSource =
  | { readonly from: "address"; readonly url: string }
  | { readonly from: "file"; readonly file: Blob; readonly name: string };

/** What to boot, and how. */
export interface BootOrder {
  readonly kernel: GuestSource;
  readonly initrd: GuestSource | undefined;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly engine: EngineName;
}

/** From the page to the worker that runs the machine. */
export type PageMessage =
  /** The first message, and sent once: a worker runs one machine. */
  | { readonly kind: "boot"; readonly order: BootOrder }
  /** For the guest's serial port. */
  | { readonly kind: "keys"; readonly bytes: Uint8Array }
  /** So many bytes of serial output have been shown. */
  | { readonly kind: "shown"; readonly byteCount: number }
  | { readonly kind: "stop" };

/** From the worker to the page. */
export type WorkerMessage =
  /** One line about what takes time before the machine runs. */
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "running" }
  | { readonly kind: "serial"; readonly bytes: Uint8Array }
  /** The last message, unless it is "failed". */
  | { readonly kind: "ended"; readonly end: MachineEnd; readonly statistics: readonly string[] }
  /** One line for the user. */
  | { readonly kind: "failed"; readonly line: string };

/** The guest that the server offers: guest/guest.json beside the page. Paths are relative to that file. */
export interface OfferedGuest {
  readonly title: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}

/** Where the page looks for it. */
export const OFFERED_GUEST = "guest/guest.json";
