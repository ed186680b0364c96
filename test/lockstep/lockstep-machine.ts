import { readFileSync } from "node:fs";
import path from "node:path";
import { createLockstepProcessor } from "../../src/lockstep/create-lockstep-processor.ts";
import type { LockstepProcessor } from "../../src/lockstep/lockstep-processor.ts";
import type { Side } from "../../src/lockstep/side.ts";
import type { EngineName } from "../../src/machine/create-processor.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { MachineOptions } from "../../src/machine/machine-options.ts";

const CORE = path.join(import.meta.dirname, "../../build/core.wasm");

const host: MachineOptions["host"] = {
  monotonicNowNs: () => performance.now() * 1e6,
  wallClockNowMs: () => Date.now(),
  yield: async () => {},
  sleep: async () => {},
  wake() {},
  writeSerial() {},
  serialCongested: () => false,
};

export interface LockstepMachine {
  readonly machine: Machine;
  readonly processor: LockstepProcessor;
  /** Runs until so many instructions have been executed, or the machine has ended. */
  runTo(instructions: number): void;
}

/** A deterministic machine whose processor is two, of which `alter` may change the second. */
export function lockstepMachine(
  boot: MachineOptions["boot"],
  against: EngineName,
  ramBytes: number,
  alter?: (side: Side) => Side,
): LockstepMachine {
  let processor: LockstepProcessor | undefined;
  const machine = new Machine({
    ramBytes,
    host,
    deterministic: true,
    noReboot: true,
    boot,
    createProcessor: (surroundings, memory) => {
      const coreModule = new WebAssembly.Module(readFileSync(CORE));
      const request = { coreModule, ramBytes, deterministic: true, surroundings, memory, against };
      processor = createLockstepProcessor(alter === undefined ? request : { ...request, alter }).processor;
      return processor;
    },
  });
  const runTo = (instructions: number): void => {
    while (machine.end === undefined && machine.processor.instructions < instructions) machine.runSlice(10);
  };
  return { machine, processor: processor!, runTo };
}
