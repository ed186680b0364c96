import { systemErrorCode } from "../host/node/files.ts";
import { NodeSharedFolder } from "../host/node/shared-folder/node-shared-folder.ts";
import type { GuestShare } from "./guest-devices.ts";
import type { ShareOption } from "./share-option.ts";
import { UsageError } from "./usage-error.ts";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such folder; check the path",
  ENOTDIR: "it is not a folder; name the folder that holds it",
  EACCES: "it may not be read; check its permissions",
};

/** Opens what `--share` names. */
export function openShares(options: readonly ShareOption[]): GuestShare[] {
  const shares: GuestShare[] = [];
  for (const { path, tag, protocol, readOnly, owner } of options) {
    try {
      const folder = new NodeSharedFolder(path, { readOnly, ...(owner && { owner }) });
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
