import { invariant } from "../layout/invariant.ts";

/** One member of an archive. Paths have no leading slash; a folder comes before what is in it. */
export type CpioEntry =
  | { readonly kind: "folder"; readonly path: string; readonly permissions?: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly permissions?: number;
    }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "character-device";
      readonly path: string;
      readonly major: number;
      readonly minor: number;
    };

const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";

// File types of st_mode.
const FOLDER = 0o040000;
const FILE = 0o100000;
const LINK = 0o120000;
const CHARACTER_DEVICE = 0o020000;

/**
 * Writes an archive in the "newc" format that Linux unpacks as an initramfs
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 * Everything belongs to root and has the time 0, so equal members give equal bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const members = entries.map((entry, index) => {
    const data =
      entry.kind === "file"
        ? entry.bytes
        : entry.kind === "link"
          ? encoder.encode(entry.target)
          : new Uint8Array();
    const device = entry.kind === "character-device" ? [entry.major, entry.minor] : [0, 0];
    const links = entry.kind === "folder" ? 2 : 1;
    return { path: encoder.encode(entry.path), inode: index + 1, mode: modeOf(entry), links, data, device };
  });
  const end = {
    path: encoder.encode(TRAILER),
    inode: 0,
    mode: 0,
    links: 1,
    data: new Uint8Array(),
    device: [0, 0],
  };
  const all = [...members, end];
  const size = all.reduce(
    (sum, m) => sum + align4(HEADER_BYTES + m.path.length + 1) + align4(m.data.length),
    0,
  );
  const archive = new Uint8Array(size);
  let at = 0;
  for (const { path, inode, mode, links, data, device } of all) {
    const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, ...device, path.length + 1, 0];
    archive.set(encoder.encode(`070701${fields.map(hex8).join("")}`), at);
    archive.set(path, at + HEADER_BYTES);
    at += align4(HEADER_BYTES + path.length + 1);
    archive.set(data, at);
    at += align4(data.length);
  }
  invariant(at === size, "the archive's size is the sum of its members'");
  return archive;
}

function modeOf(entry: CpioEntry): number {
  switch (entry.kind) {
    case "folder":
      return FOLDER | (entry.permissions ?? 0o755);
    case "file":
      return FILE | (entry.permissions ?? 0o644);
    case "link":
      return LINK | 0o777;
    case "character-device":
      return CHARACTER_DEVICE | 0o600;
  }
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}

function align4(length: number): number {
  return (length + 3) & ~3;
}
