import process from "node:process";
import { RawTerminal } from "../host/node/terminal.ts";
import { CONSOLE_HELP, ConsoleKeys } from "./console-keys.ts";
import type { RunnableMachine } from "./create-machine.ts";

/**
 * Connects standard input to the guest's serial port until the returned function is called. A terminal is in raw
 * mode meanwhile, and Ctrl-A begins a request to us; from a pipe or a file every byte is the guest's. The end of
 * the input does not end the machine.
 */
export function connectSerialInput(machine: RunnableMachine, saveSnapshot: () => void): () => void {
  const input = process.stdin;
  const terminal = input.isTTY ? new RawTerminal(input) : undefined;
  const keys = new ConsoleKeys();
  const onData = (bytes: Buffer) => {
    if (terminal === undefined) {
      machine.receiveSerial(bytes);
      return;
    }
    const { forGuest, requests } = keys.read(bytes);
    if (forGuest.length > 0) machine.receiveSerial(forGuest);
    for (const request of requests) {
      if (request === "quit") machine.stop();
      else if (request === "snapshot") saveSnapshot();
      else showHelp();
    }
  };
  // Reading from a terminal that has gone fails; the machine runs on without a keyboard.
  const onError = () => {};
  input.on("data", onData);
  input.on("error", onError);
  return () => {
    input.off("data", onData);
    input.pause();
    terminal?.release();
  };
}

/** The cursor is wherever the guest left it, so the help begins on a line of its own. */
function showHelp(): void {
  process.stderr.write(["", ...CONSOLE_HELP, ""].join("\r\n"));
}
