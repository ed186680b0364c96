import { closeSync, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { VmError } from "../../layout/vm-error.ts";
import { systemErrorText } from "./files.ts";

/** Where the bytes of a serial line go. */
export interface SerialOutput {
  /** Takes bytes; they may be reused by the caller afterwards. */
  write(bytes: Uint8Array): void;
  /** True while more has been written than the receiver takes: the machine should wait for `drained`. */
  readonly congested: boolean;
  /** Resolves when everything written has been handed on. Rejects with `file-unwritable` when that cannot be. */
  drained(): Promise<void>;
  close(): void;
}

/** Standard output, or any other stream. `onLost` is called once, when nobody will read any more. */
export class StreamSerialOutput implements SerialOutput {
  readonly #stream: Writable;
  #congested = false;
  #lost = false;

  constructor(stream: Writable, onLost: (reason: string) => void) {
    this.#stream = stream;
    stream.on("error", (error) => {
      if (this.#lost) return;
      this.#lost = true;
      this.#congested = false;
      onLost(systemErrorText(error));
    });
    stream.on("drain", () => {
      this.#congested = false;
    });
  }

  get congested(): boolean {
    return this.#congested;
  }

  write(bytes: Uint8Array): void {
    if (this.#lost || bytes.length === 0) return;
    if (!this.#stream.write(Uint8Array.from(bytes))) this.#congested = true;
  }

  drained(): Promise<void> {
    if (this.#lost) return Promise.resolve();
    // The stream calls back for an empty write once everything before it has been handed on, or has failed.
    return new Promise((resolve) => this.#stream.write(new Uint8Array(), () => resolve()));
  }

  close(): void {}
}

/** A file that is made anew. Every byte is in it when `write` returns. */
export class FileSerialOutput implements SerialOutput {
  readonly congested = false;
  readonly #path: string;
  readonly #descriptor: number;

  /** @throws {VmError} `file-unwritable`. */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = this.#orUnwritable(() => openSync(path, "w"));
  }

  write(bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) {
      written += this.#orUnwritable(() => writeSync(this.#descriptor, bytes, written));
    }
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #orUnwritable(action: () => number): number {
    try {
      return action();
    } catch (cause) {
      throw new VmError(
        { code: "file-unwritable", path: this.#path, reason: systemErrorText(cause) },
        { cause },
      );
    }
  }
}
