import type { SnapshotHost } from "../../host/snapshot-host.ts";
import { AbsentPages } from "../../memory/absent-pages.ts";
import type { Machine } from "../machine.ts";
import { createMachineMemory } from "../machine-memory.ts";
import type { SavedMachine } from "../machine-state.ts";
import type { MachineConfiguration } from "./format.ts";
import { GuestPages } from "./guest-pages.ts";
import { openSnapshot, type Snapshot } from "./read-snapshot.ts";

/** A machine made from a snapshot, which stays open for it. */
export interface RestoredMachine {
  readonly machine: Machine;
  readonly snapshot: Snapshot;
}

/**
 * Makes a machine from a snapshot. Any number can be made from one file.
 *
 * @param path Of the file; or the snapshot, already open, which is closed where this fails.
 * @param build Builds the machine with `saved` for what it boots; it must not run yet. Called while memory is read.
 * @throws {VmError} What `openSnapshot` and `Snapshot.loadMemory` throw, and `memory-size-unsupported`.
 */
export async function restoreMachine(
  host: SnapshotHost,
  path: string | Snapshot,
  build: (saved: SavedMachine, configuration: MachineConfiguration) => Machine,
): Promise<RestoredMachine> {
  const snapshot = typeof path === "string" ? await openSnapshot(host, path) : path;
  try {
    const { configuration, state } = snapshot;
    const memory = createMachineMemory(configuration.ramBytes, true);
    const { ramBytes } = configuration;
    const absent = new AbsentPages(memory.buffer, ramBytes);
    const loading = snapshot.loadMemory(new GuestPages(memory.buffer, ramBytes), absent);
    // A failure is seen below; it must not count as unhandled meanwhile.
    loading.catch(() => {});
    const bootPlan = () => snapshot.readBootPlan();
    const code = await snapshot.loadCode();
    const machine = build({ state, memory, absent, bootPlan, code }, configuration);
    await loading;
    await snapshot.loadDisks(machine.disks);
    return { machine, snapshot };
  } catch (error) {
    await snapshot.close();
    throw error;
  }
}
