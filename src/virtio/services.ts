import type { Clock } from "../bus/clock.ts";
import type { HostOperations } from "../bus/host-operations.ts";
import type { VirtioDevice } from "./device.ts";

/** What a machine offers to the makers of its devices. */
export interface DeviceServices {
  readonly clock: Clock;
  readonly operations: HostOperations;
  /** Random bytes; from a seeded generator in deterministic mode. */
  random(bytes: number): Uint8Array;
}

/** Makes the devices of a board, in the order of their slots; called at power-on and at each reset. */
export type CreateDevices = (services: DeviceServices) => readonly VirtioDevice[];
