/**
 * Error numbers as Linux has them for x86, which both protocols for shared
 * folders carry, whatever the host is.
 *
 * Source: Linux, include/uapi/asm-generic/errno-base.h and errno.h.
 */
export const LINUX_ERRORS = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

export type LinuxErrorName = keyof typeof LINUX_ERRORS;

/** A request on a shared folder that the guest is told has failed, and why. */
export class FolderError extends Error {
  override readonly name = "FolderError";
  /** As `LINUX_ERRORS` has it. */
  readonly errno: number;

  constructor(code: LinuxErrorName, message: string = code) {
    super(message);
    this.errno = LINUX_ERRORS[code];
  }
}

/** The number for the guest of whatever was thrown: EIO where it is no error of the host's file system. */
export function errnoOf(error: unknown): number {
  if (error instanceof FolderError) return error.errno;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return Object.hasOwn(LINUX_ERRORS, code) ? LINUX_ERRORS[code as LinuxErrorName] : LINUX_ERRORS.EIO;
}
