import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { createMachine, type RunnableMachine } from "../../src/cli/create-machine.ts";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import { createProcessor, type ProcessorParts } from "../../src/machine/create-processor.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { MachineHost } from "../../src/machine/machine-host.ts";
import { elfImage, linuxImage, multibootImage } from "./images.ts";
import { privilegedCode, randomCode, randomWords } from "./random-guests.ts";

const coreModule = new WebAssembly.Module(
  readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
);

const host: MachineHost = {
  monotonicNowNs: () => performance.now() * 1e6,
  wallClockNowMs: () => Date.now(),
  yield: async () => {},
  sleep: async () => {},
  wake() {},
  writeSerial() {},
  serialCongested: () => false,
};

/** A whole machine with a guest, and the processor's parts. */
function machineWith(kernel: Uint8Array, deterministic = true): { machine: Machine; parts: ProcessorParts } {
  let parts: ProcessorParts | undefined;
  const machine = new Machine({
    ramBytes: 32 << 20,
    createProcessor: (surroundings, memory) => {
      parts = createProcessor({ coreModule, ramBytes: 32 << 20, deterministic, surroundings, memory });
      return parts.processor;
    },
    host,
    deterministic,
    noReboot: true,
    debugExitPort: 0xf4,
    boot: { kernel, commandLine: "", modules: [] },
  });
  return { machine, parts: parts! };
}

/** Runs slices until the machine ends, idles, or has had its share; no slice may take long. */
function drive(machine: Machine, slices: number): string {
  for (let i = 0; i < slices; i++) {
    const before = performance.now();
    const outcome = machine.runSlice(5);
    const took = performance.now() - before;
    if (took > 1500) throw new Error(`a slice of 5 ms took ${Math.round(took)} ms`);
    if (typeof outcome === "object") return outcome.reason;
    if (outcome === "idle") return "idle";
  }
  return "running";
}

// Building a machine takes a fifth of a second: these are for what the bare processor's guests cannot meet, devices above all.
test.each([
  ["random bytes after a multiboot start", (seed: number) => elfImage(randomCode(seed, 60_000))],
  ["random bytes after a Linux start", (seed: number) => linuxImage(randomCode(seed, 60_000))],
  ["random modes and tables after a Linux start", (seed: number) => linuxImage(privilegedCode(seed, 60_000))],
] as const)(
  "20 machines run %s to an end or for their time",
  (_name, imageOf) => {
    for (let seed = 1; seed <= 20; seed++) {
      const { machine } = machineWith(imageOf(seed));
      expect(["running", "idle", "triple-fault", "reset", "debug-exit", "power-off"]).toContain(
        drive(machine, 3),
      );
    }
  },
  120_000,
);

/** 32-bit code that writes a list of values to ports and addresses, then spins. */
function deviceProgram(
  steps: readonly (readonly ["port" | "memory" | "read", number, number])[],
  tail: readonly number[],
): Uint8Array {
  const code: number[] = [];
  const word = (n: number) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, (n >>> 24) & 255];
  for (const [kind, address, value] of steps) {
    if (kind === "memory") code.push(0xc7, 0x05, ...word(address), ...word(value));
    else if (kind === "read") code.push(0xa1, ...word(address));
    else
      code.push(0xba, ...word(address & 0xffff), 0xb8, ...word(value), [0xee, 0xef, 0xec, 0xed][value & 3]!);
  }
  code.push(...tail);
  return Uint8Array.from(code);
}
const SPIN = [0xeb, 0xfe];
const HALT = [0xf4, 0xeb, 0xfd];

test("random writes to every device's ports and registers neither throw nor hang", () => {
  const next = randomWords(99);
  const ports = [
    0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0xb2, 0x3f8,
    0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3ff, 0x4d0, 0x4d1, 0x600, 0x604, 0x608, 0xcf8, 0xcfc, 0xcfe, 0xe9,
  ];
  const pages = [0xfee00000, 0xfec00000, 0xfed00000, 0xfee00000, 0xd0000000, 0xfffff000];
  const ends: Record<string, number> = {};
  for (let round = 0; round < 40; round++) {
    const steps = Array.from({ length: 2000 }, () => {
      const value = [next(), next() & 0xff, 1, 0, 0xffffffff, 0x80000000 | (next() & 0xfffc)][next() % 6]!;
      if (next() % 2 === 0)
        return ["port", next() % 10 === 0 ? next() : ports[next() % ports.length]!, value] as const;
      return [
        next() % 3 === 0 ? "read" : "memory",
        pages[next() % pages.length]! + ((next() % 3 === 0 ? next() : next() & 0x3f0) & 0xfff),
        value,
      ] as const;
    });
    const { machine } = machineWith(multibootImage(deviceProgram(steps, SPIN)), round % 2 === 0);
    const end = drive(machine, 4);
    ends[end] = (ends[end] ?? 0) + 1;
  }
  expect(Object.values(ends).reduce((a, b) => a + b)).toBe(40);
}, 120_000);

