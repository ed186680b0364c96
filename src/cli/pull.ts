import process from "node:process";
import { pullDebian } from "../images/debian/pull-debian.ts";
import type { ImageStore, StoredImage } from "../images/image-store.ts";
import type { PullCommand } from "./image-command.ts";
import { imageAsJson } from "./image-json.ts";
import { ProgressLine } from "./progress-line.ts";

/** `ringfence pull debian` */
export async function pull(command: PullCommand, store: ImageStore): Promise<void> {
  const line = new ProgressLine(process.stderr);
  let image: StoredImage;
  try {
    image = await pullDebian(store, command, (step, done, total) => line.show(step, done, total));
  } finally {
    line.end();
  }
  const { name, json } = command;
  if (json) return void process.stdout.write(imageAsJson(image));
  process.stdout.write(
    `${name} is there: ringfence run ${name}\n` +
      "root is logged in on its serial console and has no password; no server in it takes logins from the network.\n",
  );
}
