import { spawn } from "node:child_process";
import process from "node:process";
import { EXIT_INTERNAL_ERROR } from "../exit-codes.ts";

const MARK = "RINGFENCE_DETACHED";

/** Whether this process is the one in the background. */
export function isDetachedProcess(): boolean {
  return process.env[MARK] === "1" && process.send !== undefined;
}

/**
 * Runs this very command line again, in the background, and prints the machine's name when it has started, or a JSON object with
 * it. What goes wrong before that is told here, with the same exit status.
 */
export function detach(json: boolean): Promise<number> {
  const [node = process.execPath, ...words] = process.argv;
  const child = spawn(node, [...process.execArgv, ...words], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, [MARK]: "1" },
  });
  child.stderr?.pipe(process.stderr, { end: false });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (status) => resolve(status ?? EXIT_INTERNAL_ERROR));
    child.on("message", (message) => {
      const { started: name } = message as { started: string };
      process.stdout.write(`${json ? JSON.stringify({ name, pid: child.pid }) : name}\n`);
      child.unref();
      resolve(0);
    });
  });
}
