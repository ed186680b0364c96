import { closeSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import { VmError } from "../../layout/vm-error.ts";
import { systemErrorText } from "./files.ts";

const BUFFER_BYTES = 256 * 1024;
/** A reader that follows the file sees frames after this long. */
const FLUSH_MS = 200;

/** A file that grows at its end, written in large pieces. What waits is written when the process exits, too. */
export class CaptureFile {
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #onFailure: (reason: string) => void;
  readonly #onExit = () => this.close();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param onFailure Called once when the file cannot be written any further; nothing more is written then.
   * @throws {VmError} `file-unwritable`.
   */
  constructor(path: string, onFailure: (reason: string) => void) {
    this.#onFailure = onFailure;
    try {
      this.#descriptor = openSync(path, "w");
    } catch (cause) {
      throw new VmError({ code: "file-unwritable", path, reason: systemErrorText(cause) }, { cause });
    }
    process.on("exit", this.#onExit);
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#bytes + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#writeAll(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#bytes);
    this.#bytes += bytes.length;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#flush();
    if (!this.#closed) this.#end();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = this.#buffer.subarray(0, this.#bytes);
    this.#bytes = 0;
    this.#writeAll(bytes);
  }

  #writeAll(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length && !this.#closed; ) {
        at += writeSync(this.#descriptor, bytes, at, bytes.length - at);
      }
    } catch (error) {
      this.#end();
      this.#onFailure(systemErrorText(error));
    }
  }

  #end(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    process.off("exit", this.#onExit);
    closeSync(this.#descriptor);
  }
}
