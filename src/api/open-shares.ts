import { folderName, systemErrorCode } from "../host/node/files.ts";
import { NodeSharedFolder } from "../host/node/shared-folder/node-shared-folder.ts";
import { VmError } from "../layout/vm-error.ts";
import { EXPECTED_TAG, type GuestShare, isShareTag, shareTag } from "../virtio/sharing/share.ts";
import type { ShareOptions } from "./options.ts";

/** Opens the folders that a program shares with its guest. */
export function openShares(options: readonly ShareOptions[]): GuestShare[] {
  const shares: GuestShare[] = [];
  for (const option of options) {
    const tag = option.tag ?? shareTag(folderName(option.path));
    checkTag(tag, shares);
    shares.push({ tag, protocol: option.protocol ?? "virtiofs", folder: openFolder(option) });
  }
  return shares;
}

function checkTag(tag: string, others: readonly GuestShare[]): void {
  const expected = others.some((other) => other.tag === tag)
    ? "a tag that no other folder has"
    : EXPECTED_TAG;
  if (!isShareTag(tag) || expected !== EXPECTED_TAG)
    throw new VmError({ code: "option-invalid", option: "shares.tag", value: tag, expected });
}

function openFolder({ path: folder, readOnly = false, owner, extendedAttributes = false }: ShareOptions) {
  try {
    return new NodeSharedFolder(folder, {
      readOnly,
      extendedAttributes,
      ...(owner && { owner: { owner: owner.uid, group: owner.gid } }),
    });
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === "ENOENT") throw new VmError({ code: "file-not-found", path: folder }, { cause });
    const reason = code === "ENOTDIR" ? "it is not a folder" : String(cause);
    throw new VmError({ code: "file-unreadable", path: folder, reason }, { cause });
  }
}
