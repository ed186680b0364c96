import type { HostOperations } from "../../bus/host-operations.ts";
import type { SharedFolder } from "../../host/shared-folder.ts";
import { Virtio9p } from "../9p/virtio-9p.ts";
import type { VirtioDevice } from "../device.ts";
import { MOST_TAG_BYTES, VirtioFs } from "../fs/virtio-fs.ts";

export const SHARE_PROTOCOLS = ["virtiofs", "9p"] as const;
export type ShareProtocol = (typeof SHARE_PROTOCOLS)[number];

/** A folder for the guest. */
export interface GuestShare {
  /** By which the guest mounts it; see `isShareTag`. */
  readonly tag: string;
  readonly protocol: ShareProtocol;
  readonly folder: SharedFolder;
}

export const EXPECTED_TAG = `1 to ${MOST_TAG_BYTES} letters, digits and any of . _ -`;

/** Whether a tag needs no quotes in a shell, on a kernel's command line and in a path, and fits both protocols. */
export function isShareTag(tag: string): boolean {
  return /^[\w.-]+$/.test(tag) && tag.length <= MOST_TAG_BYTES && !/^\.+$/.test(tag);
}

/** The tag of a folder whose own name is `name`. */
export function shareTag(name: string): string {
  return isShareTag(name) ? name : "share";
}

export function createShareDevice(share: GuestShare, operations: HostOperations): VirtioDevice {
  const { tag, folder, protocol } = share;
  if (protocol === "9p") return new Virtio9p({ tag, folder, operations });
  return new VirtioFs({ tag, folder, operations });
}
