import process from "node:process";
import { RawTerminal } from "../../host/node/terminal.ts";
import { VmError } from "../../layout/vm-error.ts";
import { ConsoleKeys } from "../console-keys.ts";
import { ControlClient } from "./control-client.ts";

const HELP = "Ctrl-A X  leave; the machine runs on\r\nCtrl-A A  send Ctrl-A to the guest\r\n";

/** `ringfence attach`: until the machine ends, or the user leaves with Ctrl-A X. */
export async function attach(name: string): Promise<void> {
  const client = await ControlClient.connect(name);
  const input = process.stdin;
  const terminal = input.isTTY ? new RawTerminal(input) : undefined;
  const keys = new ConsoleKeys();
  const leave = new AbortController();
  if (terminal !== undefined) process.stderr.write(`ringfence: attached to ${name}; Ctrl-A X leaves\r\n`);
  const attached = client.call(
    "attach",
    {},
    {
      signal: leave.signal,
      output: (_stream, bytes) => void process.stdout.write(bytes),
      started: (id) => {
        input.on("data", (bytes: Buffer) => {
          const typed =
            terminal === undefined ? { forGuest: new Uint8Array(bytes), requests: [] } : keys.read(bytes);
          if (typed.forGuest.length > 0) void client.sendInput(id, typed.forGuest);
          for (const request of typed.requests) {
            if (request === "quit") leave.abort();
            else if (request === "help") process.stderr.write(`\r\n${HELP}`);
          }
        });
        input.on("error", () => {}); // the terminal has gone
      },
    },
  );
  try {
    await attached;
  } catch (error) {
    if (!(error instanceof VmError && error.detail.code === "machine-ended")) throw error;
  } finally {
    input.pause();
    terminal?.release();
    client.close();
  }
}
