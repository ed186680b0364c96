import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { FileLock } from "../../host/node/file-lock.ts";
import { systemErrorText } from "../../host/node/files.ts";
import { VmError } from "../../layout/vm-error.ts";
import { UsageError } from "../usage-error.ts";
import { randomMachineName } from "./machine-names.ts";
import { runtimeFolder } from "./private-folders.ts";

const VERSION = 1;
/** What systems take as the address of a Unix socket, less a byte for its end; macOS is the narrowest. */
const MOST_ADDRESS_BYTES = 103;
const MOST_CONNECTIONS = 100;
const LOCK_MS = 10_000;

/** What is written down of a machine when its process starts. */
export interface MachineEntry {
  readonly version: typeof VERSION;
  readonly name: string;
  readonly pid: number;
  /** Where its process listens. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** What it boots, for people. */
  readonly guest: string;
  readonly memoryBytes: number;
  readonly engine: string;
  /** The file with its serial output; null where none could be made. */
  readonly log: string | null;
}

export type MachineDescription = Pick<MachineEntry, "guest" | "memoryBytes" | "engine"> & {
  /** The name of a machine that was given none, unless another has it. */
  readonly preferredName?: string | undefined;
  /** Makes the log of a machine of this name. */
  log(name: string): string | null;
};

/** A machine's own place in the registry, until `close` or the end of the process. */
export interface Registration {
  readonly entry: MachineEntry;
  close(): void;
}

/**
 * The running machines of this user: a file for each in the runtime folder, and the socket that its process listens at.
 * A process that died left both; the socket then takes no connection, and whoever notices removes them.
 */
export class MachineRegistry {
  readonly #folder: string;

  constructor(folder: string = runtimeFolder()) {
    this.#folder = folder;
  }

  /** @throws {UsageError} When a machine of this name runs. */
  async register(
    wanted: string | undefined,
    description: MachineDescription,
    onConnection: (socket: Socket) => void,
  ): Promise<Registration> {
    const lock = await this.#lock();
    try {
      const name = wanted ?? (await this.#freeName(description.preferredName));
      const other = await this.#living(name);
      if (other !== undefined)
        throw new UsageError(
          `a machine ${name} is running already (process ${other.pid}); choose another --name, or end it: ringfence stop ${name}`,
        );
      this.#remove(name);
      const address = this.#addressOf(name);
      const server = await listen(address, onConnection);
      const { guest, memoryBytes, engine } = description;
      const log = description.log(name);
      const started = { pid: process.pid, address, startedAt: Date.now() };
      const entry: MachineEntry = { version: VERSION, name, ...started, guest, memoryBytes, engine, log };
      this.#write(entry);
      return this.#registration(entry, server);
    } finally {
      await lock.release();
    }
  }

  /** All that run, in the order of their names. Entries of dead processes are removed. */
  async list(): Promise<MachineEntry[]> {
    const names = readdirSync(this.#folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
    const entries = await Promise.all(names.map((name) => this.#living(name)));
    if (entries.includes(undefined)) await this.#clean();
    return entries.filter((entry) => entry !== undefined);
  }

  async find(name: string): Promise<MachineEntry | undefined> {
    return this.#living(name);
  }

  /** Names of machines that were written down; some may have ended. Fast, for completion. */
  names(): string[] {
    return readdirSync(this.#folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length));
  }

  async #clean(): Promise<void> {
    const lock = await this.#lock();
    try {
      for (const name of this.names()) if ((await this.#living(name)) === undefined) this.#remove(name);
    } finally {
      await lock.release();
    }
  }

  #registration(entry: MachineEntry, server: Server): Registration {
    const close = () => {
      process.off("exit", close);
      server.close();
      this.#remove(entry.name);
    };
    process.on("exit", close);
    return { entry, close };
  }

  async #freeName(preferred: string | undefined): Promise<string> {
    if (preferred !== undefined && (await this.#living(preferred)) === undefined) return preferred;
    for (let attempt = 0; ; attempt++) {
      const name = attempt < 10 ? randomMachineName() : `${randomMachineName()}-${attempt}`;
      if ((await this.#living(name)) === undefined) return name;
    }
  }

  /** What is written down under a name, if its process still listens. */
  async #living(name: string): Promise<MachineEntry | undefined> {
    const entry = this.#read(name);
    return entry !== undefined && (await isListening(entry.address)) ? entry : undefined;
  }

  #read(name: string): MachineEntry | undefined {
    try {
      const entry = JSON.parse(readFileSync(this.#fileOf(name), "utf8")) as Partial<MachineEntry>;
      const sound =
        entry.version === VERSION && typeof entry.address === "string" && typeof entry.pid === "number";
      return sound ? (entry as MachineEntry) : undefined;
    } catch {
      // Gone meanwhile, or half of a file that a full disk left.
      return undefined;
    }
  }

  #write(entry: MachineEntry): void {
    const file = this.#fileOf(entry.name);
    try {
      writeFileSync(`${file}.new`, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (cause) {
      throw new VmError({ code: "file-unwritable", path: file, reason: systemErrorText(cause) }, { cause });
    }
  }

  #remove(name: string): void {
    rmSync(this.#fileOf(name), { force: true });
    if (process.platform !== "win32") rmSync(this.#addressOf(name), { force: true });
  }

  #fileOf(name: string): string {
    return path.join(this.#folder, `${name}.json`);
  }

  #addressOf(name: string): string {
    if (process.platform === "win32") return `\\\\.\\pipe\\ringfence-${os.userInfo().username}-${name}`;
    const address = path.join(this.#folder, `${name}.socket`);
    if (Buffer.byteLength(address) <= MOST_ADDRESS_BYTES) return address;
    throw new UsageError(
      `${address}: too long for the address of a socket; set XDG_RUNTIME_DIR to a shorter path, or take a shorter --name`,
    );
  }

  /** Only one process at a time adds and removes. */
  async #lock(): Promise<FileLock> {
    const file = path.join(this.#folder, "lock");
    const descriptor = openSync(file, "a", 0o600);
    try {
      for (const endMs = performance.now() + LOCK_MS; ; await sleep(20)) {
        try {
          return await FileLock.take(file, descriptor, false);
        } catch (error) {
          const taken = error instanceof VmError && error.detail.code === "file-locked";
          if (!taken || performance.now() > endMs) throw error;
        }
      }
    } finally {
      closeSync(descriptor);
    }
  }
}

function listen(address: string, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onConnection);
    server.maxConnections = MOST_CONNECTIONS;
    server.on("error", (cause) =>
      reject(
        new VmError({ code: "file-unwritable", path: address, reason: systemErrorText(cause) }, { cause }),
      ),
    );
    // It keeps the process of a paused machine alive, which waits for nothing else.
    server.listen(address, () => resolve(server));
  });
}

function isListening(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
