import process from "node:process";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** `ringfence pause` and `resume`. */
export async function pauseOrResume({
  action,
  names,
  json,
}: MachineCommand & { action: "pause" | "resume" }): Promise<void> {
  const clients = await Promise.all(names.map((name) => ControlClient.connect(name)));
  for (const client of clients) {
    await client.call(action, {});
    if (!json) process.stdout.write(`${client.entry.name}\n`);
    client.close();
  }
  const state = action === "pause" ? "paused" : "running";
  if (json) process.stdout.write(`${JSON.stringify(names.map((name) => ({ name, state })))}\n`);
}
