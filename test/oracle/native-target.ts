import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { HOST_VENDOR } from "../host-vendor.ts";
import { indexBatch } from "./batch.ts";
import {
  BATCH_HEADER_BYTES,
  HELLO_BYTES,
  HELLO_MAGIC,
  PROTOCOL_VERSION,
  RESULT_BATCH_HEADER_BYTES,
  STATUS_DIED,
} from "./protocol.ts";
import { emptyFinalState, ResultBuilder } from "./results.ts";
import type { ExecutionTarget } from "./target.ts";

const SOURCE = join(import.meta.dirname, "native", "runner.c");
const BUILD_FOLDER = join(import.meta.dirname, "..", "..", "build", "oracle");
const COMPILER_OPTIONS = [
  "-O2",
  "-Wall",
  "-Wextra",
  "-mfsgsbase",
  "-fno-stack-protector",
  "-fcf-protection=none",
];

/** What the host's processor says of itself. */
export interface HostProcessor {
  readonly vendor: string;
  readonly brand: string;
  /** CPUID leaf 1, EAX. */
  readonly signature: number;
  readonly mxcsrMask: number;
  /** Cases set FS and GS base; otherwise both are 0. */
  readonly settableBases: boolean;
}

/** Why this host cannot be the judge; undefined when it can. */
export function nativeUnavailable(): string | undefined {
  if (process.arch !== "x64") return `the host's processor is ${process.arch}, not x86-64`;
  if (process.platform !== "linux") return `the runner needs Linux, not ${process.platform}`;
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
  } catch {
    return "there is no gcc to build the runner with";
  }
  return undefined;
}

/** Compiles the runner into build/oracle, unless that has been done for this source. */
export function buildRunner(): string {
  const source = readFileSync(SOURCE);
  const version = createHash("sha256")
    .update(source)
    .update(COMPILER_OPTIONS.join(" "))
    .digest("hex")
    .slice(0, 16);
  const path = join(BUILD_FOLDER, `runner-${version}`);
  if (existsSync(path)) return path;
  mkdirSync(BUILD_FOLDER, { recursive: true });
  const temporary = `${path}.${process.pid}`;
  execFileSync("gcc", [...COMPILER_OPTIONS, "-o", temporary, SOURCE], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  renameSync(temporary, path);
  return path;
}

/** Starts the runner; throws when the host cannot run it. */
export async function openNativeTarget(): Promise<NativeTarget> {
  const reason = nativeUnavailable();
  if (reason !== undefined) throw new Error(`cannot run cases natively: ${reason}`);
  const path = buildRunner();
  const runner = new Runner(path);
  return new NativeTarget(path, runner, parseHello(await runner.take(HELLO_BYTES)));
}

/** The host's processor. A case that ends the runner's process costs that case only. */
export class NativeTarget implements ExecutionTarget {
  readonly name = "native";
  readonly vendor = HOST_VENDOR;
  readonly host: HostProcessor;
  readonly #path: string;
  #runner: Runner;
  #queue: Promise<unknown> = Promise.resolve();
  /** Time-stamp cycles that batches took inside the runner. */
  cycles = 0n;
  restarts = 0;

  constructor(path: string, runner: Runner, host: HostProcessor) {
    this.#path = path;
    this.#runner = runner;
    this.host = host;
  }

  /** Batches given while another runs wait for it. */
  run(batch: Uint8Array): Promise<Uint8Array> {
    const done = this.#queue.then(() => this.#runSplitting(batch));
    this.#queue = done.catch(() => {});
    return done;
  }

  renew(): Promise<void> {
    const done = this.#queue.then(() => this.#startAnew());
    this.#queue = done.catch(() => {});
    return done;
  }

  async close(): Promise<void> {
    await this.#queue;
    this.#runner.stop();
  }

  async #runSplitting(batch: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#attempt(batch);
    } catch (cause) {
      if (!(cause instanceof RunnerDied)) throw cause;
      await this.#startAnew();
      this.restarts++;
      const { offsets } = indexBatch(batch);
      if (offsets.length === 1) return diedResult(batch);
      const middle = offsets.length >> 1;
      return joinResults(
        await this.#runSplitting(sliceBatch(batch, offsets, 0, middle)),
        await this.#runSplitting(sliceBatch(batch, offsets, middle, offsets.length)),
      );
    }
  }

  async #startAnew(): Promise<void> {
    this.#runner.stop();
    this.#runner = new Runner(this.#path);
    await this.#runner.take(HELLO_BYTES);
  }

  async #attempt(batch: Uint8Array): Promise<Uint8Array> {
    this.#runner.give(batch);
    const header = await this.#runner.take(RESULT_BATCH_HEADER_BYTES);
    const view = new DataView(header.buffer, header.byteOffset);
    const body = await this.#runner.take(view.getUint32(4, true));
    this.cycles += view.getBigUint64(16, true);
    const results = new Uint8Array(header.length + body.length);
    results.set(header);
    results.set(body, header.length);
    return results;
  }
}

