import { spawnSync } from "node:child_process";
import process from "node:process";
import type { ReadStream } from "node:tty";

const FATAL_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/**
 * The terminal on standard input, handed over to the guest key by key. It gets
 * its old mode back on every way out: `release`, the end of the process, a
 * fatal signal, an exception nobody caught.
 */
export class RawTerminal {
  readonly #input: ReadStream;
  readonly #onExit = () => this.#setRaw(false);
  readonly #onSignal = (signal: NodeJS.Signals) => this.#endBy(signal);
  // A shell gives the terminal its own mode when this process is stopped and continued.
  readonly #onContinue = () => this.#setRaw(true);

  constructor(input: ReadStream) {
    this.#input = input;
    this.#setRaw(true);
    process.on("exit", this.#onExit);
    process.on("SIGCONT", this.#onContinue);
    for (const signal of FATAL_SIGNALS) process.on(signal, this.#onSignal);
  }

  release(): void {
    this.#setRaw(false);
    process.off("exit", this.#onExit);
    process.off("SIGCONT", this.#onContinue);
    for (const signal of FATAL_SIGNALS) process.off(signal, this.#onSignal);
  }

  #setRaw(raw: boolean): void {
    try {
      this.#input.setRawMode(raw);
      if (raw) leaveOutputAlone();
    } catch {
      // The terminal has gone (its window was closed); there is no mode left to set.
    }
  }

  /** Ends the process the way the signal does by itself, so that the shell sees the right status. */
  #endBy(signal: NodeJS.Signals): void {
    this.release();
    process.kill(process.pid, signal);
  }
}

/**
 * Node.js has raw terminals go to the first column at every line feed. The guest's own terminal driver decides on that: to
 * programs that have it switched off, such as editors, a line feed is a step straight down. The old mode, which Node.js
 * puts back, has what this changes too. Where there is no stty, lines begin where Node.js wants them.
 */
function leaveOutputAlone(): void {
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
}
