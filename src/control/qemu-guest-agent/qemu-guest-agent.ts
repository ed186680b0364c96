import { VmError } from "../../layout/vm-error.ts";
import { toBase64 } from "../base64.ts";
import { joinBytes } from "../file-transfer.ts";
import type { CommandOutcome, CommandRequest, GuestControl, WriteOptions } from "../guest-control.ts";
import { quoteForShell } from "../shell-quoting.ts";
import type { AgentLink } from "./agent-link.ts";
import { Answer, answerList, wholeNumber } from "./answers.ts";

const SHORTEST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 250;
/** The agent captures at most 16 MiB of each stream, and sends them as base64. */
const MOST_STATUS_BYTES = 48 << 20;
const FILE_PIECE_BYTES = 256 << 10;
const POWER_DOWN_PATIENCE_MS = 1000;

/** A command becomes the leader of a session, so that it can be killed with all that it has started. */
const IN_SESSION = 'if command -v setsid >/dev/null; then exec setsid sh -c "$1"; else exec sh -c "$1"; fi';

export interface NetworkInterface {
  readonly name: string;
  readonly hardwareAddress: string | undefined;
  readonly addresses: readonly string[];
}

/**
 * The QEMU guest agent, which Debian has as the package qemu-guest-agent.
 *
 * Source: QEMU's "Guest Agent Protocol Reference".
 */
export class QemuGuestAgent implements GuestControl {
  readonly agent = "qemu";
  readonly #link: AgentLink;

  constructor(link: AgentLink) {
    this.#link = link;
  }

  get isReady(): boolean {
    return this.#link.isOpen;
  }

  async ping(): Promise<void> {
    await this.#link.call("guest-ping");
  }

