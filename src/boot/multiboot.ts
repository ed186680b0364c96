import { PAGE_BYTES } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import type { BootPlan, BootRequest, FirmwareFacts, MemoryImage } from "./boot-plan.ts";
import { flatSegments } from "./flat-segments.ts";
import {
  BIOS_DATA_AREA,
  BOOT_GDT,
  BOOT_INFORMATION,
  BOOT_INFORMATION_BYTES,
  BOOT_STACK_TOP,
  BOOT_STRINGS,
  BOOT_STRINGS_END,
  biosDataArea,
  EBDA,
  HIGH_MEMORY,
  type MemoryRange,
} from "./low-memory.ts";
import { type MultibootSegment, parseMultibootImage } from "./multiboot-image.ts";

const LOADED_BY_MULTIBOOT = 0x2badb002n;
const LOADER_NAME = "Ringfence";

// Which members of the information structure are valid.
const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;

/** Members follow the fixed part of the information structure: the memory map lies at this offset. */
const MEMORY_MAP_OFFSET = 0x100;
const MEMORY_MAP_ENTRY_BYTES = 24;
const MODULE_ENTRY_BYTES = 16;

const CR0_PROTECTED_MODE = 0x11n; // ET, PE

/**
 * Plans the start of a multiboot kernel: 32-bit protected mode, paging off,
 * EBX at the information structure.
 *
 * @throws {VmError} `kernel-*`, `initrd-too-large` for modules, `command-line-too-long`.
 *
 * Source: Multiboot Specification version 0.6.96, "Machine state" and "Boot information format".
 */
export function planMultibootBoot(request: BootRequest, facts: FirmwareFacts): BootPlan {
  const image = parseMultibootImage(request.kernel);
  for (const segment of image.segments) checkPlace(segment, facts.ramBytes);
  const kernelEnd = Math.max(HIGH_MEMORY, ...image.segments.map((s) => s.address + s.sizeBytes));
  const modules = placeModules(request, kernelEnd, facts.ramBytes);
  const strings = new StringArea();
  const flat = flatSegments(32);

  const moduleTable = strings.table(
    modules.flatMap(({ address, bytes }, index) => [
      address,
      address + bytes.length,
      strings.text(request.modules[index]?.commandLine ?? ""),
      0,
    ]),
  );
  const information = informationStructure(facts, {
    commandLine: strings.text(request.commandLine),
    loaderName: strings.text(LOADER_NAME),
    moduleCount: modules.length,
    moduleTable,
  });
  return {
    protocol: "multiboot",
    memory: [
      { address: BIOS_DATA_AREA, bytes: biosDataArea() },
      flat.image,
      { address: BOOT_INFORMATION, bytes: information },
      { address: BOOT_STRINGS, bytes: strings.bytes() },
      ...image.segments,
      ...modules,
    ],
    segments: flat.segments,
    registers: [
      ["gdtr.base", BigInt(BOOT_GDT)],
      ["gdtr.limit", BigInt(flat.limit)],
      ["cr0", CR0_PROTECTED_MODE],
      ["rflags", 0x2n],
      ["rsp", BigInt(BOOT_STACK_TOP)],
      ["rax", LOADED_BY_MULTIBOOT],
      ["rbx", BigInt(BOOT_INFORMATION)],
      ["rip", BigInt(image.entry)],
    ],
  };
}

/** A kernel may lie anywhere in RAM but where the boot itself keeps its data. */
function checkPlace(segment: MultibootSegment, ramBytes: number): void {
  const end = segment.address + segment.sizeBytes;
  if (end > ramBytes)
    throw new VmError({ code: "kernel-too-large", neededBytes: end, availableBytes: ramBytes });
  const collides = segment.address < BOOT_STRINGS_END || (segment.address < HIGH_MEMORY && end > EBDA);
  if (!collides) return;
  const shown = segment.address.toString(16);
  throw new VmError({
    code: "kernel-unsupported",
    reason: `it wants to lie at 0x${shown}, which is not free`,
  });
}

/** Modules lie behind the kernel, each from a page boundary. */
function placeModules(request: BootRequest, kernelEnd: number, ramBytes: number): MemoryImage[] {
  let next = pageUp(kernelEnd);
  return request.modules.map(({ bytes }) => {
    const address = next;
    next = pageUp(address + bytes.length);
    if (address + bytes.length > ramBytes) {
      const availableBytes = Math.max(0, ramBytes - address);
      throw new VmError({ code: "initrd-too-large", initrdBytes: bytes.length, availableBytes });
    }
    return { address, bytes };
  });
}

interface StringAddresses {
  readonly commandLine: number;
  readonly loaderName: number;
  readonly moduleCount: number;
  readonly moduleTable: number;
}

function informationStructure(facts: FirmwareFacts, at: StringAddresses): Uint8Array {
  const bytes = new Uint8Array(BOOT_INFORMATION_BYTES);
  const view = new DataView(bytes.buffer);
  const set = (offset: number, value: number) => view.setUint32(offset, value, true);
  set(0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME);
  set(4, EBDA >> 10); // KiB of low memory
  set(8, (facts.ramBytes - HIGH_MEMORY) >>> 10); // KiB of memory from 1 MiB
  set(16, at.commandLine);
  set(20, at.moduleCount);
  set(24, at.moduleTable);
  set(44, facts.memoryMap.length * MEMORY_MAP_ENTRY_BYTES);
  set(48, BOOT_INFORMATION + MEMORY_MAP_OFFSET);
  set(64, at.loaderName);
  writeMemoryMap(view, facts.memoryMap);
  return bytes;
}

function writeMemoryMap(view: DataView, memoryMap: readonly MemoryRange[]): void {
  for (const [index, { address, sizeBytes, kind }] of memoryMap.entries()) {
    const entry = MEMORY_MAP_OFFSET + index * MEMORY_MAP_ENTRY_BYTES;
    view.setUint32(entry, MEMORY_MAP_ENTRY_BYTES - 4, true); // size of what follows
    view.setBigUint64(entry + 4, BigInt(address), true);
    view.setBigUint64(entry + 12, BigInt(sizeBytes), true);
    view.setUint32(entry + 20, kind === "usable" ? 1 : 2, true);
  }
}

/** Collects strings and tables for `BOOT_STRINGS` and hands out their guest addresses. */
class StringArea {
  readonly #bytes: number[] = [];

  text(text: string): number {
    const encoded = new TextEncoder().encode(text);
    return this.#add([...encoded, 0], encoded.length);
  }

  /** A table of 32-bit words, aligned to its entries. */
  table(words: readonly number[]): number {
    while (this.#bytes.length % MODULE_ENTRY_BYTES !== 0) this.#bytes.push(0);
    const bytes = words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff));
    return this.#add(bytes, bytes.length);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  #add(bytes: readonly number[], lengthBytes: number): number {
    const maximumBytes = BOOT_STRINGS_END - BOOT_STRINGS - this.#bytes.length - 1;
    if (bytes.length > maximumBytes)
      throw new VmError({ code: "command-line-too-long", lengthBytes, maximumBytes });
    const address = BOOT_STRINGS + this.#bytes.length;
    for (const byte of bytes) this.#bytes.push(byte);
    return address;
  }
}

function pageUp(address: number): number {
  return Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
}
