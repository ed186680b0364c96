// What a Linux kernel finds in the processor at its entry points.
// Linux, Documentation/arch/x86/boot.rst, "32-bit Boot Protocol", "64-bit Boot Protocol".
import { PAGE_BYTES } from "../layout/memory-map.ts";
import type { BootPlan, MemoryImage } from "./boot-plan.ts";
import { flatSegments } from "./flat-segments.ts";
import { BOOT_GDT, BOOT_INFORMATION, BOOT_PAGE_TABLES, BOOT_STACK_TOP } from "./low-memory.ts";

/** The part of a plan that says how the kernel is entered: tables in memory, segments and registers. */
interface LinuxEntry {
  readonly memory: readonly MemoryImage[];
  readonly segments: BootPlan["segments"];
  readonly registers: BootPlan["registers"];
}

/** The 64-bit entry point, from the start of the loaded kernel. */
const ENTRY_64 = 0x200;

const CR0_PROTECTED_MODE = 0x33n; // NE, ET, MP, PE
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LONG_MODE = 0x500n; // LMA, LME
const PAGE_PRESENT_WRITABLE = 0x3n;
const PAGE_LARGE = 1n << 7n;

/** 64-bit mode with the first 4 GiB mapped to themselves. */
export function linuxEntry64(loadAddress: number): LinuxEntry {
  const flat = flatSegments(64);
  return {
    memory: [flat.image, { address: BOOT_PAGE_TABLES, bytes: identityPageTables() }],
    segments: flat.segments,
    registers: [
      ...descriptorTables(flat.limit),
      ["efer", EFER_LONG_MODE],
      ["cr4", CR4_PAE],
      ["cr3", BigInt(BOOT_PAGE_TABLES)],
      ["cr0", CR0_PROTECTED_MODE | CR0_PG],
      ...entryRegisters(loadAddress + ENTRY_64),
    ],
  };
}

/** 32-bit protected mode with paging off. The entry point is the start of the loaded kernel. */
export function linuxEntry32(loadAddress: number): LinuxEntry {
  const flat = flatSegments(32);
  return {
    memory: [flat.image],
    segments: flat.segments,
    registers: [
      ...descriptorTables(flat.limit),
      ["cr0", CR0_PROTECTED_MODE],
      ["rbx", 0n],
      ["rbp", 0n],
      ["rdi", 0n],
      ...entryRegisters(loadAddress),
    ],
  };
}

function descriptorTables(gdtLimit: number): BootPlan["registers"] {
  return [
    ["gdtr.base", BigInt(BOOT_GDT)],
    ["gdtr.limit", BigInt(gdtLimit)],
    ["idtr.base", 0n],
    ["idtr.limit", 0n],
  ];
}

function entryRegisters(entry: number): BootPlan["registers"] {
  return [
    ["rflags", 0x2n],
    ["rsp", BigInt(BOOT_STACK_TOP)],
    ["rsi", BigInt(BOOT_INFORMATION)],
    ["rip", BigInt(entry)],
  ];
}

/** PML4, PDPT and four page directories that map the first 4 GiB to themselves with 2 MiB pages. */
function identityPageTables(): Uint8Array {
  const bytes = new Uint8Array(6 * PAGE_BYTES);
  const entries = new BigUint64Array(bytes.buffer);
  const table = (index: number) => BigInt(BOOT_PAGE_TABLES + index * PAGE_BYTES) | PAGE_PRESENT_WRITABLE;
  entries[0] = table(1);
  for (let gigabyte = 0; gigabyte < 4; gigabyte++) entries[512 + gigabyte] = table(2 + gigabyte);
  for (let page = 0; page < 4 * 512; page++) {
    entries[1024 + page] = (BigInt(page) << 21n) | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
  }
  return bytes;
}
