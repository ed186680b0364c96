import { defaultSnapshotPath, isCached, makeRoomFor } from "../host/node/snapshot-cache.ts";
import { FORMAT_VERSION } from "../machine/snapshot/format.ts";
import { prepareMachineThread } from "./machine-connection.ts";
import type { RestoreOptions } from "./options.ts";
import { VirtualMachine } from "./virtual-machine.ts";

export interface DefaultSnapshotOptions {
  /** Memory of the guest; 512 MiB if absent. */
  readonly memoryBytes?: number;
  readonly signal?: AbortSignal;
  /** A line about something slow: fetching the default guest, booting it. */
  readonly progress?: (line: string) => void;
}

/** What the guest has done before it is saved, so that no clone has to do it for the first time. */
const WARM_UP = "echo 1 | cat; awk 'BEGIN { print 1 + 1 }'; test -d /; ls / | wc -l";

/** Makes most of the guest's free memory zero, which a snapshot leaves out. */
const CLEAR_FREE_MEMORY = `
  half=$(awk '/^MemFree/ { print int($2 / 1024 * 0.45) }' /proc/meminfo)
  for folder in /tmp /dev/shm; do dd if=/dev/zero of=$folder/zero bs=1M count=$half 2>/dev/null; done
  rm -f /tmp/zero /dev/shm/zero`;

/**
 * The path of a snapshot of the default guest, ready for `exec`. It is made when it is first needed, which takes as long
 * as a boot, and kept in the user's cache folder under a name made of the contents of all that it comes from.
 *
 * @throws {GuestUnavailableError} Where the default guest cannot be fetched.
 * @throws {VmError} `file-unwritable`, `memory-size-unsupported`.
 */
export async function defaultSnapshot(options: DefaultSnapshotOptions = {}): Promise<string> {
  const { memoryBytes = 512 << 20, signal, progress = () => {} } = options;
  // Whoever asks for it is about to make a machine of it.
  prepareMachineThread();
  const settings = JSON.stringify({ format: FORMAT_VERSION, memoryBytes, WARM_UP, CLEAR_FREE_MEMORY });
  const path = await defaultSnapshotPath(settings, progress);
  if (isCached(path)) return path;
  makeRoomFor(path);
  progress("booting the default guest once, for a snapshot");
  await using machine = await VirtualMachine.create({
    memoryBytes,
    events: { progress },
    ...(signal === undefined ? {} : { signal }),
  });
  await machine.start();
  await machine.exec(`${WARM_UP}\n${CLEAR_FREE_MEMORY}`);
  await machine.forgetCode();
  await machine.exec(WARM_UP);
  await machine.snapshot(path, { packed: false });
  return path;
}

/**
 * A fresh machine from the default snapshot, started and ready for `exec`.
 *
 * @throws {GuestUnavailableError} Where the default guest cannot be fetched.
 * @throws {VmError} What `defaultSnapshot` and `VirtualMachine.restore` throw.
 */
export async function startDefaultGuest(
  options: DefaultSnapshotOptions & RestoreOptions = {},
): Promise<VirtualMachine> {
  const machine = await VirtualMachine.restore(await defaultSnapshot(options), options);
  await machine.start();
  return machine;
}
