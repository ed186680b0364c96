import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import { Meter } from "../../src/cpu/meter.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import { createLockstepProcessor } from "../../src/lockstep/create-lockstep-processor.ts";
import {
  createProcessor,
  type EngineName,
  type ProcessorRequest,
} from "../../src/machine/create-processor.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { MachineHost } from "../../src/machine/machine-host.ts";

const GUESTS = path.join(import.meta.dirname, "guests");
const RAM_BYTES = 64 << 20;
const DEBUG_EXIT_PORT = 0xf4;
/** A guest that has not ended after this many slices hangs. */
const MAXIMUM_SLICES = 2000;

/** Assembles a guest of test/kernel/guests to a flat multiboot image. */
export function assembleGuest(name: string): Uint8Array<ArrayBuffer> {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-kernel-"));
  try {
    const output = path.join(folder, "guest.bin");
    const parameters = ["-f", "bin", "-I", GUESTS, "-o", output, path.join(GUESTS, `${name}.asm`)];
    const { status, stderr } = spawnSync("nasm", parameters, { encoding: "utf8" });
    if (status !== 0) throw new Error(`nasm refuses ${name}.asm:\n${stderr}`);
    return new Uint8Array(readFileSync(output));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `lockstep` is interpreter and translator side by side, which must have the same state after every run. */
export type GuestEngine = EngineName | "lockstep";

/** What a guest printed, how it ended if not in order, and what executed it. */
export interface GuestRun {
  readonly output: string;
  readonly instructions: number;
  /** How many of them regions executed, where `measure` was asked for. */
  readonly translated: number | undefined;
}

/** Runs a guest on one of our engines to its end. */
export function runOnEngine(image: Uint8Array<ArrayBuffer>, engine: GuestEngine, measure = false): GuestRun {
  let output = "";
  const host: MachineHost = {
    monotonicNowNs: () => performance.now() * 1e6,
    wallClockNowMs: () => 0,
    yield: async () => {},
    sleep: async () => {},
    wake() {},
    writeSerial: (bytes) => {
      output += String.fromCharCode(...bytes);
    },
    serialCongested: () => false,
  };
  let translated: (() => number | undefined) | undefined;
  let finish = () => {};
  const machine = new Machine({
    ramBytes: RAM_BYTES,
    createProcessor: (surroundings, memory) => {
      const meter = measure ? new Meter(() => performance.now() * 1e6) : undefined;
      const made = create(engine, { ...common(), surroundings, memory, meter });
      ({ finish, translated } = made);
      return made.processor;
    },
    host,
    deterministic: true,
    noReboot: true,
    debugExitPort: DEBUG_EXIT_PORT,
    boot: { kernel: image, commandLine: "", modules: [] },
  });
  const ended = (how: string): GuestRun => {
    finish();
    const { instructions } = machine.processor;
    return { output: output + how, instructions, translated: translated?.() };
  };
  for (let slice = 0; slice < MAXIMUM_SLICES; slice++) {
    const outcome = machine.runSlice(8);
    if (typeof outcome === "object") return ended(ending(outcome.reason));
    if (outcome === "idle" && machine.idleNs === Infinity) return ended("\nhalted for ever\n");
  }
  return ended("\nno end\n");
}

interface Created {
  readonly processor: Processor;
  readonly translated: () => number | undefined;
  /** Compares what the runs did not. */
  readonly finish: () => void;
}

function create(engine: GuestEngine, request: ProcessorRequest): Created {
  if (engine === "lockstep") {
    const { processor } = createLockstepProcessor({ ...request, against: "translator" });
    return { processor, translated: () => undefined, finish: () => processor.finish() };
  }
  const { processor, tiers } = createProcessor({ ...request, engine });
  return { processor, translated: () => tiers?.translated, finish: () => {} };
}

let coreModule: WebAssembly.Module | undefined;

function common() {
  coreModule ??= new WebAssembly.Module(
    readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
  );
  return { coreModule, ramBytes: RAM_BYTES, deterministic: true, features: CPU_MODELS["max"]! };
}

/** A guest ends by the debug-exit port, or by a triple fault, which shows. */
function ending(reason: string): string {
  return reason === "debug-exit" ? "" : `${reason}\n`;
}
