import { systemErrorCode } from "../host/node/files.ts";
import { NodeSharedFolder } from "../host/node/shared-folder/node-shared-folder.ts";
import type { GuestShare } from "../virtio/sharing/share.ts";
import type { ShareOption } from "./share-option.ts";
import { UsageError } from "./usage-error.ts";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such folder; check the path",
  ENOTDIR: "it is not a folder; name the folder that holds it",
  MODULE_NOT_FOUND: "xattrs needs the npm package @napi-rs/xattr, which is not installed for this host",
  EACCES: "it may not be read; check its permissions",
};

/** Opens what `--share` names. */
export function openShares(options: readonly ShareOption[]): GuestShare[] {
  const shares: GuestShare[] = [];
  for (const { path, tag, protocol, readOnly, xattrs, owner } of options) {
    try {
      const folder = new NodeSharedFolder(path, {
        readOnly,
        extendedAttributes: xattrs,
        ...(owner && { owner }),
      });
      shares.push({ tag, protocol, folder });
    } catch (error) {
      closeShares(shares);
      const code = systemErrorCode(error) ?? "";
      throw new UsageError(`--share ${path}: ${REASONS[code] ?? String(error)}`);
    }
  }
  return shares;
}

export function closeShares(shares: readonly GuestShare[]): void {
  for (const { folder } of shares) folder.dispose();
}
