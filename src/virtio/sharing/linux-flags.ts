import type { OpenMode } from "../../host/shared-folder.ts";

// Flags of open() and types of directory entries, which both protocols have from Linux.
// Source: Linux, include/uapi/asm-generic/fcntl.h; include/linux/fs_types.h.
const O_ACCMODE = 0o3;
const O_WRONLY = 0o1;
const O_RDWR = 0o2;
export const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_DSYNC = 0o10000;

/**
 * What is asked for of open(). The guest's kernel says where each write goes,
 * so O_APPEND has no meaning here, and caching is its own affair.
 */
export function openMode(flags: number): OpenMode {
  const access = flags & O_ACCMODE;
  return {
    read: access !== O_WRONLY,
    write: access === O_WRONLY || access === O_RDWR,
    truncate: (flags & O_TRUNC) !== 0,
    synchronous: (flags & O_DSYNC) !== 0,
  };
}

/** d_type for the type bits of a mode. */
export function entryType(mode: number): number {
  return (mode >> 12) & 15;
}

export const NS_PER_S = 1_000_000_000n;
