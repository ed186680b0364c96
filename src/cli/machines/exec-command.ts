import process from "node:process";
import { commandScript } from "../../control/command-script.ts";
import { ControlClient } from "./control-client.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** `ringfence exec`: returns the status of the command in the guest. */
export async function execInGuest(options: MachineCommand & { action: "exec" }): Promise<number> {
  const { name, command, interactive, environment, folder } = options;
  const script = commandScript(command, { folder, environment });
  const client = await ControlClient.connect(name);
  const cancel = new AbortController();
  const interrupt = () => cancel.abort();
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    const { status } = await client.call(
      "exec",
      { script, input: interactive },
      {
        ...(interactive ? { input: standardInput() } : {}),
        signal: cancel.signal,
        output: (stream, bytes) => void process[stream].write(bytes),
      },
    );
    await Promise.all([drained(process.stdout), drained(process.stderr)]);
    return status;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    client.close();
  }
}

/** Standard input as it comes; an empty piece is its end. */
function standardInput(): () => Promise<Uint8Array> {
  const pieces: AsyncIterator<Uint8Array> = process.stdin[Symbol.asyncIterator]();
  return async () => {
    const { done, value } = await pieces.next();
    return done === true ? new Uint8Array() : value;
  };
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
