import { VmError } from "../layout/vm-error.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { VirtioPci, type VirtioPciState } from "../virtio/transport/virtio-pci.ts";
import { differenceInKind } from "./snapshot/plain-data.ts";

/**
 * Gives the virtio devices of a machine their saved states, after checking that both fit: kinds and lengths are as this
 * version has them, so that the transport can go on with the rest.
 *
 * @throws {VmError} `snapshot-devices-differ`.
 */
export function restoreDevices(devices: readonly VirtioDevice[], states: readonly VirtioPciState[]): void {
  const differ = (saved: string, present: string): never => {
    throw new VmError({ code: "snapshot-devices-differ", saved, present });
  };
  const names = (list: readonly { readonly name: string }[]) =>
    list.length === 0 ? "no virtio devices" : list.map(({ name }) => name).join(", ");
  if (!Array.isArray(states) || names(devices) !== names(states)) differ(names(states), names(devices));
  for (const [index, device] of devices.entries()) {
    const state = states[index]!;
    const { device: own, ...transport } = state;
    const { device: _, ...model } = blankTransport(device).state;
    const isSame = differenceInKind(transport, model) === undefined && haveSameLengths(transport, model);
    if (!isSame || !isWhole(transport)) differ(`a ${device.name} of another version`, "one of this version");
    const reason = typeof own === "object" && own !== null ? device.restoreState?.(own) : "another device";
    if (reason !== undefined) differ(`${device.name} ${index}: ${reason}`, "another");
  }
}

/** The transport of a device that nobody has touched. */
function blankTransport({ name, deviceId, classCode, features, queueSizes }: VirtioDevice): VirtioPci {
  const nothing = () => {};
  const device: VirtioDevice = {
    ...{ name, deviceId, classCode, features, queueSizes },
    ...{ readConfig: () => 0, writeConfig: nothing, start: nothing, handle: nothing, reset: nothing },
  };
  const memory = {
    sizeBytes: 0,
    contains: () => false,
    view: () => new Uint8Array(),
    readU16: () => 0,
    readU32: () => 0,
    readU64: () => 0n,
    ...{ write: nothing, noteWritten: nothing, fill: nothing, writeU16: nothing, writeU32: nothing },
  };
  return new VirtioPci(device, { memory, messages: { send: nothing }, mapped: nothing });
}

type Transport = Omit<VirtioPciState, "device">;

function haveSameLengths(a: Transport, b: Transport): boolean {
  return (
    a.pci.config.length === b.pci.config.length &&
    a.msiX.table.length === b.msiX.table.length &&
    a.msiX.pending.length === b.msiX.pending.length &&
    a.common.queues.length === b.common.queues.length
  );
}

/** Whether numbers that are calculated with are whole and not negative. */
function isWhole({ common }: Transport): boolean {
  return common.queues.every((queue) =>
    Object.values(queue).every(
      (value) => typeof value === "boolean" || (Number.isSafeInteger(value) && value >= 0),
    ),
  );
}
