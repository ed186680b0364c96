/** What the user asked the console for with a Ctrl-A sequence. */
export type ConsoleRequest = "quit" | "snapshot" | "help";

const CTRL_A = 0x01;

/** Shown for Ctrl-A H. */
export const CONSOLE_HELP = [
  "Ctrl-A X  quit: end the machine at once",
  "Ctrl-A S  save a snapshot, for ringfence run --restore",
  "Ctrl-A H  this help",
  "Ctrl-A A  send Ctrl-A to the guest (Ctrl-A Ctrl-A does too)",
];

/**
 * Finds Ctrl-A sequences in what is typed at a terminal. The rest is for the
 * guest. A sequence may be split over several calls.
 */
export class ConsoleKeys {
  #afterCtrlA = false;

  /** Returns the bytes for the guest and what was asked for, in order. */
  read(typed: Uint8Array): { forGuest: Uint8Array; requests: ConsoleRequest[] } {
    const forGuest: number[] = [];
    const requests: ConsoleRequest[] = [];
    for (const byte of typed) {
      if (!this.#afterCtrlA) {
        if (byte === CTRL_A) this.#afterCtrlA = true;
        else forGuest.push(byte);
        continue;
      }
      this.#afterCtrlA = false;
      const key = byte === CTRL_A ? "a" : String.fromCharCode(byte).toLowerCase();
      if (key === "x") requests.push("quit");
      else if (key === "s") requests.push("snapshot");
      else if (key === "h" || key === "?") requests.push("help");
      else if (key === "a") forGuest.push(CTRL_A);
      // Any other key is swallowed with its Ctrl-A: the guest must not see half of a slip.
    }
    return { forGuest: Uint8Array.from(forGuest), requests };
  }
}
