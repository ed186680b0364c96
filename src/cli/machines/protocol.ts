// What a command and the process of a machine say to each other: JSON, a message a line.
//
//   the machine, first       { "ringfence": 2, "name": NAME }
//   a request                { "id": 1, "method": NAME, "parameters": {...} }
//   more for one             { "id": 1, "input": BASE64 }, { "id": 1, "cancel": true }
//   its events, if any       { "id": 1, "event": { "stream": "stdout", "bytes": BASE64 } }
//   its end                  { "id": 1, "result": ... } or { "id": 1, "error": ... }
//
// Whoever leaves cancels what he asked for.

import type { SentError } from "../../api/thread-protocol.ts";
import type { MemoryStatistics } from "../../virtio/balloon/balloon-control.ts";

export const PROTOCOL_VERSION = 2;
export const MOST_LINE_BYTES = 64 << 20;

export interface MachineInfo {
  readonly name: string;
  readonly pid: number;
  readonly state: "starting" | "running" | "paused" | "stopping";
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly guest: string;
  readonly memoryBytes: number;
  readonly engine: string;
  /** Which agent the guest may have, and whether it has been heard of. */
  readonly agent: "ringfence" | "qemu" | "none";
  readonly agentReady: boolean;
  readonly log: string | null;
}

export interface BalloonInfo {
  readonly targetBytes: number;
  readonly inflatedBytes: number;
  readonly reportedBytes: number;
  /** null: the guest's driver does not answer. */
  readonly statistics: MemoryStatistics | null;
}

/** Requests, by method. */
export interface Methods {
  info: { parameters: Record<never, never>; result: MachineInfo };
  pause: { parameters: Record<never, never>; result: null };
  resume: { parameters: Record<never, never>; result: null };
  /** Asks the guest to power off, by its agent or else the power button; says which. */
  shutDown: { parameters: Record<never, never>; result: { by: "agent" | "power button" } };
  kill: { parameters: Record<never, never>; result: null };
  snapshot: { parameters: { path: string }; result: { fileBytes: number } };
  /** Sets the target unless it is null. */
  balloon: { parameters: { targetBytes: number | null }; result: BalloonInfo };
  /**
   * Its output comes as events. With `input`, events of the stream "stdin" ask for the next piece of its input, one at a
   * time; an empty one is the end. With `piped`, nothing of its standard output is kept in the guest: it waits for who reads.
   */
  exec: { parameters: { script: string; input: boolean; piped?: boolean }; result: { status: number } };
  readFile: { parameters: { path: string; offset: number; mostBytes: number }; result: { bytes: string } };
  writeFile: {
    parameters: { path: string; bytes: string; append: boolean; mode: number | null };
    result: null;
  };
  /** The serial console: output as events, input with `input`; until it is cancelled or the machine ends. */
  attach: { parameters: Record<never, never>; result: null };
}

export type Method = keyof Methods;

export interface OutputEvent {
  readonly stream: "stdout" | "stderr" | "stdin";
  readonly bytes: string;
}

export interface Greeting {
  readonly ringfence: number;
  readonly name: string;
}

export type ToMachine =
  | { readonly id: number; readonly method: Method; readonly parameters: unknown }
  | { readonly id: number; readonly input: string }
  | { readonly id: number; readonly cancel: true };

export type FromMachine =
  | Greeting
  | { readonly id: number; readonly event: OutputEvent }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SentError };