class RunnerDied extends Error {}

/** One process of the runner: bytes in, bytes out. */
class Runner {
  readonly #process: ChildProcess;
  #chunks: Buffer[] = [];
  #available = 0;
  #wanted = 0;
  #waiting: (() => void) | undefined;
  #ended: string | undefined;

  constructor(path: string) {
    this.#process = spawn(path, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout!.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#available += chunk.length;
      if (this.#available >= this.#wanted) this.#waiting?.();
    });
    this.#process.stdin!.on("error", () => {}); // the exit is reported below
    this.#process.on("error", (error) => this.#end(error.message));
    this.#process.on("close", (code, signal) => this.#end(signal ?? `exit code ${code}`));
  }

  give(bytes: Uint8Array): void {
    this.#process.stdin!.write(bytes);
  }

  async take(bytes: number): Promise<Uint8Array> {
    this.#wanted = bytes;
    while (this.#available < bytes) {
      if (this.#ended !== undefined) throw new RunnerDied(`the native runner ended: ${this.#ended}`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const rest = all.subarray(bytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#available = rest.length;
    return all.subarray(0, bytes);
  }

  stop(): void {
    this.#process.stdin!.end();
  }

  #end(reason: string): void {
    this.#ended = reason;
    this.#waiting?.();
  }
}

function parseHello(bytes: Uint8Array): HostProcessor {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0, true) !== HELLO_MAGIC || view.getUint32(4, true) !== PROTOCOL_VERSION)
    throw new Error("the native runner speaks another protocol: remove build/oracle");
  const text = (from: number, to: number) =>
    new TextDecoder().decode(bytes.subarray(from, to)).replace(/\0.*$/s, "").trim();
  return {
    vendor: text(16, 28),
    brand: text(32, 80),
    signature: view.getUint32(28, true),
    mxcsrMask: view.getUint32(12, true),
    settableBases: (view.getUint32(8, true) & 1) !== 0,
  };
}

/** Cases `from` to `to` of a batch as a batch of their own. */
export function sliceBatch(
  batch: Uint8Array,
  offsets: readonly number[],
  from: number,
  to: number,
): Uint8Array {
  const start = offsets[from] ?? batch.length;
  const end = offsets[to] ?? batch.length;
  const part = new Uint8Array(offsets[0]! + end - start);
  part.set(batch.subarray(0, offsets[0]));
  part.set(batch.subarray(start, end), offsets[0]!);
  const view = new DataView(part.buffer);
  view.setUint32(4, part.length - BATCH_HEADER_BYTES, true);
  view.setUint32(8, to - from, true);
  return part;
}

function joinResults(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length - RESULT_BATCH_HEADER_BYTES);
  joined.set(a);
  joined.set(b.subarray(RESULT_BATCH_HEADER_BYTES), a.length);
  const view = new DataView(joined.buffer);
  const other = new DataView(b.buffer, b.byteOffset);
  view.setUint32(4, joined.length - RESULT_BATCH_HEADER_BYTES, true);
  view.setUint32(8, view.getUint32(8, true) + other.getUint32(8, true), true);
  return joined;
}

function diedResult(batch: Uint8Array): Uint8Array {
  const index = indexBatch(batch);
  const builder = new ResultBuilder();
  const words = new Uint32Array(batch.slice().buffer);
  const at = index.offsets[0]!;
  const state = emptyFinalState();
  state.registers.set(words.subarray((at >> 2) + 8, (at >> 2) + 40));
  state.registers.set(words.subarray((at >> 2) + 4, (at >> 2) + 8), 32);
  const image = (index.imagesAt >> 2) + 128 * batch[at + 7]!;
  state.image.set(words.subarray(image, image + 128));
  state.status = STATUS_DIED;
  builder.add(words, at, 4 * image, state);
  return builder.finish();
}
