// The devices of a machine as a program's thread describes them to the machine's.

import type { StreamAddress } from "../host/network.ts";
import type { UserNetworkPlan } from "../host/node/guest-network.ts";
import type { PortForward } from "../network/nat/user-network.ts";
import type { ShareOptions } from "./options.ts";

export interface DeviceRequest {
  readonly shares: readonly ShareOptions[];
  readonly disks: readonly DiskRequest[];
  readonly networks: readonly NetworkRequest[];
  /** Undefined: the guest has no socket device. */
  readonly sockets: readonly ServedPort[] | undefined;
  readonly balloon: boolean;
  /** For a kernel of one's own: a port for the QEMU guest agent. */
  readonly guestAgent: boolean;
}

/** The guest's connections to `port` go to the Unix-domain socket at `path`. */
export interface ServedPort {
  readonly port: number;
  readonly path: string;
}

export interface DiskRequest {
  /** A file; or the size of what the program keeps itself. */
  readonly from:
    | { readonly path: string; readonly format: "raw" | "qcow2" | undefined }
    | { readonly sizeBytes: number };
  readonly readOnly: boolean;
  readonly snapshot: boolean;
  readonly serial: string;
}

export interface NetworkRequest {
  readonly plan:
    | (UserNetworkPlan & { readonly forwards: readonly PortForward[] })
    | { readonly kind: "switch"; readonly at: StreamAddress }
    | { readonly kind: "program" };
  readonly mac: Uint8Array;
  readonly bytesPerSecond: number | undefined;
}

/** What the machine asks of a disk that the program keeps. */
export type DiskOperation =
  | { readonly kind: "read"; readonly offset: number; readonly length: number }
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "flush" };

/** From the machine's thread. `device` counts the disks, or the networks. */
export type FromDevices =
  | {
      readonly kind: "disk";
      readonly device: number;
      readonly id: number;
      readonly operation: DiskOperation;
    }
  | { readonly kind: "frame"; readonly device: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "deviceError"; readonly message: string };

/** To the machine's thread. */
export type ToDevices =
  | {
      readonly kind: "diskDone";
      readonly device: number;
      readonly id: number;
      readonly bytes: Uint8Array | undefined;
    }
  | { readonly kind: "diskFailed"; readonly device: number; readonly id: number; readonly reason: string }
  | { readonly kind: "frame"; readonly device: number; readonly bytes: Uint8Array }
  /** The program has taken this many bytes of frames. */
  | { readonly kind: "frameTaken"; readonly device: number; readonly bytes: number };
