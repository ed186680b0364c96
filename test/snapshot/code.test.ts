import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import { createProcessor, type ProcessorParts } from "../../src/machine/create-processor.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { MachineOptions } from "../../src/machine/machine-options.ts";
import type { SavedMachine } from "../../src/machine/machine-state.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import { BUSY_KERNEL, bootSmall, coreModule, RAM_BYTES, smallMachine } from "./small-machine.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);

test("decoded code goes with a snapshot of a machine in real time: nothing is decoded again", async () => {
  const { original, engineOf } = machinesWithCode("version");
  await runFor(original.machine, 200);
  await saveSnapshot(original.machine, snapshotHost, file("code"));
  let restored = original;
  await restoreMachine(snapshotHost, file("code"), (saved) => {
    expect(saved.code?.key).toContain("version");
    restored = smallMachine(saved, engineOf(saved));
    return restored.machine;
  });
  await runFor(restored.machine, 200);
  expect(restored.printed.length).toBeGreaterThan(100);
  const { decodedBlocks, handlerModules } = parts.at(-1)!.engine.statistics;
  expect(decodedBlocks).toBe(0);
  expect(handlerModules).toBe(1);
});

test("code of pages that a differential snapshot has changed is decoded again", async () => {
  const { original, engineOf } = machinesWithCode("version");
  await runFor(original.machine, 100);
  await saveSnapshot(original.machine, snapshotHost, file("code-parent"));
  // `out dx, al` of the kernel's loop becomes a NOP: it prints no more.
  const at = original.machine.memory.read(0x100000, 64).indexOf(0xee);
  original.machine.memory.writeU8(0x100000 + at, 0x90);
  original.machine.processor.forgetCode();
  await saveSnapshot(original.machine, snapshotHost, file("code-child"), { parentPath: file("code-parent") });
  let restored = original;
  await restoreMachine(snapshotHost, file("code-child"), (saved) => {
    expect([...saved.code!.changedPages]).toContain(0x100);
    restored = smallMachine(saved, engineOf(saved));
    return restored.machine;
  });
  await runFor(restored.machine, 100);
  expect(restored.machine.statistics().instructions).toBeGreaterThan(
    original.machine.statistics().instructions,
  );
  expect(restored.printed).toEqual([]);
  expect(parts.at(-1)!.engine.statistics.decodedBlocks).toBeGreaterThan(0);
});

test("code of another version is passed over", async () => {
  const { original } = machinesWithCode("one version");
  await runFor(original.machine, 100);
  await saveSnapshot(original.machine, snapshotHost, file("code-other"));
  const { engineOf } = machinesWithCode("another version");
  let restored = original;
  await restoreMachine(snapshotHost, file("code-other"), (saved) => {
    restored = smallMachine(saved, engineOf(saved));
    return restored.machine;
  });
  await runFor(restored.machine, 100);
  expect(restored.printed.length).toBeGreaterThan(10);
  expect(parts.at(-1)!.engine.statistics.decodedBlocks).toBeGreaterThan(0);
});

const parts: ProcessorParts[] = [];

/** A running machine in real time, and how to build one that can take its code. */
function machinesWithCode(codeVersion: string) {
  const engineOf = (saved?: SavedMachine): Partial<MachineOptions> => ({
    deterministic: false,
    createProcessor: (surroundings, memory) => {
      const common = { coreModule, ramBytes: RAM_BYTES, deterministic: false, engine: "auto" } as const;
      parts.push(createProcessor({ ...common, surroundings, memory, codeVersion, code: saved?.code }));
      return parts.at(-1)!.processor;
    },
  });
  return { original: bootSmall(BUSY_KERNEL, engineOf()), engineOf };
}

async function runFor(machine: Machine, ms: number): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; ) machine.runSlice(5);
}
