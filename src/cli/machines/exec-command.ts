import process from "node:process";
import { toBase64 } from "../../control/base64.ts";
import { commandScript } from "../../control/command-script.ts";
import { joinBytes } from "../../control/file-transfer.ts";
import { UsageError } from "../usage-error.ts";
import { ControlClient } from "./control-client.ts";
import { EXIT_NOT_RUN } from "./exec-status.ts";
import type { MachineCommand } from "./machine-commands.ts";

const MOST_INPUT_BYTES = 32 << 20;

/**
 * `ringfence exec`: returns the status of the command in the guest. A signal kills that command first, and then ends this
 * process as it would any; another one does not wait.
 */
export async function execInGuest(options: MachineCommand & { action: "exec" }): Promise<number> {
  const { name, command, interactive, environment, folder, json } = options;
  const script = commandScript(command, { folder, environment });
  const client = await ControlClient.connect(name);
  const input = interactive ? toBase64(await readInput()) : null;
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
      { script, input },
      {
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

async function readInput(): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of process.stdin) {
    pieces.push(piece as Uint8Array);
    sizeBytes += (piece as Uint8Array).length;
    if (sizeBytes > MOST_INPUT_BYTES)
      throw new UsageError("standard input has more than 32 MiB; copy it into the guest: ringfence cp");
  }
  return joinBytes(pieces);
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
