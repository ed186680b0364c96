/**
 * A mistake the caller can correct: a bad option, an unreadable image.
 *
 * Three kinds of failure never mix. A fault the *guest* caused is a value and
 * is delivered to the guest. A mistake by the *caller* is a `VmError` and is
 * thrown. A broken invariant is a bug and goes through `invariant()`.
 */
export class VmError extends Error {
  override readonly name = "VmError";
  readonly detail: VmErrorDetail;

  constructor(detail: VmErrorDetail, options?: { cause?: unknown }) {
    super(describe(detail), options);
    this.detail = detail;
  }
}

/**
 * Every way a caller can be wrong. `code` is stable; message text is not.
 * A new way is a new member here and a new line in `describe`.
 */
export type VmErrorDetail =
  | { code: "memory-size-unsupported"; requestedBytes: number; minimumBytes: number; maximumBytes: number }
  | { code: "address-unmapped"; address: number; length: number }
  | { code: "kernel-unrecognised"; reason: string }
  | { code: "kernel-truncated"; expectedBytes: number; actualBytes: number }
  | { code: "kernel-too-large"; neededBytes: number; availableBytes: number }
  | { code: "kernel-unsupported"; reason: string }
  | { code: "initrd-too-large"; initrdBytes: number; availableBytes: number }
  | { code: "command-line-too-long"; lengthBytes: number; maximumBytes: number }
  | { code: "file-not-found"; path: string }
  | { code: "file-unreadable"; path: string; reason: string }
  | { code: "file-unwritable"; path: string; reason: string }
  | { code: "file-exists"; path: string }
  | { code: "file-locked"; path: string }
  | { code: "disk-image-invalid"; path: string; reason: string }
  | { code: "machine-ended" }
  | { code: "machine-not-paused" }
  | { code: "machine-paused" }
  | { code: "agent-unavailable"; reason: string }
  | { code: "agent-refused"; command: string; reason: string }
  | { code: "command-output-too-large"; sizeBytes: number; maximumBytes: number }
  | { code: "connection-failed"; port: number; reason: string }
  | { code: "guest-file-failed"; path: string; reason: string }
  | { code: "snapshot-unsupported"; reason: string }
  | { code: "snapshot-devices-differ"; saved: string; present: string }
  | { code: "snapshot-disk-changed"; disk: string; reason: string }
  | { code: "snapshot-foreign"; path: string; reason: string }
  | { code: "snapshot-truncated"; path: string; expectedBytes: number; actualBytes: number }
  | { code: "snapshot-damaged"; path: string; where: string }
  | { code: "snapshot-too-new"; path: string; version: number; newestKnown: number }
  | { code: "snapshot-parent-missing"; path: string; parent: string; reason: string }
  | { code: "image-not-found"; name: string; known: readonly string[] }
  | { code: "image-exists"; name: string }
  | { code: "image-invalid"; path: string; reason: string }
  | { code: "image-too-new"; path: string; version: number; newestKnown: number }
  | { code: "image-damaged"; path: string; reason: string }
  | { code: "image-not-made"; reason: string }
  | { code: "archive-invalid"; path: string; reason: string }
  | { code: "option-invalid"; option: string; value: string; expected: string };

function describe(e: VmErrorDetail): string {
  switch (e.code) {
    case "memory-size-unsupported":
      return (
        `cannot give the guest ${e.requestedBytes} bytes of memory; ` +
        `a whole number of pages from ${e.minimumBytes} to ${e.maximumBytes} bytes is possible`
      );
    case "address-unmapped":
      return `${e.length} bytes at guest physical address 0x${e.address.toString(16)} are not all RAM`;
    case "kernel-unrecognised":
      return `not a kernel that can be started: ${e.reason}`;
    case "kernel-truncated":
      return `the kernel image ends at byte ${e.actualBytes}, but its headers promise ${e.expectedBytes}`;
    case "kernel-too-large":
      return `the kernel needs memory up to byte ${e.neededBytes}, but the guest has ${e.availableBytes} bytes`;
    case "kernel-unsupported":
      return `this kernel cannot be started: ${e.reason}`;
    case "initrd-too-large":
      return `the initial RAM disk has ${e.initrdBytes} bytes, but only ${e.availableBytes} are free for it`;
    case "command-line-too-long":
      return `the kernel command line has ${e.lengthBytes} bytes; this kernel takes at most ${e.maximumBytes}`;
    case "file-not-found":
      return `${e.path}: no such file`;
    case "file-unreadable":
      return `${e.path}: cannot be read: ${e.reason}`;
    case "file-unwritable":
      return `${e.path}: cannot be written: ${e.reason}`;
    case "file-exists":
      return `${e.path}: the file exists already; choose another name, or remove it first`;
    case "file-locked":
      return `${e.path}: in use by another machine or command`;
    case "disk-image-invalid":
      return `${e.path}: ${e.reason}`;
    case "machine-ended":
      return "the machine has ended";
    case "machine-not-paused":
      return "the machine is running; pause it first";
    case "machine-paused":
      return "the machine is paused; resume it first";
    case "agent-unavailable":
      return `nothing in the guest runs commands for the host: ${e.reason}`;
    case "agent-refused":
      return `the guest's agent refuses ${e.command}: ${e.reason}`;
    case "command-output-too-large":
      return `the command printed ${e.sizeBytes} bytes; at most ${e.maximumBytes} are taken`;
    case "connection-failed":
      return `no connection to port ${e.port} of the guest: ${e.reason}`;
    case "guest-file-failed":
      return `${e.path} in the guest: ${e.reason}`;
    case "snapshot-unsupported":
      return e.reason;
    case "snapshot-devices-differ":
      return (
        `the snapshot's machine has ${e.saved}, and this one ${e.present}; ` +
        "give it the same disks, networks and other devices as when it was saved"
      );
    case "snapshot-disk-changed":
      return `${e.disk}: ${e.reason}; restore with the disk as it was when the snapshot was taken`;
    case "snapshot-foreign":
      return `${e.path}: not a snapshot of Ringfence: ${e.reason}; check the path`;
    case "snapshot-truncated":
      return (
        `${e.path}: this snapshot has ${e.actualBytes} bytes of ${e.expectedBytes}; ` +
        "copy it again, or take a new one"
      );
    case "snapshot-damaged":
      return `${e.path}: this snapshot is damaged (${e.where}); copy it again, or take a new one`;
    case "snapshot-too-new":
      return (
        `${e.path}: this snapshot has format ${e.version}, and this Ringfence knows formats up to ` +
        `${e.newestKnown}; use the Ringfence that made it, or a newer one`
      );
    case "snapshot-parent-missing":
      return (
        `${e.path}: this snapshot holds only what changed since ${e.parent}: ${e.reason}; ` +
        "put that snapshot beside it"
      );
    case "image-not-found":
      return `there is no image ${e.name}`;
    case "image-exists":
      return `there is an image ${e.name} already; remove it (ringfence rm ${e.name}), or choose another --name`;
    case "image-invalid":
      return `${e.path}: not an image that can be started: ${e.reason}`;
    case "image-too-new":
      return (
        `${e.path}: this image has version ${e.version}, and this Ringfence knows versions up to ` +
        `${e.newestKnown}; use the Ringfence that made it, or a newer one`
      );
    case "image-damaged":
      return `${e.path}: not as it was when the image was made: ${e.reason}; make or copy the image again`;
    case "image-not-made":
      return `the image could not be made: ${e.reason}`;
    case "archive-invalid":
      return `${e.path}: cannot be imported: ${e.reason}`;
    case "option-invalid":
      return `${e.option} ${e.value}: expected ${e.expected}`;
  }
}
