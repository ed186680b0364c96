import process from "node:process";
import { pullDebian } from "../images/debian/pull-debian.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { PullCommand } from "./image-command.ts";
import { ProgressLine } from "./progress-line.ts";

/** `ringfence pull debian` */
export async function pull(command: PullCommand, store: ImageStore): Promise<void> {
  const line = new ProgressLine(process.stderr);
  try {
    await pullDebian(store, command, (step, done, total) => line.show(step, done, total));
  } finally {
    line.end();
  }
  const { name } = command;
  process.stdout.write(
    `${name} is there: ringfence run ${name}\n` +
      "root is logged in on its serial console and has no password; no server in it takes logins from the network.\n",
  );
}
