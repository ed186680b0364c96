import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, RINGFENCE } from "./console.ts";

const guest = await fetchGuest("default");
const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
const obstacle = !guest.available ? guest.reason : hasTmux ? undefined : "there is no tmux";
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const TIMEOUT_MS = 240_000;

/** A terminal of 110 columns and 34 lines, with a shell in it, on a tmux server of its own. */
class Terminal {
  readonly #socket: string;

  constructor(folder: string) {
    this.#socket = path.join(folder, "tmux");
    this.#tmux("-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "34", "sh");
  }

  /** Types text, or presses keys such as Enter and C-c. */
  press(...keys: string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  screen(): string {
    return this.#tmux("capture-pane", "-p");
  }

  async shows(wanted: string | RegExp): Promise<string> {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const screen = this.screen();
      if (typeof wanted === "string" ? screen.includes(wanted) : wanted.test(screen)) return screen;
      if (performance.now() > deadline) throw new Error(`no ${wanted} on the screen:\n${screen}`);
      await sleep(200);
    }
  }

  close(): void {
    this.#tmux("kill-server");
  }

  #tmux(...words: string[]): string {
    return spawnSync("tmux", ["-S", this.#socket, ...words], { encoding: "utf8" }).stdout;
  }
}

test.skipIf(obstacle !== undefined)(
  `at a terminal, keys reach the guest, Ctrl-A keys reach us, and the terminal is as before${suffix}`,
  { timeout: TIMEOUT_MS + 30_000 },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "ringfence-terminal-"));
    const terminal = new Terminal(folder);
    onTestFinished(() => {
      terminal.close();
      rmSync(folder, { recursive: true });
    });
    const before = path.join(folder, "before");
    const after = path.join(folder, "after");
    terminal.press(
      `stty -a >${before}; ${RINGFENCE} run; echo "status=$?"; stty -a >${after}; echo do''ne`,
      "Enter",
    );
    await terminal.shows(PROMPT.trim());

    terminal.press("clear; stty size", "Enter");
    await terminal.shows("34 110");

    // Editors take a line feed for a step straight down.
    terminal.press("clear; stty -onlcr; printf 'abc\\ndef\\n'; stty onlcr", "Enter");
    await terminal.shows(/^abc\n {3}def\n {6}root@ringfence/m);
    terminal.press("top", "Enter");
    await terminal.shows("Load average:");
    terminal.press("q");
    terminal.press("clear", "Enter");
    terminal.press("sleep 1000; echo status $?", "Enter");
    await terminal.shows("sleep 1000");
    await sleep(2000);
    terminal.press("C-c");
    await terminal.shows("^C");
    terminal.press("C-a", "h");
    await terminal.shows("Ctrl-A X  quit");

    terminal.press("C-c");
    terminal.press("poweroff", "Enter");
    await terminal.shows("done");
    expect(terminal.screen()).toContain("status=0");
    expect(readFileSync(after, "utf8")).toBe(readFileSync(before, "utf8"));
  },
);

test.skipIf(obstacle !== undefined)(
  `Ctrl-A X ends the machine at once and gives the terminal back${suffix}`,
  { timeout: TIMEOUT_MS + 30_000 },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "ringfence-terminal-"));
    const terminal = new Terminal(folder);
    onTestFinished(() => {
      terminal.close();
      rmSync(folder, { recursive: true });
    });
    terminal.press(`${RINGFENCE} run; echo "status=$?"; stty -a | grep -o ' icanon'`, "Enter");
    await terminal.shows("booting Debian's cloud kernel");
    await sleep(2000);
    terminal.press("C-a", "x");
    await terminal.shows(/status=0\s+icanon/);
  },
);
