export { GuestUnavailableError } from "../host/guest-unavailable.ts";
export { VmError, type VmErrorDetail } from "../layout/vm-error.ts";
export type { MachineEnd } from "../machine/machine-end.ts";
export type { MemoryStatistics } from "../virtio/balloon/balloon-control.ts";
export { type DefaultSnapshotOptions, defaultSnapshot, startDefaultGuest } from "./default-snapshot.ts";
export type {
  DiskOptions,
  HttpHandler,
  NetworkOptions,
  SocketHandler,
  SocketOptions,
  SocketStreams,
  UserNetworkOptions,
  VirtualDisk,
} from "./device-options.ts";
export type {
  BalloonState,
  CommandResult,
  CopyOptions,
  CopySummary,
  CreateOptions,
  DeviceOptions,
  ExecOptions,
  RestoreOptions,
  ShareOptions,
  SnapshotOptions,
  SnapshotSummary,
  VirtualMachineEvents,
  VirtualMachineStatistics,
} from "./options.ts";
export type { SerialStreams } from "./serial-streams.ts";
export { VirtualMachine } from "./virtual-machine.ts";
