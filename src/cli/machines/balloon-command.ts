import process from "node:process";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";
import type { BalloonInfo } from "./protocol.ts";

/** `ringfence balloon`. */
export async function balloon(options: MachineCommand & { action: "balloon" }): Promise<void> {
  const client = await ControlClient.connect(options.name);
  const info = await client.call("balloon", { targetBytes: options.targetBytes ?? null });
  client.close();
  process.stdout.write(options.json ? `${JSON.stringify(info)}\n` : describe(info));
}

function describe({ targetBytes, inflatedBytes, reportedBytes, statistics }: BalloonInfo): string {
  const megabytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  const { availableBytes, totalBytes } = statistics ?? {};
  const available =
    availableBytes === undefined || totalBytes === undefined
      ? ""
      : `; ${megabytes(availableBytes)} of ${megabytes(totalBytes)} available in the guest`;
  const reported = reportedBytes === 0 ? "" : `; ${megabytes(reportedBytes)} reported as free so far`;
  return `${megabytes(inflatedBytes)} of ${megabytes(targetBytes)} given up${available}${reported}\n`;
}
