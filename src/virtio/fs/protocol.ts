// The FUSE protocol as virtio-fs carries it. Source: Linux, include/uapi/linux/fuse.h.

export const FUSE_MAJOR = 7;
/** What is spoken here; requests that came later are refused with ENOSYS, which drivers remember. */
export const FUSE_MINOR = 38;
/** The first one in which all structures have the sizes that are used here. */
export const FUSE_LEAST_MINOR = 23;

export const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
/** struct fuse_write_in, behind which the data come */
export const WRITE_FIELD_BYTES = 40;

/** Data of one read or write. */
export const MOST_DATA_BYTES = 1 << 20;
export const PAGE_BYTES = 4096;

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  RENAME2: 45,
} as const;

/** Flags of INIT. */
export const INIT = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
} as const;

/** What SETATTR is to set. */
export const SET = {
  MODE: 1 << 0,
  OWNER: 1 << 1,
  GROUP: 1 << 2,
  SIZE: 1 << 3,
  ACCESSED: 1 << 4,
  MODIFIED: 1 << 5,
  ACCESSED_NOW: 1 << 7,
  MODIFIED_NOW: 1 << 8,
} as const;

export const RENAME_NOREPLACE = 1;
export const FSYNC_DATA_ONLY = 1;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
/** The inode's number in a listing that does not look at each file; as libfuse has it. */
export const UNKNOWN_INODE = 0xffffffff;
