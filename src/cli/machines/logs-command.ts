import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../usage-error.ts";
import type { MachineCommand } from "./machine-commands.ts";
import { MachineRegistry } from "./machine-registry.ts";
import { logFolder } from "./private-folders.ts";

const PIECE_BYTES = 64 << 10;
const LOOK_MS = 200;

/** `ringfence logs`. */
export async function printLog({ name, follow, json }: MachineCommand & { action: "logs" }): Promise<void> {
  const registry = new MachineRegistry();
  const running = await registry.find(name);
  const file = running?.log ?? path.join(logFolder(), `${name}.log`);
  if (!existsSync(file)) {
    const names = (await registry.list()).map((entry) => entry.name);
    const hint = names.length === 0 ? "no machine is running" : `running: ${names.join(", ")}`;
    throw new UsageError(`there is no log of a machine ${name}; ${hint}`);
  }
  const printer = json ? new JsonLines() : { take: (bytes: Uint8Array) => bytes, end: () => "" };
  if (existsSync(`${file}.1`)) await print(openSync(`${file}.1`, "r"), printer, true);
  let descriptor = openSync(file, "r");
  for (;;) {
    const alive = follow && (await registry.find(name)) !== undefined;
    await print(descriptor, printer, false);
    if (!alive) break;
    if (fstatSync(descriptor).ino !== statSync(file, { throwIfNoEntry: false })?.ino) {
      // It was full, and a new one has begun.
      await print(descriptor, printer, true);
      descriptor = openSync(file, "r");
    } else await sleep(LOOK_MS);
  }
  closeSync(descriptor);
  await write(printer.end());
}

/** What becomes of a log's bytes before they are printed. */
interface Printer {
  take(bytes: Uint8Array): Uint8Array | string;
  end(): string;
}

/** An object for each line, {"line": "..."}. */
class JsonLines implements Printer {
  readonly #decoder = new TextDecoder();
  #begun = "";

  take(bytes: Uint8Array): string {
    const lines = (this.#begun + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#begun = lines.pop() ?? "";
    return lines.map(jsonOf).join("");
  }

  end(): string {
    const last = this.#begun + this.#decoder.decode();
    return last === "" ? "" : jsonOf(last);
  }
}

function jsonOf(line: string): string {
  return `${JSON.stringify({ line: line.replace(/\r$/, "") })}\n`;
}

/** From where the last reading ended to the end of the file. */
async function print(descriptor: number, printer: Printer, last: boolean): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let bytes = readSync(descriptor, piece); bytes > 0; bytes = readSync(descriptor, piece)) {
    await write(printer.take(piece.slice(0, bytes)));
  }
  if (last) closeSync(descriptor);
}

function write(part: Uint8Array | string): Promise<void> {
  return new Promise((resolve) => void process.stdout.write(part, () => resolve()));
}
