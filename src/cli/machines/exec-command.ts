import process from "node:process";
import { commandScript } from "../../control/command-script.ts";
import { ControlClient } from "./control-client.ts";
import { EXIT_NOT_RUN } from "./exec-status.ts";
import type { MachineCommand } from "./machine-commands.ts";

/**
 * `ringfence exec`: returns the status of the command in the guest. A signal kills that command first, and then ends this
 * process as it would any; another one does not wait.
 */
export async function execInGuest(options: MachineCommand & { action: "exec" }): Promise<number> {
  const { name, command, interactive, environment, folder, json } = options;
  const script = commandScript(command, { folder, environment });
  const client = await ControlClient.connect(name);
  const collected = { stdout: new TextCollector(), stderr: new TextCollector() };
  const cancel = new AbortController();
  let endingSignal: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals) => {
    endingSignal = signal;
    cancel.abort();
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    const { status } = await client.call(
      "exec",
      { script, input: interactive },
      {
        ...(interactive ? { input: standardInput() } : {}),
        signal: cancel.signal,
        output: (stream, bytes) => void (json ? collected[stream].take(bytes) : process[stream].write(bytes)),
      },
    );
    if (json) {
      const [stdout, stderr] = [collected.stdout.end(), collected.stderr.end()];
      process.stdout.write(`${JSON.stringify({ status, stdout, stderr })}\n`);
    }
    await Promise.all([drained(process.stdout), drained(process.stderr)]);
    return status;
  } catch (error) {
    if (endingSignal === undefined) throw error;
    process.kill(process.pid, endingSignal);
    return EXIT_NOT_RUN;
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

/** Makes a text of pieces that may end within a character. */
class TextCollector {
  readonly #decoder = new TextDecoder();
  #text = "";

  take(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  end(): string {
    return this.#text + this.#decoder.decode();
  }
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
