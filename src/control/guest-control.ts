import type { VmError } from "../layout/vm-error.ts";

/** What a command came to. */
export interface CommandOutcome {
  /** Exit status, 0..255; 128 + n after signal n. */
  readonly status: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

export interface CommandRequest {
  /** Standard input; empty if absent. */
  readonly input?: Uint8Array | undefined;
  /** Kills the command; `run` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Standard output and error together. */
  readonly mostOutputBytes: number;
}

export interface WriteOptions {
  /** Write behind what is there; false: the file is emptied first. */
  readonly append: boolean;
  /** Permissions to give the file, 0..0o7777; absent: as the guest sees fit. */
  readonly mode?: number | undefined;
}

/**
 * What the host can ask of a program in the guest, its agent. Two programs can answer: the agent of the default guest
 * (`shell-agent`) and QEMU's (`qemu-guest-agent`), which Debian packages.
 *
 * All methods reject with a `VmError`: `agent-unavailable`, `agent-refused`, `machine-ended`. What the guest answers is
 * checked and bounded.
 */
export interface GuestControl {
  readonly agent: "ringfence" | "qemu";
  /** Whether the agent has been heard of. Requests may come earlier, and wait. */
  readonly isReady: boolean;
  /** Runs text by the guest's shell, as root. Also rejects with `command-output-too-large`. */
  run(script: string, request: CommandRequest): Promise<CommandOutcome>;
  /** Up to `mostBytes` of a file; fewer at its end. Also rejects with `guest-file-failed`. */
  readFile(path: string, offset: number, mostBytes: number): Promise<Uint8Array>;
  /** Also rejects with `guest-file-failed`. */
  writeFile(path: string, bytes: Uint8Array, options: WriteOptions): Promise<void>;
  /** Asks the guest to power off. Resolves when it has been asked; the machine ends later. */
  shutDown(): Promise<void>;
  /** The guest's time of day in milliseconds since 1970, UTC. */
  readTime(): Promise<number>;
  setTime(milliseconds: number): Promise<void>;
  /** Does something while no request is half sent. */
  betweenRequests<T>(action: () => Promise<T>): Promise<T>;
  /** The machine has ended, or has no agent: what runs fails, and all that comes. */
  close(reason: VmError): void;
}
