import { expect, test } from "vitest";
import type { Processor, ProcessorSurroundings, RunOutcome } from "../cpu/processor.ts";
import type { PolledOutcomes } from "../host/polled-outcomes.ts";
import { Machine } from "./machine.ts";
import type { MachineHost } from "./machine-host.ts";
import type { MachineOptions } from "./machine-options.ts";

const MiB = 0x100000;
const checksum = -(0x1badb002 + 0x10000) >>> 0;
/** A multiboot kernel of one instruction, HLT, at 1 MiB + 32. */
const kernel = new Uint8Array(
  Uint32Array.of(0x1badb002, 0x10000, checksum, MiB, MiB, MiB + 36, MiB + 36, MiB + 32, 0xf4f4f4f4).buffer,
);

/** What a fake processor does in one run: may use the machine, and says how the run ended. */
type Script = (surroundings: ProcessorSurroundings, self: FakeProcessor) => RunOutcome;

class FakeProcessor implements Processor {
  instructions = 0;
  interruptPending = false;
  nonMaskable = 0;
  resets = 0;
  stopped = false;
  readonly budgets: number[] = [];
  readonly values: Record<string, bigint> = {};
  readonly registers = {
    get: (name: string) => this.values[name] ?? 0n,
    set: (name: string, value: bigint) => {
      this.values[name] = value;
    },
    setSegment() {},
  };
  readonly #surroundings: ProcessorSurroundings;
  readonly #script: Script;

  constructor(surroundings: ProcessorSurroundings, script: Script) {
    this.#surroundings = surroundings;
    this.#script = script;
  }

  run(maxInstructions: number): RunOutcome {
    this.budgets.push(maxInstructions);
    this.stopped = false;
    const before = this.instructions;
    const outcome = this.#script(this.#surroundings, this);
    if (outcome === "budget" && !this.stopped && this.instructions === before)
      this.instructions += maxInstructions;
    return outcome;
  }

  instructionsNow(): number {
    return this.instructions;
  }

  setInterruptPending(pending: boolean): void {
    this.interruptPending = pending;
  }

  raiseNonMaskableInterrupt(): void {
    this.nonMaskable++;
  }

  setA20(): void {}
  stop(): void {
    this.stopped = true;
  }

  applyFirmwareSettings(): void {}
  memoryWritten(): void {}
  saveState(): Uint8Array<ArrayBuffer> {
    return new Uint8Array();
  }
  restoreState(): void {}
  forgetCode(): void {}
  saveCode(): undefined {}
  reset(): void {
    this.instructions = 0;
    this.resets++;
  }
}

function rig(script: Script, change: Partial<MachineOptions> = {}, polled?: PolledOutcomes) {
  const written: number[] = [];
  const sleeps: number[] = [];
  let nowNs = 5_000_000_000;
  const host = {
    monotonicNowNs: () => (nowNs += 1000),
    wallClockNowMs: () => 1_700_000_000_000,
    yield: async () => {},
    sleep: async (ns: number) => {
      sleeps.push(ns);
      nowNs += ns;
    },
    wake() {},
    writeSerial: (bytes: Uint8Array) => written.push(...bytes),
    serialCongested: () => false,
    ...(polled && { polled }),
  } satisfies MachineHost;
  let processor: FakeProcessor | undefined;
  const machine = new Machine({
    ramBytes: 4 * MiB,
    createProcessor: (surroundings) => {
      processor = new FakeProcessor(surroundings, script);
      return processor;
    },
    host,
    deterministic: true,
    noReboot: true,
    debugExitPort: 0xf4,
    boot: { kernel, commandLine: "", modules: [] },
    ...change,
  });
  if (processor === undefined) throw new Error("createProcessor was not called");
  return { machine, processor, written, sleeps };
}

/** Runs the scripts one after the other, then halts for good. */
function steps(...scripts: Script[]): Script {
  let next = 0;
  return (surroundings, self) => scripts[next++]?.(surroundings, self) ?? "halt";
}

test("a machine starts with its kernel in memory and the registers of the boot protocol", () => {
  const { machine, processor } = rig(() => "halt");
  expect(machine.memory.readU32(MiB + 32)).toBe(0xf4f4f4f4);
  expect(processor.values["rip"]).toBe(BigInt(MiB + 32));
  expect(machine.memory.read(0xe0000, 8)).toEqual(new TextEncoder().encode("RSD PTR "));
});

