import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import process from "node:process";

/** What a program left behind. */
export interface ProgramEnd {
  /** Undefined: it could not be started, or a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** There is no such program on this machine. */
  readonly isMissing: boolean;
}

/** How a program is to be run. */
export interface ProgramOptions {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** A new file for its standard output, which is not collected then. */
  readonly stdoutPath?: string;
}

/** Runs a program to its end, without input and in the language that programs speak to programs. Never rejects for what it does. */
export function runProgram(
  program: string,
  parameters: readonly string[],
  { folder, environment, stdoutPath }: ProgramOptions = {},
): Promise<ProgramEnd> {
  const target = stdoutPath === undefined ? "pipe" : openSync(stdoutPath, "wx");
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      stdio: ["ignore", target, "pipe"],
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive", ...environment },
      ...(folder === undefined ? {} : { cwd: folder }),
    });
    if (typeof target === "number") closeSync(target);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", () => resolve({ status: undefined, stdout, stderr, isMissing: true }));
    child.on("close", (status) => resolve({ status: status ?? undefined, stdout, stderr, isMissing: false }));
  });
}
