import { closeSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import path from "node:path";
import { systemErrorCode } from "../../host/node/files.ts";

/** A log has up to twice as much: this, and as much before it. */
const MOST_BYTES = 4 << 20;
/** Logs of machines that have ended are kept up to this number of files, the newest. */
const MOST_LOGS = 100;

/**
 * What a machine printed on its serial console, in a file of bounded size: when it is full it becomes NAME.log.1, and
 * a new one begins. Without space on the disk the machine goes on without a log, and says so once.
 */
export class ConsoleLog {
  readonly path: string;
  readonly #mostBytes: number;
  readonly #report: (line: string) => void;
  #descriptor: number | undefined;
  #bytes = 0;

  /** @throws {Error} The system's, when the file cannot be made. */
  constructor(
    folder: string,
    name: string,
    { mostBytes = MOST_BYTES, report }: { mostBytes?: number; report: (line: string) => void },
  ) {
    this.path = path.join(folder, `${name}.log`);
    this.#mostBytes = mostBytes;
    this.#report = report;
    rmSync(`${this.path}.1`, { force: true });
    this.#descriptor = openSync(this.path, "w", 0o600);
    removeOldest(folder);
  }

  write(bytes: Uint8Array): void {
    if (this.#descriptor === undefined) return;
    try {
      if (this.#bytes + bytes.length > this.#mostBytes) this.#beginAnew();
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
      this.#bytes += bytes.length;
    } catch (error) {
      this.close();
      this.#report(`${this.path}: the log ends here: ${systemErrorCode(error) ?? (error as Error).message}`);
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #beginAnew(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, "w", 0o600);
    this.#bytes = 0;
  }
}

function removeOldest(folder: string): void {
  const files = readdirSync(folder)
    .map((name) => path.join(folder, name))
    .map((file) => ({ file, changedMs: statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { file } of files.slice(MOST_LOGS)) rmSync(file, { force: true });
}