/** A guest that halts on a host that has outcomes for the first two that wait: what happens, in order. */
function polledRig(deterministic: boolean) {
  const log: string[] = [];
  const polled: PolledOutcomes = {
    underWay: 0,
    poll: () => void log.push("poll"),
    awaitSoon: (mostNs) => log.push(`wait ${mostNs}`) < 9,
  };
  const halt = () => {
    log.push("run");
    return "halt" as const;
  };
  return { ...rig(halt, { deterministic }, polled), log };
}

test("outcomes of other threads are looked for before each run, and waited for by a guest that halts", () => {
  const { machine, log } = polledRig(false);
  expect(machine.runSlice(1000)).toBe("idle");
  const once = ["poll", "run", "wait Infinity"];
  expect(log).toEqual([...once, ...once, ...once]);
});

test("in deterministic mode no outcome is looked for", () => {
  const { machine, log } = polledRig(true);
  expect(machine.runSlice(1000)).toBe("idle");
  expect(log).toEqual(["run"]);
});

test("serial output reaches the host at the end of a slice", () => {
  const { machine, written } = rig(
    steps((out) => {
      out.writePort(0x3f8, 1, 0x48);
      out.writePort(0x3f8, 1, 0x69);
      return "halt";
    }),
  );
  machine.runSlice(1);
  expect(written).toEqual([0x48, 0x69]);
});

test("serial input waits until the guest takes it", () => {
  const taken: number[] = [];
  const read: Script = (io) => {
    while ((io.readPort(0x3fd, 1) & 1) !== 0) taken.push(io.readPort(0x3f8, 1));
    return "halt";
  };
  const { machine } = rig(read);
  machine.receiveSerial(new Uint8Array([1, 2, 3]));
  machine.receiveSerial(new Uint8Array([4]));
  expect(machine.runSlice(1)).toBe("idle");
  expect(taken).toEqual([1, 2, 3, 4]);
});

test.each([
  [1, 21],
  [1, 0xff],
  [4, 0x8000_0001],
] as const)(
  "a write of %i bytes to the debug-exit port ends the run with its value %i",
  async (bytes, value) => {
    const { machine } = rig(
      steps((io) => {
        io.writePort(0xf4, bytes, value);
        return "budget";
      }),
    );
    expect(await machine.run()).toEqual({ reason: "debug-exit", value });
  },
);

test("a triple fault ends a machine that is not to reboot", async () => {
  const { machine } = rig(() => "shutdown");
  expect(await machine.run()).toEqual({ reason: "triple-fault" });
});

test("the reset control register ends a machine that is not to reboot", async () => {
  const { machine, processor } = rig(
    steps((io) => {
      io.writePort(0xcf9, 1, 0x06);
      return "budget";
    }),
  );
  expect(await machine.run()).toEqual({ reason: "reset" });
  expect(processor.resets).toBe(0);
});

test.each([
  [
    "the reset control register",
    (io: ProcessorSurroundings): RunOutcome => {
      io.writePort(0xcf9, 1, 0x06);
      return "budget";
    },
  ],
  [
    "the keyboard controller",
    (io: ProcessorSurroundings): RunOutcome => {
      io.writePort(0x64, 1, 0xfe);
      return "budget";
    },
  ],
  ["a triple fault", (): RunOutcome => "shutdown"],
])("%s starts the guest anew, with time going on and devices as new", (_what, cause) => {
  const seen: number[] = [];
  const { machine, processor } = rig(
    steps(
      (io, self) => {
        io.writePort(0x3ff, 1, 0x5a); // scratch register of COM1
        self.instructions = 1000;
        self.values["rip"] = 0n;
        return cause(io);
      },
      (io) => {
        seen.push(io.readPort(0x3ff, 1), io.timeStampCounter());
        return "halt";
      },
    ),
    { noReboot: false },
  );
  machine.memory.writeU8(MiB + 32, 0x90);
  machine.runSlice(1);
  expect(processor.resets).toBe(1);
  expect(processor.values["rip"]).toBe(BigInt(MiB + 32));
  expect(machine.memory.readU8(MiB + 32)).toBe(0xf4);
  expect(seen).toEqual([0, 1000]);
  expect(machine.statistics().resets).toBe(1);
});

