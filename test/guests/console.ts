import { spawn } from "node:child_process";
import path from "node:path";

export const RINGFENCE = path.resolve(import.meta.dirname, "..", "..", "bin", "ringfence");

/** Waits until the guest has printed `after` since the last step, then types a line. */
export interface Step {
  readonly after: string | RegExp;
  /** Absent: nothing is typed; the machine is ended from outside. */
  readonly type?: string;
}

export interface GuestRun {
  /** Undefined when we ended the process. */
  readonly status: number | undefined;
  /** The guest's serial output. */
  readonly output: string;
  /** Our own messages. */
  readonly messages: string;
}

/** The default guest's prompt. */
export const PROMPT = "root@ringfence:~# ";

/**
 * Runs `ringfence run` with pipes for a terminal, and types each line when what it waits for has come.
 * Rejects with the last output when `timeoutMs` have passed.
 */
export function runGuest(
  options: readonly string[],
  steps: readonly Step[],
  timeoutMs: number,
): Promise<GuestRun> {
  const child = spawn(RINGFENCE, ["run", ...options]);
  let output = "";
  let messages = "";
  let read = 0;
  let step = 0;
  let ended = false;
  const advance = () => {
    for (let next = steps[step]; next !== undefined; next = steps[step]) {
      const end = endOfMatch(output, read, next.after);
      if (end < 0) return;
      read = end;
      step++;
      if (next.type !== undefined) child.stdin.write(`${next.type}\n`);
      else {
        ended = true;
        child.kill();
      }
    }
  };
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    output += text;
    advance();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages += text;
  });
  child.stdin.on("error", () => {}); // the guest may be gone before a line has been typed
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(
        new Error(
          `step ${step} of ${steps.length} after ${timeoutMs} ms:\n${output.slice(-3000)}\n${messages}`,
        ),
      );
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: ended ? undefined : (status ?? -1), output, messages });
    });
  });
}

/** Where the first match at or behind `from` ends; -1 without one. */
function endOfMatch(text: string, from: number, wanted: string | RegExp): number {
  if (typeof wanted === "string") {
    const at = text.indexOf(wanted, from);
    return at < 0 ? -1 : at + wanted.length;
  }
  const match = wanted.exec(text.slice(from));
  return match === null ? -1 : from + match.index + match[0].length;
}
