import process from "node:process";
import { importContainer } from "../images/container/import-container.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { ImportCommand } from "./image-command.ts";
import { ProgressLine } from "./progress-line.ts";

/** `ringfence import` */
export async function importImage(command: ImportCommand, store: ImageStore): Promise<void> {
  const line = new ProgressLine(process.stderr);
  let ports: readonly string[];
  try {
    ({ ports } = await importContainer(store, command, (step, done, total) => line.show(step, done, total)));
  } finally {
    line.end();
  }
  const { name, forwards } = command;
  process.stdout.write(`${name} is there: ringfence run ${name}\n`);
  if (ports.length > 0 && forwards.length === 0)
    process.stdout.write(`it listens on ${ports.join(", ")}; --forward leads a port of this host there\n`);
}