test("stop ends the run", async () => {
  const { machine } = rig(() => {
    machine.stop();
    return "budget";
  });
  expect(await machine.run()).toEqual({ reason: "stopped" });
});

/** Arms the local APIC's timer, one-shot, for `ns` from now: vector 0x30, undivided. */
function armTimer(io: ProcessorSurroundings, ns: number): void {
  io.writeDevice(0xfee000f0, 4, 0x1ff);
  io.writeDevice(0xfee00320, 4, 0x30);
  io.writeDevice(0xfee003e0, 4, 0b1011);
  io.writeDevice(0xfee00380, 4, ns);
}

test("deterministic: HLT moves time to the next deadline, and its interrupt is there", () => {
  const seen: [number, number][] = [];
  const { machine, processor, sleeps } = rig(
    steps(
      (io) => {
        armTimer(io, 3_000_000);
        return "halt";
      },
      (io) => {
        seen.push([io.timeStampCounter(), processor.interruptPending ? io.acknowledgeInterrupt() : -1]);
        return "halt";
      },
    ),
  );
  machine.runSlice(1000);
  expect(seen).toEqual([[3_000_000, 0x30]]);
  expect(sleeps).toEqual([]);
});

test("deterministic: a run's budget ends at the next deadline", () => {
  const { machine, processor } = rig(
    steps(
      (io) => {
        armTimer(io, 60_000);
        return "budget";
      },
      () => "budget",
      () => "budget",
    ),
  );
  machine.runSlice(1000);
  // The timer was set in the middle of the first run, which it cuts short.
  expect(processor.budgets.slice(0, 2)).toEqual([100_000, 60_000]);
});

test("real time: a halted machine sleeps until the next deadline", async () => {
  const { machine, sleeps } = rig(
    steps(
      (io) => {
        armTimer(io, 50_000_000);
        return "halt";
      },
      (io) => {
        io.writePort(0xf4, 1, 0);
        return "budget";
      },
    ),
    { deterministic: false },
  );
  await machine.run();
  expect(sleeps.length).toBe(1);
  expect(sleeps[0]).toBeGreaterThan(49_000_000);
  expect(sleeps[0]).toBeLessThan(50_000_000);
});

test("a halted machine without a deadline sleeps until input", () => {
  const { machine } = rig(() => "halt", { deterministic: false });
  expect(machine.runSlice(1)).toBe("idle");
  expect(machine.idleNs).toBe(Infinity);
});

test("the PIT interrupts through the 8259 and through input 2 of the I/O APIC", () => {
  const vectors: number[] = [];
  const acknowledge: Script = (io, self) => {
    if (self.interruptPending) vectors.push(io.acknowledgeInterrupt());
    return "halt";
  };
  const oneShot = (io: ProcessorSurroundings) => {
    io.writePort(0x43, 1, 0x30); // counter 0, mode 0
    io.writePort(0x40, 1, 100);
    io.writePort(0x40, 1, 0);
  };
  const { machine } = rig(
    steps(
      (io) => {
        for (const value of [0x11, 0x20, 0x04, 0x01]) io.writePort(value === 0x11 ? 0x20 : 0x21, 1, value);
        oneShot(io);
        return "halt";
      },
      acknowledge,
      (io) => {
        io.writePort(0x21, 1, 0xff); // mask the 8259
        io.writeDevice(0xfec00000, 4, 0x14);
        io.writeDevice(0xfec00010, 4, 0x51);
        oneShot(io);
        return "halt";
      },
      acknowledge,
    ),
  );
  for (let slice = 0; slice < 4; slice++) machine.runSlice(1);
  expect(vectors).toEqual([0x20, 0x51]);
});

test("deterministic: random numbers and the real-time clock are the same every time", () => {
  const observe = () => {
    const seen: unknown[] = [];
    const { machine } = rig(
      steps((io) => {
        io.writePort(0x70, 1, 0x09);
        seen.push(io.random(), io.readPort(0x71, 1));
        return "halt";
      }),
    );
    machine.runSlice(1);
    return seen;
  };
  expect(observe()).toEqual(observe());
  expect(observe()[1]).toBe(0x24);
});
