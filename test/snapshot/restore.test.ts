import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import type { SavedMachine } from "../../src/machine/machine-state.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import {
  BUSY_KERNEL,
  bootSmall,
  hashOf,
  IDLE_KERNEL,
  runTo,
  type SmallMachine,
  smallMachine,
} from "./small-machine.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);

async function restore(snapshotPath: string): Promise<SmallMachine> {
  let small: SmallMachine | undefined;
  await restoreMachine(snapshotHost, snapshotPath, (saved: SavedMachine, { deterministic, secondSerial }) => {
    small = smallMachine(saved, { deterministic, secondSerial });
    return small.machine;
  });
  return small!;
}

test("a restored machine goes on exactly as the one that was saved", async () => {
  const original = bootSmall(BUSY_KERNEL);
  runTo(original.machine, 200_000);
  await saveSnapshot(original.machine, snapshotHost, file("busy"));
  const printedBefore = original.printed.length;
  const restored = await restore(file("busy"));
  expect(hashOf(restored.machine)).toBe(hashOf(original.machine));
  runTo(original.machine, 3_000_000);
  runTo(restored.machine, 3_000_000);
  expect(restored.machine.statistics().instructions).toBe(original.machine.statistics().instructions);
  expect(restored.printed).toEqual(original.printed.slice(printedBefore));
  expect(restored.printed.length).toBeGreaterThan(100_000);
  expect(hashOf(restored.machine)).toBe(hashOf(original.machine));
});

test("machines made from one snapshot share nothing", async () => {
  const original = bootSmall(BUSY_KERNEL);
  runTo(original.machine, 50_000);
  await saveSnapshot(original.machine, snapshotHost, file("shared"));
  const [first, second] = [await restore(file("shared")), await restore(file("shared"))];
  const before = hashOf(second.machine);
  runTo(first.machine, 500_000);
  first.machine.memory.fill(0x300000, 4096, 0xff);
  expect(hashOf(second.machine)).toBe(before);
  expect(hashOf(first.machine)).not.toBe(before);
});

test("a differential snapshot holds what has changed, also pages that have become zero, and a second one builds on it", async () => {
  const { machine } = bootSmall(BUSY_KERNEL);
  runTo(machine, 6_000_000);
  machine.memory.fill(0x300000, 8192, 0x55);
  const whole = await saveSnapshot(machine, snapshotHost, file("whole"));
  machine.memory.fill(0x300000, 4096, 0);
  machine.memory.fill(0x380000, 4096, 0x77);
  const first = await saveSnapshot(machine, snapshotHost, file("first"), { parentPath: file("whole") });
  runTo(machine, 6_100_000);
  machine.memory.fill(0x380000, 4096, 0);
  machine.memory.fill(0x300000, 1, 0x11);
  const second = await saveSnapshot(machine, snapshotHost, file("second"), { parentPath: file("first") });
  expect(first.pages).toBe(1);
  expect(second.pages).toBeLessThan(whole.pages / 2);
  expect(second.fileBytes).toBeLessThan(whole.fileBytes / 2);
  expect(hashOf((await restore(file("second"))).machine)).toBe(hashOf(machine));
});

test("snapshots are taken between two slices of a machine that runs, which goes on", async () => {
  const { machine, printed } = bootSmall(BUSY_KERNEL, { deterministic: false });
  const ended = machine.run();
  for (let i = 0; i < 3; i++) {
    const before = printed.length;
    await saveSnapshot(machine, snapshotHost, file("running"), { packed: i !== 1 });
    const { machine: restored } = await restore(file("running"));
    expect(restored.statistics().guestTimeNs).toBeGreaterThan(0);
    restored.runSlice(5);
    expect(restored.statistics().instructions).toBeGreaterThan(0);
    while (printed.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  machine.stop();
  expect(await ended).toEqual({ reason: "stopped" });
});

test("a restored guest can reset its machine, which starts what the first one was started with", async () => {
  const { machine } = bootSmall(IDLE_KERNEL);
  machine.runSlice(1);
  await saveSnapshot(machine, snapshotHost, file("reset"));
  let small: SmallMachine | undefined;
  await restoreMachine(snapshotHost, file("reset"), (saved) => {
    small = smallMachine(saved, { noReboot: false });
    return small.machine;
  });
  const restored = small!.machine;
  restored.memory.fill(0x100000, 64, 0);
  restored.processor.registers.set("rip", 0x200000n);
  // mov al, 6; out 0xcf9: through the reset control register.
  restored.memory.write(0x200000, Uint8Array.of(0xb0, 0x06, 0x66, 0xba, 0xf9, 0x0c, 0xee, 0xf4));
  restored.processor.forgetCode();
  restored.processor.raiseNonMaskableInterrupt();
  for (let i = 0; i < 5; i++) restored.runSlice(1);
  expect(restored.statistics().resets).toBe(1);
  expect(restored.memory.read(0x100020, 4)).toEqual(Uint8Array.of(0xfa, 0xf4, 0xeb, 0xfd));
});

test("input that the guest has not taken, and the clock, are part of a snapshot", async () => {
  const { machine } = bootSmall(IDLE_KERNEL, { secondSerial: true });
  runTo(machine, 1);
  const typed = new TextEncoder().encode("a line longer than the FIFO of the port");
  machine.receiveSerial(typed);
  machine.receiveSecondSerial(typed);
  await saveSnapshot(machine, snapshotHost, file("input"));
  const { state } = (await restore(file("input"))).machine;
  expect(state.serialInput).toEqual(typed);
  expect(state.secondSerialInput).toEqual(typed);
  expect(state.nowNs).toBe(machine.state.nowNs);
});

test("a snapshot that cannot be written leaves nothing behind, and the machine can be saved elsewhere", async () => {
  const { machine } = bootSmall(IDLE_KERNEL);
  await expect(saveSnapshot(machine, snapshotHost, file("no/such/folder"))).rejects.toMatchObject({
    detail: { code: "file-unwritable" },
  });
  await saveSnapshot(machine, snapshotHost, file("elsewhere"));
  expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("a machine that has ended is not saved", async () => {
  const { machine } = bootSmall(IDLE_KERNEL);
  machine.stop();
  await expect(saveSnapshot(machine, snapshotHost, file("ended"))).rejects.toMatchObject({
    detail: { code: "machine-ended" },
  });
});
