import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

const SCROLLBACK_LINES = 5000;

/** The guest's serial console on the page. */
export class SerialTerminal {
  // The cursor does not blink: the browser would paint 60 times a second, for 6 % of a core where there is no GPU.
  readonly #terminal = new Terminal({ scrollback: SCROLLBACK_LINES });
  readonly #fit = new FitAddon();

  /** @param onKeys Takes what the user types, as the guest shall get it. */
  constructor(element: HTMLElement, onKeys: (bytes: Uint8Array) => void) {
    const encoder = new TextEncoder();
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.open(element);
    this.#terminal.onData((text) => onKeys(encoder.encode(text)));
    // Mouse reports of old programs are bytes, not text.
    this.#terminal.onBinary((text) => onKeys(Uint8Array.from(text, (byte) => byte.charCodeAt(0))));
    new ResizeObserver(() => this.#fit.fit()).observe(element);
    this.#fit.fit();
  }

  /** Calls `onShown` when the terminal has taken in these bytes. */
  write(bytes: Uint8Array, onShown: () => void): void {
    this.#terminal.write(bytes, onShown);
  }

  /** Empties the terminal and puts it into its initial state. */
  reset(): void {
    this.#terminal.reset();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** What the default guest's shell should know of this terminal: the kernel makes such words init's environment. */
  get kernelWords(): string {
    return `TERM=xterm-256color COLUMNS=${this.#terminal.cols} LINES=${this.#terminal.rows}`;
  }
}
