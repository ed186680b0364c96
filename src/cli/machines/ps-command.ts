import process from "node:process";
import { VmError } from "../../layout/vm-error.ts";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";
import { type MachineEntry, MachineRegistry } from "./machine-registry.ts";
import type { MachineInfo } from "./protocol.ts";

/** A process that does not answer in time is listed as it was written down. */
const ANSWER_MS = 2000;

type Listed = Omit<MachineInfo, "state" | "agent"> & {
  state: MachineInfo["state"] | "not answering";
  agent: string;
};

/** `ringfence ps`. */
export async function listMachines({ json, quiet }: MachineCommand & { action: "ps" }): Promise<void> {
  const machines = (await Promise.all((await new MachineRegistry().list()).map(inquire))).filter(
    (machine) => machine !== undefined,
  );
  const lines = json ? [jsonOf(machines)] : quiet ? machines.map(({ name }) => name) : table(machines);
  for (const line of lines) process.stdout.write(`${line}\n`);
}

/** Undefined: it has ended meanwhile. */
async function inquire(entry: MachineEntry): Promise<Listed | undefined> {
  const { name, pid, startedAt, guest, memoryBytes, engine, log } = entry;
  const silent: Listed = {
    ...{ name, pid, startedAt, guest, memoryBytes, engine, log },
    ...{ state: "not answering", agent: "none", agentReady: false },
  };
  let client: ControlClient | undefined;
  const late = new Promise<Listed>((resolve) => setTimeout(() => resolve(silent), ANSWER_MS).unref());
  const ask = async () => {
    client = await ControlClient.connectTo(entry);
    return client.call("info", {});
  };
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    if (error instanceof VmError && error.detail.code === "machine-ended") return undefined;
    return silent;
  } finally {
    client?.close();
  }
}

function jsonOf(machines: readonly Listed[]): string {
  const listed = machines.map((machine) => ({
    ...machine,
    startedAt: new Date(machine.startedAt).toISOString(),
    uptimeSeconds: Math.max(0, Math.round((Date.now() - machine.startedAt) / 1000)),
  }));
  return JSON.stringify(listed, undefined, 2);
}

const HEADINGS = ["NAME", "PID", "STATE", "UPTIME", "MEMORY", "ENGINE", "AGENT", "GUEST"];

function table(machines: readonly Listed[]): string[] {
  const rows = [HEADINGS, ...machines.map(row)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function row(machine: Listed): string[] {
  const { name, pid, state, startedAt, memoryBytes, engine, agent, agentReady, guest } = machine;
  const agentCell = agent === "none" || agentReady ? agent : `(${agent})`;
  const memory = `${Math.round(memoryBytes / 2 ** 20)}M`;
  return [name, String(pid), state, duration(Date.now() - startedAt), memory, engine, agentCell, guest];
}

/** Such as 45s, 12m, 3h, 5d. */
function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}
