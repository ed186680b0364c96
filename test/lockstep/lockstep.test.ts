import { expect, test } from "vitest";
import { GUEST_RAM } from "../../src/layout/memory-map.ts";
import { EnginesDiffer } from "../../src/lockstep/engines-differ.ts";
import type { Side } from "../../src/lockstep/side.ts";
import { linuxImage } from "../hostile/images.ts";
import { lockstepMachine } from "./lockstep-machine.ts";

const RAM_BYTES = 64 << 20;
const COUNTER = 0x300000;
const ENOUGH = 250_000;
/** Where `linuxImage` wants to lie. */
const LOADED = 0x1000000;

// In 64-bit mode, again and again: memory, a port and the clock.
const PROGRAM = Uint8Array.of(
  ...[0x48, 0xff, 0xc3], // inc rbx
  ...[0x48, 0x01, 0x1c, 0x25, 0x00, 0x00, 0x30, 0x00], // add [0x300000], rbx
  ...[0xe6, 0x80], // out 0x80, al
  ...[0x0f, 0x31], // rdtsc
  ...[0xeb, 0xef], // jmp to the start
);

const start = (against: "auto" | "translator" | "interpreter", alter?: (side: Side) => Side) =>
  lockstepMachine({ kernel: linuxImage(PROGRAM), commandLine: "", modules: [] }, against, RAM_BYTES, alter);

/** A side that does something to itself behind each run, once it has executed `from` instructions. */
function meddled(side: Side, from: number, meddle: (side: Side) => void): Side {
  const { processor } = side;
  return {
    ...side,
    processor: {
      registers: processor.registers,
      get instructions() {
        return processor.instructions;
      },
      instructionsNow: () => processor.instructionsNow(),
      run: (budget) => {
        const outcome = processor.run(budget);
        if (processor.instructions >= from) meddle(side);
        return outcome;
      },
      setInterruptPending: (pending) => processor.setInterruptPending(pending),
      raiseNonMaskableInterrupt: () => processor.raiseNonMaskableInterrupt(),
      memoryWritten: (address, bytes) => processor.memoryWritten(address, bytes),
      saveState: () => processor.saveState(),
      restoreState: (saved) => processor.restoreState(saved),
      forgetCode: () => processor.forgetCode(),
      saveCode: () => processor.saveCode(),
      stop: () => processor.stop(),
      setA20: (enabled) => processor.setA20(enabled),
      reset: () => processor.reset(),
      applyFirmwareSettings: () => processor.applyFirmwareSettings(),
    },
  };
}

function differenceOf(run: () => void): EnginesDiffer {
  try {
    run();
  } catch (error) {
    if (error instanceof EnginesDiffer) return error;
    throw error;
  }
  throw new Error("no difference was found");
}

test.each(["auto", "translator", "interpreter"] as const)("interpreter and %s agree", (against) => {
  const { machine, processor, runTo } = start(against);
  runTo(ENOUGH);
  processor.finish();
  expect(processor.comparedRuns).toBeGreaterThan(2);
  expect(machine.memory.readU64(COUNTER)).toBeGreaterThan(0n);
});

test("a register that differs after 120,000 instructions is named, with the code where both agreed last", () => {
  const { runTo } = start("auto", (side) =>
    meddled(side, 120_000, ({ processor: { registers } }) => registers.set("rbx", registers.get("rbx") ^ 1n)),
  );
  const { report } = differenceOf(() => runTo(ENOUGH));
  expect(report[0]).toContain("differ: rbx");
  expect(report).toContainEqual(expect.stringMatching(/^rbx: 0x[0-9a-f]{16} against 0x[0-9a-f]{16}$/));
  const agreed = Number(/agreed last after (\d+) instructions/.exec(report.join("\n"))?.[1]);
  expect(agreed).toBeGreaterThanOrEqual(119_990);
  expect(agreed).toBeLessThan(120_000);
  expect(report.join("\n")).toMatch(/48 ff c3 +inc rbx/);
});

test("status flags that differ are named", () => {
  const { runTo } = start("auto", (side) =>
    meddled(side, 0, ({ core }) => core.writeFlags(core.readFlags() ^ 1n, 1n)),
  );
  expect(differenceOf(() => runTo(ENOUGH)).report).toContainEqual(expect.stringMatching(/^rflags: 0x/));
});

test("a byte in a page that the guest writes is found behind the run, with its address", () => {
  const { runTo } = start("auto", (side) =>
    meddled(side, 0, ({ memory }) => {
      new Uint8Array(memory.buffer)[GUEST_RAM + COUNTER + 9] = 0x5a;
    }),
  );
  const report = differenceOf(() => runTo(ENOUGH)).report.join("\n");
  expect(report).toContain("page 0x300000: 1 bytes differ; from 0x300009: 00 00");
});

test("a byte in a page that nobody writes is found when all of RAM is compared", () => {
  const { processor, runTo } = start("auto", (side) =>
    meddled(side, 0, ({ memory }) => {
      new Uint8Array(memory.buffer)[GUEST_RAM + 0x3a00123] = 0x5a;
    }),
  );
  runTo(ENOUGH);
  const report = differenceOf(() => processor.finish()).report.join("\n");
  expect(report).toContain("page 0x3a00000: 1 bytes differ; from 0x3a00123");
  expect(report).toContain("not noted as written");
});

test("another value at a port is a difference before any state is compared", () => {
  const { runTo } = start("auto", (side) =>
    meddled(side, 120_000, ({ state }) => state.set64(0, state.get64(0) ^ 1n)),
  );
  // RAX is written by RDTSC, so only a run that ends between RDTSC and OUT shows it.
  const { report } = differenceOf(() => runTo(ENOUGH));
  expect(report.join("\n")).toMatch(/rax: |writePort\(0x80/);
});

test("what a device writes to RAM reaches both, and decoded code there is forgotten", () => {
  const { machine, processor, runTo } = start("translator");
  runTo(ENOUGH);
  const at = LOADED + Buffer.from(machine.memory.view(LOADED, 4096)).indexOf(PROGRAM);
  machine.memory.write(at, Uint8Array.of(0x48, 0xff, 0xcb)); // dec rbx
  processor.memoryWritten(at, 3);
  const before = processor.registers.get("rbx");
  runTo(2 * ENOUGH);
  processor.finish();
  expect(BigInt.asIntN(64, processor.registers.get("rbx") - before)).toBeLessThan(-1000n);
});
