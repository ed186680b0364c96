import { readdirSync, readFileSync } from "node:fs";

/** Unit of times in /proc/PID/stat; 100 on every Linux for amd64 (proc(5), sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

/** A process and all that descend from it, as Linux's /proc has them now. */
export class ProcessTree {
  readonly #root: number;

  constructor(root: number) {
    this.#root = root;
  }

  /** CPU time of all threads of all processes, those that have ended and been waited for included. */
  cpuSeconds(): number {
    const ticks = this.#processes().map(({ cpuTicks }) => cpuTicks);
    return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
  }

  /** Memory that is in RAM, what processes share counted once. Of the largest process, and of all. */
  residentMegabytes(): { largest: number; all: number } {
    const sizes = this.#processes().map(({ pid }) => proportionalMegabytes(pid));
    return { largest: Math.max(...sizes), all: sizes.reduce((sum, one) => sum + one, 0) };
  }

  #processes(): ProcessState[] {
    const all = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readState(Number(name)));
    const tree = all.filter((state) => state?.pid === this.#root) as ProcessState[];
    for (const parent of tree) {
      tree.push(...(all.filter((state) => state?.parent === parent.pid) as ProcessState[]));
    }
    return tree;
  }
}

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  readonly cpuTicks: number;
}

/** Undefined when the process has gone. */
function readState(pid: number): ProcessState | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name stands in parentheses and may hold anything; field 3, the state, follows it.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const field = (number: number) => fields[number - 3] ?? 0;
    return { pid, parent: field(4), cpuTicks: field(14) + field(15) + field(16) + field(17) };
  } catch {
    return undefined;
  }
}

function proportionalMegabytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
