import { rmSync } from "node:fs";
import process from "node:process";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Removes a file or a folder when a signal ends the process; returns what takes that back. */
export function removeOnSignal(path: string): () => void {
  const remove = (signal: NodeJS.Signals) => {
    keep();
    rmSync(path, { recursive: true, force: true });
    // Nothing catches it any more, so the process ends as by the signal.
    process.kill(process.pid, signal);
  };
  const keep = () => {
    for (const signal of SIGNALS) process.off(signal, remove);
  };
  for (const signal of SIGNALS) process.on(signal, remove);
  return keep;
}
