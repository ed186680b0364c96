import { VmError } from "../layout/vm-error.ts";

/** The setup header of a bzImage, as far as a boot needs it. */
export interface LinuxImage {
  /** Boot protocol: 0x020f is 2.15. */
  readonly protocolVersion: number;
  /** The setup header itself, to be copied into the zero page at `SETUP_HEADER`. */
  readonly setupHeader: Uint8Array;
  /** The protected-mode part, which is loaded. */
  readonly payload: Uint8Array;
  /** Whether it has the 64-bit entry point. All have the 32-bit one. */
  readonly has64BitEntry: boolean;
  /** Where the payload goes: where the kernel wants to run, aligned; or the one place from which it moves itself there. */
  readonly preferredAddress: number;
  /** Memory from `preferredAddress` that the kernel needs before it reads the memory map. */
  readonly initSizeBytes: number;
  /** The initial RAM disk ends at or below this address. */
  readonly initrdAddressMax: number;
  /** Longest command line, without its terminating zero. */
  readonly commandLineMaximumBytes: number;
}

/** Offset of the setup header in the image and in the zero page. */
export const SETUP_HEADER = 0x1f1;

// Offsets in the image (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const JUMP_DISTANCE = 0x201;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const INITRD_ADDR_MAX = 0x22c;
const KERNEL_ALIGNMENT = 0x230;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
const HEADER_END = 0x264;

const HDRS = 0x53726448; // "HdrS"
const LOADED_HIGH = 1 << 0;
const XLF_KERNEL_64 = 1 << 0;
const OLDEST_VERSION = 0x020a; // the first with pref_address and init_size
const FIRST_WITH_XLOADFLAGS = 0x020c;
const SECTOR_BYTES = 512;
const PARAGRAPH_BYTES = 16;
const MINIMUM_ALIGNMENT = 0x200000;
const LOWEST_ADDRESS = 0x100000;

/** Whether the image has a Linux setup header of any version. */
export function isLinuxImage(image: Uint8Array): boolean {
  const view = viewOf(image);
  return (
    image.length >= HEADER_MAGIC + 4 &&
    view.getUint16(BOOT_FLAG, true) === 0xaa55 &&
    view.getUint32(HEADER_MAGIC, true) === HDRS
  );
}

/**
 * Parses a bzImage.
 *
 * @throws {VmError} `kernel-unrecognised`, `kernel-truncated`, or
 *   `kernel-unsupported` for a zImage or an old boot protocol.
 *
 * Source: Linux, Documentation/arch/x86/boot.rst.
 */
export function parseLinuxImage(image: Uint8Array): LinuxImage {
  if (!isLinuxImage(image))
    throw new VmError({ code: "kernel-unrecognised", reason: "it has no Linux setup header" });
  if (image.length < HEADER_END) {
    throw new VmError({ code: "kernel-truncated", expectedBytes: HEADER_END, actualBytes: image.length });
  }
  const view = viewOf(image);
  const version = view.getUint16(VERSION, true);
  if (version < OLDEST_VERSION) {
    const shown = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
    throw unsupported(`it speaks version ${shown} of the Linux boot protocol; 2.10 or newer is needed`);
  }
  if ((view.getUint8(LOADFLAGS) & LOADED_HIGH) === 0)
    throw unsupported("it is a zImage; a bzImage is needed");

  const setupBytes = ((view.getUint8(SETUP_SECTS) || 4) + 1) * SECTOR_BYTES;
  const expectedBytes = setupBytes + view.getUint32(SYSSIZE, true) * PARAGRAPH_BYTES;
  // The size counts whole paragraphs of 16 bytes; the last one of the file need not be whole.
  if (image.length <= expectedBytes - PARAGRAPH_BYTES) {
    throw new VmError({ code: "kernel-truncated", expectedBytes, actualBytes: image.length });
  }
  const headerEnd = HEADER_MAGIC + view.getUint8(JUMP_DISTANCE);
  return {
    protocolVersion: version,
    setupHeader: image.subarray(SETUP_HEADER, Math.max(headerEnd, HEADER_END)),
    payload: image.subarray(setupBytes, expectedBytes),
    has64BitEntry:
      version >= FIRST_WITH_XLOADFLAGS && (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0,
    preferredAddress: placeOf(view),
    initSizeBytes: view.getUint32(INIT_SIZE, true),
    initrdAddressMax: view.getUint32(INITRD_ADDR_MAX, true),
    commandLineMaximumBytes: view.getUint32(CMDLINE_SIZE, true),
  };
}

/** A kernel that is not relocatable lies where its 32-bit entry point is. */
function placeOf(view: DataView): number {
  if (view.getUint8(RELOCATABLE_KERNEL) === 0) {
    const address = view.getUint32(CODE32_START, true);
    if (address >= LOWEST_ADDRESS) return address;
    throw unsupported(`it wants to lie at 0x${address.toString(16)}, below 1 MiB`);
  }
  const alignment = Math.max(view.getUint32(KERNEL_ALIGNMENT, true), MINIMUM_ALIGNMENT);
  return Math.ceil(Number(view.getBigUint64(PREF_ADDRESS, true)) / alignment) * alignment;
}

function unsupported(reason: string): VmError {
  return new VmError({ code: "kernel-unsupported", reason });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
