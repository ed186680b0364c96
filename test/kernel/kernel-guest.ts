import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import { createProcessor, type EngineName } from "../../src/machine/create-processor.ts";
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

let coreModule: WebAssembly.Module | undefined;

/** Runs a guest on one of our engines to its end; returns what it printed, and how it ended if not in order. */
export function runOnEngine(image: Uint8Array<ArrayBuffer>, engine: EngineName): string {
  coreModule ??= new WebAssembly.Module(
    readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
  );
  const module = coreModule;
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
  const machine = new Machine({
    ramBytes: RAM_BYTES,
    createProcessor: (surroundings, memory) =>
      createProcessor({
        coreModule: module,
        ramBytes: RAM_BYTES,
        deterministic: true,
        engine,
        features: CPU_MODELS["max"]!,
        surroundings,
        memory,
      }).processor,
    host,
    deterministic: true,
    noReboot: true,
    debugExitPort: DEBUG_EXIT_PORT,
    boot: { kernel: image, commandLine: "", modules: [] },
  });
  for (let slice = 0; slice < MAXIMUM_SLICES; slice++) {
    const outcome = machine.runSlice(8);
    if (typeof outcome === "object") return output + ending(outcome.reason);
    if (outcome === "idle" && machine.idleNs === Infinity) return `${output}\nhalted for ever\n`;
  }
  return `${output}\nno end\n`;
}

/** A guest ends by the debug-exit port, or by a triple fault, which shows. */
function ending(reason: string): string {
  return reason === "debug-exit" ? "" : `${reason}\n`;
}
