import { VmError } from "../layout/vm-error.ts";

/** A piece of a multiboot kernel and where it goes; `sizeBytes - bytes.length` zeroes follow. */
export interface MultibootSegment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

/** A multiboot kernel, ready to be placed. */
export interface MultibootImage {
  readonly segments: readonly MultibootSegment[];
  readonly entry: number;
}

const MAGIC = 0x1badb002;
/** The header lies in the first 8 KiB, aligned to four bytes. */
const SEARCH_BYTES = 8192;
const HEADER_BYTES = 12;
const ADDRESS_FIELDS_BYTES = 32;

const FLAG_ADDRESS_FIELDS = 1 << 16;
/**
 * Requirements a loader has to meet or refuse: page-aligned modules, memory
 * information, video mode. There is no video to set, and a kernel that asks
 * sees so in the information structure; kernels ask and do without.
 */
const KNOWN_REQUIREMENTS = 0b111;

/** Offset of the multiboot header, or -1. */
export function findMultibootHeader(image: Uint8Array): number {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const end = Math.min(image.length, SEARCH_BYTES) - HEADER_BYTES;
  for (let offset = 0; offset <= end; offset += 4) {
    if (view.getUint32(offset, true) !== MAGIC) continue;
    const sum = MAGIC + view.getUint32(offset + 4, true) + view.getUint32(offset + 8, true);
    if (sum >>> 0 === 0) return offset;
  }
  return -1;
}

/**
 * Parses a multiboot kernel: by its address fields if it has them, else as a
 * 32-bit ELF executable.
 *
 * @throws {VmError} `kernel-unrecognised`, `kernel-truncated`, `kernel-unsupported`.
 *
 * Source: Multiboot Specification version 0.6.96, "OS image format".
 */
export function parseMultibootImage(image: Uint8Array): MultibootImage {
  const header = findMultibootHeader(image);
  if (header < 0) throw new VmError({ code: "kernel-unrecognised", reason: "it has no multiboot header" });
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const flags = view.getUint32(header + 4, true);
  const unknown = flags & 0xffff & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0) {
    throw unsupported(`its multiboot header requires unknown features (flags 0x${unknown.toString(16)})`);
  }
  return (flags & FLAG_ADDRESS_FIELDS) !== 0
    ? parseAddressFields(image, view, header)
    : parseElf32(image, view);
}

function parseAddressFields(image: Uint8Array, view: DataView, header: number): MultibootImage {
  checkLength(image, header + ADDRESS_FIELDS_BYTES);
  const field = (index: number) => view.getUint32(header + HEADER_BYTES + index * 4, true);
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [
    field(0),
    field(1),
    field(2),
    field(3),
    field(4),
  ];
  const start = header - (headerAddress - loadAddress);
  if (start < 0) throw unsupported("its multiboot header gives addresses before the start of the image");
  const end = loadEnd === 0 ? image.length : start + loadEnd - loadAddress;
  checkLength(image, end);
  const bytes = image.subarray(start, end);
  const sizeBytes = Math.max(bytes.length, bssEnd - loadAddress);
  return { segments: [{ address: loadAddress, bytes, sizeBytes }], entry };
}

// ELF (System V ABI, "Object Files"): the fields of a 32-bit executable.
const ELF_MAGIC = 0x464c457f;
const ELF_HEADER_BYTES = 52;
const ELF_CLASS_32 = 1;
const ELF_MACHINE_386 = 3;
const PROGRAM_HEADER_BYTES = 32;
const PT_LOAD = 1;

function parseElf32(image: Uint8Array, view: DataView): MultibootImage {
  checkLength(image, ELF_HEADER_BYTES);
  if (view.getUint32(0, true) !== ELF_MAGIC)
    throw unsupported("it is neither ELF nor has multiboot address fields");
  if (view.getUint8(4) !== ELF_CLASS_32 || view.getUint16(18, true) !== ELF_MACHINE_386) {
    throw unsupported("multiboot takes 32-bit i386 ELF executables; this one is of another kind");
  }
  const tableOffset = view.getUint32(28, true);
  const entryBytes = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (entryBytes < PROGRAM_HEADER_BYTES) throw unsupported("its ELF program headers are too short");
  checkLength(image, tableOffset + entryBytes * count);

  const segments: MultibootSegment[] = [];
  let entry = view.getUint32(24, true);
  const virtualEntry = entry;
  for (let index = 0; index < count; index++) {
    const at = tableOffset + index * entryBytes;
    const sizeBytes = view.getUint32(at + 20, true);
    if (view.getUint32(at, true) !== PT_LOAD || sizeBytes === 0) continue;
    const offset = view.getUint32(at + 4, true);
    const virtual = view.getUint32(at + 8, true);
    const address = view.getUint32(at + 12, true);
    const fileBytes = Math.min(view.getUint32(at + 16, true), sizeBytes);
    checkLength(image, offset + fileBytes);
    segments.push({ address, bytes: image.subarray(offset, offset + fileBytes), sizeBytes });
    // The entry point is a virtual address; paging is off, so its physical twin is meant.
    if (virtualEntry >= virtual && virtualEntry < virtual + sizeBytes)
      entry = virtualEntry - virtual + address;
  }
  if (segments.length === 0) throw unsupported("its ELF program headers load nothing");
  return { segments, entry };
}

function checkLength(image: Uint8Array, expectedBytes: number): void {
  if (expectedBytes <= image.length) return;
  throw new VmError({ code: "kernel-truncated", expectedBytes, actualBytes: image.length });
}

function unsupported(reason: string): VmError {
  return new VmError({ code: "kernel-unsupported", reason });
}