test.each<[string, readonly (readonly ["port" | "memory", number, number])[]]>([
  // 0x34: channel 0, low byte then high byte, rate generator; then a count of 1 or 2.
  [
    "the PIT at its highest rate",
    [
      ["port", 0x43, 0x34],
      ["port", 0x40, 0],
      ["port", 0x40, 0],
    ],
  ],
  [
    "the HPET with a period of 0",
    [
      ["memory", 0xfed00010, 0],
      ["memory", 0xfed00100, 0x4c],
      ["memory", 0xfed00108, 0],
      ["memory", 0xfed00108, 0],
      ["memory", 0xfed00010, 3],
    ],
  ],
  [
    "the HPET with a period of 1",
    [
      ["memory", 0xfed00010, 0],
      ["memory", 0xfed00100, 0x4c],
      ["memory", 0xfed00108, 1],
      ["memory", 0xfed00108, 1],
      ["memory", 0xfed00010, 3],
    ],
  ],
  [
    "the APIC timer, periodic, from 1",
    [
      ["memory", 0xfee000f0, 0x1ff],
      ["memory", 0xfee003e0, 0xb],
      ["memory", 0xfee00320, 0x20040],
      ["memory", 0xfee00380, 1],
    ],
  ],
  [
    "the APIC timer, one-shot, from 0",
    [
      ["memory", 0xfee000f0, 0x1ff],
      ["memory", 0xfee00320, 0x40],
      ["memory", 0xfee00380, 0],
    ],
  ],
  [
    "the RTC at 8 kHz",
    [
      ["port", 0x70, 0x0c],
      ["port", 0x71, 0x24],
      ["port", 0x70, 0x08],
      ["port", 0x71, 0x44],
    ],
  ],
])(
  "%s does not hold the host up, whether the guest spins or halts",
  (_name, steps) => {
    for (const deterministic of [true, false]) {
      for (const tail of [SPIN, HALT]) {
        const { machine } = machineWith(multibootImage(deviceProgram(steps, tail)), deterministic);
        const before = performance.now();
        expect(["running", "idle"]).toContain(drive(machine, 20));
        expect(performance.now() - before).toBeLessThan(3000);
      }
    }
  },
  60_000,
);

test("a guest halted with interrupts off leaves the machine idle, and nothing but a stop ends it", async () => {
  let slept = 0;
  let running: RunnableMachine | undefined;
  const machine = createMachine({
    core: new Uint8Array(readFileSync(path.join(import.meta.dirname, "../../build/core.wasm"))),
    memoryBytes: 32 << 20,
    engine: "interpreter",
    features: CPU_MODELS["default"]!,
    deterministic: false,
    debugExitPort: undefined,
    disks: [],
    networks: [],
    rng: false,
    noReboot: false,
    boot: {
      kernel: new Uint8Array(multibootImage(Uint8Array.of(0xfa, 0xf4, 0xeb, 0xfd))),
      commandLine: "",
      modules: [],
    },
    trace: [],
    report() {},
    host: {
      ...host,
      sleep: async (ns) => {
        slept++;
        expect(ns).toBeGreaterThan(1e6);
        if (slept === 3) running?.stop();
      },
    },
  });
  running = machine;
  expect(await machine.run()).toEqual({ reason: "stopped" });
  expect(slept).toBe(3);
});

// Each pass writes over decoded code; the second program jumps there from a block that stays.
test.each<[string, readonly number[]]>([
  // again: mov [patch + 1], eax; patch: mov ebx, imm32; inc eax; jmp again
  ["in its own block", [0xa3, 0x26, 0x00, 0x10, 0x00, 0xbb, 0, 0, 0, 0, 0x40, 0xe9, 0xf0, 0xff, 0xff, 0xff]],
  // again: inc eax; mov [patch + 1], eax; jmp patch; (6 bytes) patch: mov ebx, imm32; jmp again
  [
    "that another block is linked to",
    [
      0x40, 0xa3, 0x2f, 0x00, 0x10, 0x00, 0xeb, 0x06, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xbb, 0, 0, 0, 0,
      0xeb, 0xeb,
    ],
  ],
])(
  "writes over code %s, again and again, stay exact and do not slow down",
  (_name, code) => {
    const { machine, parts } = machineWith(multibootImage(Uint8Array.from(code)));
    const { processor } = parts;
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const before = performance.now();
      const start = processor.instructions;
      while (processor.instructions < start + 60_000) machine.runSlice(1);
      times.push((1000 * (performance.now() - before)) / (processor.instructions - start));
    }
    const { registers } = processor;
    expect(Number(registers.get("rax") - registers.get("rbx"))).toBeLessThanOrEqual(1);
    expect(Number(registers.get("rax"))).toBeGreaterThan(30_000);
    expect(
      times.at(-1)!,
      `microseconds an instruction: ${times.map((t) => t.toFixed(2)).join(" ")}`,
    ).toBeLessThan(5 * Math.max(times[1]!, 1));
  },
  60_000,
);
