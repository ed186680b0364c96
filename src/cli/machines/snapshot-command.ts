import path from "node:path";
import process from "node:process";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** `ringfence snapshot`. */
export async function saveMachine(options: MachineCommand & { action: "snapshot" }): Promise<void> {
  const client = await ControlClient.connect(options.name);
  const { fileBytes } = await client.call("snapshot", { path: path.resolve(options.path) });
  client.close();
  const line = options.json
    ? JSON.stringify({ path: path.resolve(options.path), fileBytes })
    : `saved ${options.path}, ${Math.ceil(fileBytes / 1e6)} MB; ringfence run --restore ${options.path} goes on`;
  process.stdout.write(`${line}\n`);
}
