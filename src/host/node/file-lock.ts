import { fstatSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { VmError } from "../../layout/vm-error.ts";
import { systemErrorCode } from "./files.ts";

/** Readers of one file at the same time. */
const READERS = 16;

/**
 * Keeps other processes of ours from writing a file that one writes or reads,
 * and from reading one that is written.
 *
 * Node.js has no file locks. A local socket, whose name tells the file's
 * device and inode, serves as one: the system lets only one process listen at
 * it, and frees it when that process ends, however it ends.
 */
export class FileLock {
  readonly #servers: readonly Server[];

  private constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  /** @throws {VmError} `file-locked`. */
  static async take(file: string, descriptor: number, shared: boolean): Promise<FileLock> {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    const name = `ringfence-${dev.toString(36)}-${ino.toString(36)}`;
    const own = shared ? await firstFree(name) : await listen(`${name}-writer`);
    if (own === undefined) throw new VmError({ code: "file-locked", path: file });
    const others = shared ? [`${name}-writer`] : readerNames(name);
    const free = await Promise.all(others.map((other) => isFree(other)));
    if (free.every((one) => one)) return new FileLock([own]);
    await close(own);
    throw new VmError({ code: "file-locked", path: file });
  }

  async release(): Promise<void> {
    await Promise.all(this.#servers.map((server) => close(server)));
  }
}

function readerNames(name: string): string[] {
  return Array.from({ length: READERS }, (_, index) => `${name}-reader${index}`);
}

async function firstFree(name: string): Promise<Server | undefined> {
  for (const candidate of readerNames(name)) {
    const server = await listen(candidate);
    if (server !== undefined) return server;
  }
  return undefined;
}

/** Linux has names that are not files and vanish with their owner; elsewhere the file of a dead owner is taken over. */
function addressOf(name: string): string {
  return process.platform === "linux" ? `\0${name}` : path.join(tmpdir(), `${name}.lock`);
}

/** Nobody listens at `name`. */
function isFree(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(addressOf(name));
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}

/** Undefined when another process listens there. */
async function listen(name: string): Promise<Server | undefined> {
  const first = await tryListen(name);
  if (first !== undefined || process.platform === "linux" || !(await isFree(name))) return first;
  rmSync(addressOf(name), { force: true });
  return tryListen(name);
}

function tryListen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", (error) => {
      if (systemErrorCode(error) === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen({ path: addressOf(name), exclusive: true }, () => {
      server.unref(); // a lock keeps no process alive
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
