// 9P2000.L. Source: Plan 9 manual, section 5; diod, protocol.md; Linux, include/net/9p/9p.h.

export const VERSION = "9P2000.L";
/** Size, type and tag, which begin every message. */
export const HEADER_BYTES = 7;
/** How many bytes follow, in READ's and READDIR's replies. */
export const COUNT_BYTES = 4;
/** Fid, offset and count of WRITE, behind which the data come. */
export const WRITE_FIELD_BYTES = 16;
export const LEAST_MESSAGE_BYTES = 4096;
/** What a Linux driver can ask for: its queue has 128 descriptors. */
export const MOST_MESSAGE_BYTES = 512 << 10;
export const MOST_WALK_NAMES = 16;

/** Types of requests; the reply's is one more. */
export const TYPE = {
  LERROR: 6,
  STATFS: 8,
  LOPEN: 12,
  LCREATE: 14,
  SYMLINK: 16,
  MKNOD: 18,
  RENAME: 20,
  READLINK: 22,
  GETATTR: 24,
  SETATTR: 26,
  XATTRWALK: 30,
  XATTRCREATE: 32,
  READDIR: 40,
  FSYNC: 50,
  LOCK: 52,
  GETLOCK: 54,
  LINK: 70,
  MKDIR: 72,
  RENAMEAT: 74,
  UNLINKAT: 76,
  VERSION: 100,
  ATTACH: 104,
  FLUSH: 108,
  WALK: 110,
  READ: 116,
  WRITE: 118,
  CLUNK: 120,
  REMOVE: 122,
} as const;

/** Kinds of files in a qid. */
export const QID_FOLDER = 0x80;
export const QID_LINK = 0x02;

/** What SETATTR is to set. */
export const SET = {
  MODE: 1 << 0,
  OWNER: 1 << 1,
  GROUP: 1 << 2,
  SIZE: 1 << 3,
  ACCESSED: 1 << 4,
  MODIFIED: 1 << 5,
  ACCESSED_GIVEN: 1 << 7,
  MODIFIED_GIVEN: 1 << 8,
} as const;

/** In GETATTR's reply: mode to blocks are there; times of birth, generation and data version are not. */
export const ATTRIBUTES_BASIC = 0x7ffn;

export const LOCK_NONE = 2;
export const LOCK_SUCCESS = 0;
export const UNLINK_FOLDER = 0x200;
/** V9FS_MAGIC, as Linux shows it to statfs(). */
export const FILE_SYSTEM_TYPE = 0x01021997;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
