import type { BlockDevice } from "../host/block-device.ts";
import type { EthernetPort } from "../host/ethernet-port.ts";

/** An open disk for the guest. */
export interface GuestDisk {
  readonly disk: BlockDevice;
  readonly serial: string;
}

/** A cable for one network card of the guest. */
export interface GuestNetwork {
  readonly port: EthernetPort;
  readonly mac: Uint8Array;
}
