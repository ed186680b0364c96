import { PAGE_BYTES } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import type { BootModule, BootPlan, BootRequest, FirmwareFacts, MemoryImage } from "./boot-plan.ts";
import { linuxEntry32, linuxEntry64 } from "./linux-entry.ts";
import { type LinuxImage, parseLinuxImage, SETUP_HEADER } from "./linux-image.ts";
import {
  BIOS_DATA_AREA,
  BOOT_INFORMATION,
  BOOT_STRINGS,
  BOOT_STRINGS_END,
  biosDataArea,
  HIGH_MEMORY,
  type MemoryRange,
} from "./low-memory.ts";

// Offsets in the zero page (Documentation/arch/x86/zero-page.rst).
const ACPI_RSDP_ADDR = 0x070;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const VID_MODE = 0x1fa;
const TYPE_OF_LOADER = 0x210;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const E820_TABLE = 0x2d0;

const LOADER_UNDEFINED = 0xff;
const VIDEO_MODE_NORMAL = 0xffff;
const E820_USABLE = 1;
const E820_RESERVED = 2;

/**
 * Plans the start of a bzImage by the 64-bit boot protocol, or by the 32-bit one if it has no other.
 *
 * The kernel goes to its preferred address, since its decompressor moves it
 * there from anywhere below. The initial RAM disk goes as high as the kernel
 * allows.
 *
 * @throws {VmError} `kernel-*`, `initrd-too-large`, `command-line-too-long`.
 *
 * Source: Linux, Documentation/arch/x86/boot.rst.
 */
export function planLinuxBoot(request: BootRequest, facts: FirmwareFacts): BootPlan {
  const image = parseLinuxImage(request.kernel);
  const kernelEnd = image.preferredAddress + Math.max(image.initSizeBytes, image.payload.length);
  if (kernelEnd > facts.ramBytes) {
    throw new VmError({ code: "kernel-too-large", neededBytes: kernelEnd, availableBytes: facts.ramBytes });
  }
  const commandLine = encodeCommandLine(request.commandLine, image.commandLineMaximumBytes);
  const initrd = placeInitrd(joinModules(request.modules), image, kernelEnd, facts.ramBytes);
  const entry = (image.has64BitEntry ? linuxEntry64 : linuxEntry32)(image.preferredAddress);

  return {
    protocol: image.has64BitEntry ? "linux-64" : "linux-32",
    memory: [
      { address: BIOS_DATA_AREA, bytes: biosDataArea() },
      ...entry.memory,
      { address: BOOT_STRINGS, bytes: commandLine },
      { address: BOOT_INFORMATION, bytes: zeroPage(image, initrd, facts) },
      { address: image.preferredAddress, bytes: image.payload },
      ...(initrd === undefined ? [] : [initrd]),
    ],
    segments: entry.segments,
    registers: entry.registers,
  };
}

function encodeCommandLine(text: string, maximumOfKernel: number): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const maximumBytes = Math.min(maximumOfKernel, BOOT_STRINGS_END - BOOT_STRINGS - 1);
  if (encoded.length > maximumBytes) {
    throw new VmError({ code: "command-line-too-long", lengthBytes: encoded.length, maximumBytes });
  }
  const terminated = new Uint8Array(encoded.length + 1);
  terminated.set(encoded);
  return terminated;
}

/** Archives of one initial RAM disk start at multiples of four bytes. */
function joinModules(modules: readonly BootModule[]): Uint8Array {
  const [first] = modules;
  if (first === undefined) return new Uint8Array(0);
  if (modules.length === 1) return first.bytes;
  const aligned = (length: number) => Math.ceil(length / 4) * 4;
  const joined = new Uint8Array(modules.reduce((sum, { bytes }) => sum + aligned(bytes.length), 0));
  let offset = 0;
  for (const { bytes } of modules) {
    joined.set(bytes, offset);
    offset += aligned(bytes.length);
  }
  return joined;
}

function placeInitrd(
  bytes: Uint8Array,
  image: LinuxImage,
  kernelEnd: number,
  ramBytes: number,
): MemoryImage | undefined {
  if (bytes.length === 0) return undefined;
  const end = Math.min(image.initrdAddressMax + 1, ramBytes);
  const address = Math.floor((end - bytes.length) / PAGE_BYTES) * PAGE_BYTES;
  const lowest = Math.ceil(kernelEnd / PAGE_BYTES) * PAGE_BYTES;
  if (address < lowest) {
    const availableBytes = Math.max(0, end - lowest);
    throw new VmError({ code: "initrd-too-large", initrdBytes: bytes.length, availableBytes });
  }
  return { address, bytes };
}

function zeroPage(image: LinuxImage, initrd: MemoryImage | undefined, facts: FirmwareFacts): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  page.set(image.setupHeader, SETUP_HEADER);
  view.setBigUint64(ACPI_RSDP_ADDR, BigInt(facts.acpiRsdpAddress), true);
  view.setUint32(ALT_MEM_K, (facts.ramBytes - HIGH_MEMORY) >>> 10, true);
  view.setUint16(VID_MODE, VIDEO_MODE_NORMAL, true);
  view.setUint8(TYPE_OF_LOADER, LOADER_UNDEFINED);
  view.setUint32(CODE32_START, image.preferredAddress, true);
  view.setUint32(CMD_LINE_PTR, BOOT_STRINGS, true);
  view.setUint32(RAMDISK_IMAGE, initrd?.address ?? 0, true);
  view.setUint32(RAMDISK_SIZE, initrd?.bytes.length ?? 0, true);
  writeE820(view, facts.memoryMap);
  return page;
}

function writeE820(view: DataView, memoryMap: readonly MemoryRange[]): void {
  view.setUint8(E820_ENTRIES, memoryMap.length);
  for (const [index, { address, sizeBytes, kind }] of memoryMap.entries()) {
    const entry = E820_TABLE + index * 20;
    view.setBigUint64(entry, BigInt(address), true);
    view.setBigUint64(entry + 8, BigInt(sizeBytes), true);
    view.setUint32(entry + 16, kind === "usable" ? E820_USABLE : E820_RESERVED, true);
  }
}