  /** The agent's version and the commands that it takes. */
  async info(): Promise<{ version: string; commands: string[] }> {
    const command = "guest-info";
    const answer = new Answer(command, await this.#link.call(command));
    const commands = answer.list("supported_commands").filter((entry) => entry.flag("enabled"));
    return { version: answer.text("version"), commands: commands.map((entry) => entry.text("name")) };
  }

  async run(script: string, request: CommandRequest): Promise<CommandOutcome> {
    const { input, signal, mostOutputBytes } = request;
    signal?.throwIfAborted();
    const command = "guest-exec";
    const started = new Answer(
      command,
      await this.#link.call(command, {
        path: "/bin/sh",
        arg: ["-c", IN_SESSION, "sh", script],
        "capture-output": true,
        ...(input === undefined ? {} : { "input-data": toBase64(input) }),
      }),
    );
    const pid = started.number("pid");
    const kill = () => void this.#kill(pid);
    signal?.addEventListener("abort", kill);
    try {
      if (signal?.aborted) kill();
      const ended = await this.#ended(pid, signal);
      return outcomeOf(ended, mostOutputBytes);
    } finally {
      signal?.removeEventListener("abort", kill);
    }
  }

  async readFile(path: string, offset: number, mostBytes: number): Promise<Uint8Array> {
    return this.#withFile(path, "r", async (handle) => {
      if (offset > 0) await this.#link.call("guest-file-seek", { handle, offset, whence: "set" });
      const pieces: Uint8Array[] = [];
      for (let left = mostBytes; left > 0; ) {
        const count = Math.min(left, FILE_PIECE_BYTES);
        const read = new Answer(
          "guest-file-read",
          await this.#link.call("guest-file-read", { handle, count }),
        );
        const bytes = read.bytes("buf-b64");
        if (bytes.length === 0 || bytes.length > count) break;
        pieces.push(bytes);
        left -= bytes.length;
      }
      return joinBytes(pieces);
    });
  }

  async writeFile(path: string, bytes: Uint8Array, { append, mode }: WriteOptions): Promise<void> {
    await this.#withFile(path, append ? "a" : "w", async (handle) => {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + FILE_PIECE_BYTES);
        const parameters = { handle, "buf-b64": toBase64(piece) };
        const answer = await this.#link.call("guest-file-write", parameters);
        const count = new Answer("guest-file-write", answer).number("count");
        if (count === 0 || count > piece.length)
          throw new VmError({ code: "guest-file-failed", path, reason: "not everything could be written" });
        at += count;
      }
    });
    if (mode === undefined) return;
    const change = `chmod -- ${mode.toString(8)} ${quoteForShell(path)}`;
    const { status, stderr } = await this.run(change, { mostOutputBytes: FILE_PIECE_BYTES });
    const reason = new TextDecoder().decode(stderr).trim();
    if (status !== 0) throw new VmError({ code: "guest-file-failed", path, reason });
  }

  async shutDown(): Promise<void> {
    await this.#link.tell("guest-shutdown", { mode: "powerdown" }, POWER_DOWN_PATIENCE_MS);
  }

  async readTime(): Promise<number> {
    const command = "guest-get-time";
    return Math.floor(wholeOrLarge(command, await this.#link.call(command)) / 1e6);
  }

  async setTime(milliseconds: number): Promise<void> {
    await this.#link.call("guest-set-time", { time: Math.round(milliseconds) * 1e6 });
  }

  async networkInterfaces(): Promise<NetworkInterface[]> {
    const command = "guest-network-get-interfaces";
    return answerList(command, await this.#link.call(command)).map((one) => ({
      name: one.text("name"),
      hardwareAddress: one.optionalText("hardware-address"),
      addresses: one
        .list("ip-addresses")
        .map((address) => `${address.text("ip-address")}/${address.number("prefix")}`),
    }));
  }

  betweenRequests<T>(action: () => Promise<T>): Promise<T> {
    return this.#link.inTurn(action);
  }

  close(reason: VmError): void {
    this.#link.close(reason);
  }

  /** Asks until a command has ended. */
  async #ended(pid: number, signal: AbortSignal | undefined): Promise<Answer> {
    const command = "guest-exec-status";
    for (let waitMs = SHORTEST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      const limits = { mostAnswerBytes: MOST_STATUS_BYTES };
      const answer = new Answer(command, await this.#link.call(command, { pid }, limits));
      signal?.throwIfAborted();
      if (answer.flag("exited")) return answer;
      await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
      signal?.throwIfAborted();
    }
  }

  async #kill(pid: number): Promise<void> {
    // Its status is asked for once more, since the agent keeps that of a command until then.
    const script = `kill -9 -- -${pid} || kill -9 ${pid}`;
    await this.run(script, { mostOutputBytes: FILE_PIECE_BYTES }).catch(() => {});
    await this.#ended(pid, undefined).catch(() => {});
  }

  async #withFile<T>(path: string, mode: string, use: (handle: number) => Promise<T>): Promise<T> {
    try {
      const handle = wholeNumber("guest-file-open", await this.#link.call("guest-file-open", { path, mode }));
      try {
        return await use(handle);
      } finally {
        await this.#link.call("guest-file-close", { handle });
      }
    } catch (error) {
      if (!(error instanceof VmError && error.detail.code === "agent-refused")) throw error;
      throw new VmError({ code: "guest-file-failed", path, reason: error.detail.reason }, { cause: error });
    }
  }
}

/** Nanoseconds since 1970 are more than a number has digits for; milliseconds are not. */
function wholeOrLarge(command: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value < 2 ** 63) return value;
  return wholeNumber(command, value);
}

function outcomeOf(ended: Answer, mostOutputBytes: number): CommandOutcome {
  const stdout = ended.bytes("out-data");
  const stderr = ended.bytes("err-data");
  const sizeBytes = stdout.length + stderr.length;
  if (sizeBytes > mostOutputBytes || ended.flag("out-truncated") || ended.flag("err-truncated"))
    throw new VmError({ code: "command-output-too-large", sizeBytes, maximumBytes: mostOutputBytes });
  const killedBy = ended.optionalNumber("signal");
  const status = killedBy === undefined ? (ended.optionalNumber("exitcode") ?? 0) : 128 + killedBy;
  return { status: status & 0xff, stdout, stderr };
}
