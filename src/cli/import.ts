import process from "node:process";
import { type ImportedImage, importContainer } from "../images/container/import-container.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { ImportCommand } from "./image-command.ts";
import { imageAsJson } from "./image-json.ts";
import { ProgressLine } from "./progress-line.ts";

/** `ringfence import` */
export async function importImage(command: ImportCommand, store: ImageStore): Promise<void> {
  const line = new ProgressLine(process.stderr);
  let image: ImportedImage;
  try {
    image = await importContainer(store, command, (step, done, total) => line.show(step, done, total));
  } finally {
    line.end();
  }
  const { name, forwards, json } = command;
  if (json) return void process.stdout.write(imageAsJson(image));
  process.stdout.write(`${name} is there: ringfence run ${name}\n`);
  const { ports } = image;
  if (ports.length > 0 && forwards.length === 0)
    process.stdout.write(`it listens on ${ports.join(", ")}; --forward leads a port of this host there\n`);
}
