import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { VmError } from "../../layout/vm-error.ts";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";

const KILL_MS = 5000;

/** `ringfence stop`: names are printed as the machines end; as JSON, how all of them have ended. */
export async function stopMachines(options: MachineCommand & { action: "stop" }): Promise<void> {
  const clients = await Promise.all(options.names.map((name) => ControlClient.connect(name)));
  const ends = await Promise.all(
    clients.map(async (client) => {
      const { name } = client.entry;
      const how = await stop(client, options.force ? 0 : options.timeoutMs);
      if (!options.json) process.stdout.write(`${name}\n`);
      return { name, how };
    }),
  );
  if (options.json) process.stdout.write(`${JSON.stringify(ends)}\n`);
}

async function stop(client: ControlClient, timeoutMs: number): Promise<"powered off" | "killed"> {
  if (timeoutMs > 0) {
    const asked = client.call("shutDown", {}).catch(passOverEnd);
    if (await endsIn(client, timeoutMs)) return "powered off";
    await asked;
    process.stderr.write(
      `ringfence: ${client.entry.name} has not ended in ${timeoutMs / 1000} seconds; pulling the plug\n`,
    );
  }
  client.call("kill", {}).catch(passOverEnd);
  if (await endsIn(client, KILL_MS)) return "killed";
  // Its process does not answer.
  process.kill(client.entry.pid, "SIGKILL");
  await client.closed;
  return "killed";
}

async function endsIn(client: ControlClient, milliseconds: number): Promise<boolean> {
  const late = new AbortController();
  const ended = client.closed.then(() => true);
  const end = await Promise.race([
    ended,
    sleep(milliseconds, false, { signal: late.signal }).catch(() => false),
  ]);
  late.abort();
  return end;
}

function passOverEnd(error: unknown): void {
  if (!(error instanceof VmError && error.detail.code === "machine-ended")) throw error;
}
