// What a program and the thread of its machine say to each other.

import type { VmErrorDetail } from "../layout/vm-error.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { DeviceRequest, FromDevices, ToDevices } from "./device-request.ts";
import type { BalloonState } from "./options.ts";

/** What the thread is started with: which machine to make. */
export type MachineRequest = BootRequest | RestoreRequest;

interface CommonRequest {
  readonly engine: "interpreter" | "auto";
  readonly learn: boolean;
  readonly noReboot: boolean;
  readonly devices: DeviceRequest;
}

export interface BootRequest extends CommonRequest {
  readonly kind: "boot";
  /** Undefined: the default guest. */
  readonly kernel: string | Uint8Array | undefined;
  readonly initrd: string | Uint8Array | undefined;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
}

export interface RestoreRequest extends CommonRequest {
  readonly kind: "restore";
  readonly path: string;
}

/** What the guest has for us to ask: the default guest's agent, a port for QEMU's, or nothing. */
export type AgentKind = "shell" | "qemu" | "none";

export type SerialPort = "console" | "agent";

/** Calls, by method: parameters and result. */
export interface Calls {
  start: { parameters: Record<never, never>; result: undefined };
  pause: { parameters: Record<never, never>; result: undefined };
  resume: { parameters: Record<never, never>; result: undefined };
  stop: { parameters: Record<never, never>; result: undefined };
  pressPowerButton: { parameters: Record<never, never>; result: undefined };
  snapshot: {
    parameters: { path: string; parentPath: string | undefined; packed: boolean | undefined };
    result: { fileBytes: number; pages: number; checksum: string };
  };
  forgetCode: { parameters: Record<never, never>; result: undefined };
  readMemory: { parameters: { address: number; length: number }; result: Uint8Array };
  writeMemory: { parameters: { address: number; bytes: Uint8Array }; result: undefined };
  connectSocket: { parameters: { port: number; path: string }; result: undefined };
  balloon: { parameters: { targetBytes: number | undefined }; result: BalloonState };
  statistics: {
    parameters: Record<never, never>;
    result: { instructions: number; guestTimeNs: number; resets: number };
  };
}

export type Call = {
  [Method in keyof Calls]: { readonly method: Method } & Calls[Method]["parameters"];
}[keyof Calls];

export type ToThread =
  | ToDevices
  | { readonly kind: "call"; readonly id: number; readonly call: Call }
  | { readonly kind: "serial"; readonly port: SerialPort; readonly bytes: Uint8Array }
  /** The program has taken this many bytes of serial output. */
  | { readonly kind: "taken"; readonly bytes: number };

export type FromThread =
  | FromDevices
  | {
      readonly kind: "made";
      readonly memoryBytes: number;
      readonly agent: AgentKind;
      /** A restored guest may have the agent's port open already. */
      readonly agentIsOpen: boolean;
    }
  | { readonly kind: "failed"; readonly error: SentError }
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "reply"; readonly id: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly id: number; readonly error: SentError }
  | { readonly kind: "serial"; readonly port: SerialPort; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "agentOpened"; readonly open: boolean }
  | { readonly kind: "ended"; readonly end: MachineEnd };

/** An error as it travels. */
export type SentError =
  | { readonly detail: VmErrorDetail }
  | { readonly guestUnavailable: string }
  | { readonly message: string; readonly stack: string | undefined };
