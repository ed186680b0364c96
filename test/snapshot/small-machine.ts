import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { monotonicNowNs } from "../../src/host/node/monotonic-clock.ts";
import { createProcessor } from "../../src/machine/create-processor.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { MachineHost } from "../../src/machine/machine-host.ts";
import type { MachineOptions } from "../../src/machine/machine-options.ts";
import { encodePlainData } from "../../src/machine/snapshot/plain-data.ts";

export const RAM_BYTES = 4 << 20;
const LOAD_ADDRESS = 0x100000;
const CODE_OFFSET = 32;
export const coreModule = new WebAssembly.Module(
  readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
);

/** A multiboot kernel of 32-bit code. */
export function multibootKernel(code: readonly number[]): Uint8Array {
  const checksum = -(0x1badb002 + 0x10000) >>> 0;
  const end = LOAD_ADDRESS + CODE_OFFSET + code.length;
  const header = [
    0x1badb002,
    0x10000,
    checksum,
    LOAD_ADDRESS,
    LOAD_ADDRESS,
    end,
    end,
    LOAD_ADDRESS + CODE_OFFSET,
  ];
  return Uint8Array.from([...new Uint8Array(Uint32Array.from(header).buffer), ...code]);
}

/**
 * Mixes the time and random numbers into memory and prints them, for ever:
 *
 *     start: mov edi, 0x200000
 *     next:  rdtsc
 *            rdrand edx
 *            xor eax, edx
 *            stosd
 *            mov edx, 0x3f8
 *            out dx, al
 *            cmp edi, 0x280000
 *            jb next
 *            jmp start
 */
export const BUSY_KERNEL = multibootKernel([
  ...[0xbf, 0x00, 0x00, 0x20, 0x00],
  ...[0x0f, 0x31],
  ...[0x0f, 0xc7, 0xf2],
  ...[0x31, 0xd0],
  0xab,
  ...[0xba, 0xf8, 0x03, 0x00, 0x00],
  0xee,
  ...[0x81, 0xff, 0x00, 0x00, 0x28, 0x00],
  ...[0x72, 0xea],
  ...[0xeb, 0xe3],
]);

/** CLI, HLT, and again. */
export const IDLE_KERNEL = multibootKernel([0xfa, 0xf4, 0xeb, 0xfd]);

export interface SmallMachine {
  readonly machine: Machine;
  /** Bytes that the guest has printed. */
  readonly printed: number[];
}

/** A machine with 4 MiB, on a host whose time is the real one. */
export function smallMachine(
  boot: MachineOptions["boot"],
  change: Partial<MachineOptions> = {},
): SmallMachine {
  const printed: number[] = [];
  const host: MachineHost = {
    monotonicNowNs,
    wallClockNowMs: () => Date.now(),
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    wake() {},
    writeSerial: (bytes) => printed.push(...bytes),
    serialCongested: () => false,
  };
  const { deterministic = true, ramBytes = RAM_BYTES } = change;
  const machine = new Machine({
    ramBytes,
    createProcessor: (surroundings, memory) =>
      createProcessor({ coreModule, ramBytes, deterministic, surroundings, memory }).processor,
    host,
    deterministic,
    noReboot: true,
    boot,
    ...change,
  });
  return { machine, printed };
}

/** Boots a kernel. */
export function bootSmall(kernel: Uint8Array, change: Partial<MachineOptions> = {}): SmallMachine {
  return smallMachine({ kernel, commandLine: "", modules: [] }, change);
}

/** Runs a deterministic machine until it has executed at least `instructions`. */
export function runTo(machine: Machine, instructions: number): void {
  while (machine.statistics().instructions < instructions && machine.end === undefined) machine.runSlice(0);
}

/** A hash over everything that the guest can see: processor, devices, time, memory. */
export function hashOf(machine: Machine): string {
  return createHash("sha256")
    .update(encodePlainData(machine.state))
    .update(machine.memory.read(0, machine.memory.sizeBytes))
    .digest("hex");
}
