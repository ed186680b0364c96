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
export async function printLog({ name, follow }: MachineCommand & { action: "logs" }): Promise<void> {
  const registry = new MachineRegistry();
  const running = await registry.find(name);
  const file = running?.log ?? path.join(logFolder(), `${name}.log`);
  if (!existsSync(file)) {
    const names = (await registry.list()).map((entry) => entry.name);
    const hint = names.length === 0 ? "no machine is running" : `running: ${names.join(", ")}`;
    throw new UsageError(`there is no log of a machine ${name}; ${hint}`);
  }
  if (existsSync(`${file}.1`)) await print(openSync(`${file}.1`, "r"), true);
  let descriptor = openSync(file, "r");
  for (;;) {
    const alive = follow && (await registry.find(name)) !== undefined;
    await print(descriptor, false);
    if (!alive) break;
    if (fstatSync(descriptor).ino !== statSync(file, { throwIfNoEntry: false })?.ino) {
      // It was full, and a new one has begun.
      await print(descriptor, true);
      descriptor = openSync(file, "r");
    } else await sleep(LOOK_MS);
  }
  closeSync(descriptor);
}

/** From where the last reading ended to the end of the file. */
async function print(descriptor: number, last: boolean): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let bytes = readSync(descriptor, piece); bytes > 0; bytes = readSync(descriptor, piece)) {
    const part = piece.slice(0, bytes);
    await new Promise<void>((resolve) => void process.stdout.write(part, () => resolve()));
  }
  if (last) closeSync(descriptor);
}
