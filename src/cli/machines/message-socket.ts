import type { Socket } from "node:net";
import { LineReader } from "../../control/line-reader.ts";
import { MOST_LINE_BYTES } from "./protocol.ts";

/** A connection over which messages go as lines of JSON. One that says anything else is closed. */
export class MessageSocket {
  readonly #socket: Socket;

  constructor(socket: Socket, events: { message(message: object): void; closed(): void }) {
    this.#socket = socket;
    const lines = new LineReader(MOST_LINE_BYTES, {
      line: (text) => {
        const message = parseObject(text);
        if (message === undefined) socket.destroy();
        else events.message(message);
      },
      tooLong: () => socket.destroy(),
    });
    socket.on("data", (bytes: Buffer) => lines.read(bytes));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => events.closed());
  }

  /** Resolves when there is room for more, or nobody listens any more. */
  async send(message: object): Promise<void> {
    if (this.#socket.destroyed) return;
    if (this.#socket.write(`${JSON.stringify(message)}\n`)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  /** What waits to be sent. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends what waits, and closes. */
  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
