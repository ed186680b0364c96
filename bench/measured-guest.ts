/** A guest under measurement: its console, and what its whole process costs the host. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";

const PROMPT = "# ";
const TIMEOUT_MS = 900_000;
/** USER_HZ, in which /proc counts. */
const TICKS_PER_S = 100;

export interface Cost {
  /** Of the process with all its threads, user and system. */
  readonly cpuS: number;
  readonly elapsedS: number;
}

export class MeasuredGuest {
  readonly #child: ChildProcess;
  readonly #startMs = performance.now();
  #output = "";
  #wake = () => {};

  constructor([program = "", ...parameters]: readonly string[]) {
    this.#child = spawn(program, parameters, { stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdout?.setEncoding("latin1").on("data", (text: string) => {
      this.#output += text;
      if (process.env["RINGFENCE_DEBUG"] === "1") process.stderr.write(text);
      this.#wake();
    });
    this.#child.on("close", () => this.#wake());
  }

  /** The shell asks the terminal where its cursor is, and takes what was typed ahead for the answer. */
  async booted(): Promise<void> {
    await this.#until(PROMPT);
  }

  /** Resolves when the console has shown what is wanted, with what the process cost up to then. */
  async shows(wanted: RegExp): Promise<Cost> {
    await this.#until(wanted);
    return { cpuS: this.#cpuSeconds(), elapsedS: (performance.now() - this.#startMs) / 1000 };
  }

  /** Runs a command, which must end with status 0; resolves with what it cost. */
  async run(command: string): Promise<Cost> {
    const [cpuS, startMs] = [this.#cpuSeconds(), performance.now()];
    this.#child.stdin?.write(`${command}; echo "status=$?="\n`);
    const status = await this.#until(/status=(\d+)=/);
    const elapsedS = (performance.now() - startMs) / 1000;
    const cost = { cpuS: this.#cpuSeconds() - cpuS, elapsedS };
    if (status !== "0") throw new Error(`${command}: status ${status}`);
    await this.#until(PROMPT);
    return cost;
  }

  /** Switches the machine off from its shell, and waits until the process has ended: what it keeps for its next run is kept then. */
  async powerOff(): Promise<void> {
    this.#child.stdin?.write("poweroff -f\n");
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Takes the output up to the text; resolves with its first group. */
  async #until(wanted: string | RegExp): Promise<string> {
    const deadline = setTimeout(() => this.kill(), TIMEOUT_MS);
    const pattern = typeof wanted === "string" ? new RegExp(wanted) : wanted;
    try {
      for (;;) {
        const found = pattern.exec(this.#output);
        if (found !== null) {
          this.#output = this.#output.slice(found.index + found[0].length);
          return found[1] ?? "";
        }
        if (this.#child.exitCode !== null || this.#child.signalCode !== null)
          throw new Error(`the guest ended:\n${this.#output.slice(-2000)}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  #cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  }
}
