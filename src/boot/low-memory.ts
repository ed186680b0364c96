// What a direct boot puts below 1 MiB, where real firmware would have put its own.
//
//   0x0000_0000  +------------------------------------+
//                | interrupt vectors (real mode)      |
//   0x0000_0400  +------------------------------------+  BIOS_DATA_AREA
//                | size of low memory, EBDA segment   |
//   0x0000_0500  +------------------------------------+  BOOT_GDT
//                | flat segments                      |
//   0x0000_6000  +------------------------------------+
//                | a page of stack, growing down from |
//   0x0000_7000  +------------------------------------+  BOOT_STACK_TOP, BOOT_INFORMATION
//                | Linux: zero page; multiboot: info  |
//   0x0000_8000  +------------------------------------+
//   0x0000_9000  +------------------------------------+  BOOT_PAGE_TABLES
//                | PML4, PDPT, four page directories  |
//   0x0000_f000  +------------------------------------+
//   0x0001_0000  +------------------------------------+  BOOT_STRINGS
//                | command lines, module list         |
//   0x0002_0000  +------------------------------------+
//                | free                               |
//   0x0009_fc00  +------------------------------------+  EBDA
//                | reserved                           |
//   0x000a_0000  +------------------------------------+
//                | video memory, option ROMs          |
//   0x000e_0000  +------------------------------------+  FIRMWARE_AREA
//                | ACPI tables; reserved              |
//   0x0010_0000  +------------------------------------+  HIGH_MEMORY

export const BIOS_DATA_AREA = 0x400;
export const BOOT_GDT = 0x500;
export const BOOT_STACK_TOP = 0x7000;
export const BOOT_INFORMATION = 0x7000;
export const BOOT_INFORMATION_BYTES = 0x1000;
export const BOOT_PAGE_TABLES = 0x9000;
export const BOOT_STRINGS = 0x10000;
export const BOOT_STRINGS_END = 0x20000;
export const EBDA = 0x9fc00;
export const EBDA_END = 0xa0000;
export const FIRMWARE_AREA = 0xe0000;
export const FIRMWARE_AREA_END = 0x100000;
export const HIGH_MEMORY = 0x100000;

/** One range of the memory map that firmware reports (INT 15h AX=E820h). */
export interface MemoryRange {
  readonly address: number;
  readonly sizeBytes: number;
  readonly kind: "usable" | "reserved";
}

/** The memory map of a machine with `ramBytes` of RAM. */
export function firmwareMemoryMap(ramBytes: number): MemoryRange[] {
  return [
    { address: 0, sizeBytes: EBDA, kind: "usable" },
    { address: EBDA, sizeBytes: EBDA_END - EBDA, kind: "reserved" },
    { address: FIRMWARE_AREA, sizeBytes: FIRMWARE_AREA_END - FIRMWARE_AREA, kind: "reserved" },
    { address: HIGH_MEMORY, sizeBytes: ramBytes - HIGH_MEMORY, kind: "usable" },
  ];
}

/** The words of the BIOS data area that kernels read: the EBDA's segment at 0x40e, KiB of low memory at 0x413. */
export function biosDataArea(): Uint8Array {
  const bytes = new Uint8Array(0x100);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x0e, EBDA >> 4, true);
  view.setUint16(0x13, EBDA >> 10, true);
  return bytes;
}
