// The system around a test case inside a simulated processor: page tables that
// map the pages of protocol.ts as user pages, and in the upper half what
// exceptions need. Guest physical memory:
//
//   0x1000  PML4
//   0x2000  page directory pointers, lower half      0x6000  upper half
//   0x3000  page directory, lower half               0x7000  upper half
//   0x4000  page table of DATA_BASE                  0x8000  upper half
//   0x5000  page table of CODE_BASE
//   0x9000  IDT    0xa000  GDT    0xb000  TSS    0xc000  stack    0xd000  handlers
//   0x20000 the test pages in protocol.ts's order
import { CODE_BASE, DATA_BASE, PAGE_BYTES, PAGES } from "./protocol.ts";

export const GUEST_RAM_BYTES = 0x200000;
export const TEST_PAGES = 0x20000;

const PML4 = 0x1000;
const LOW_POINTERS = 0x2000;
const LOW_DIRECTORY = 0x3000;
const DATA_TABLE = 0x4000;
const CODE_TABLE = 0x5000;
const HIGH_POINTERS = 0x6000;
const HIGH_DIRECTORY = 0x7000;
const HIGH_TABLE = 0x8000;
const IDT = 0x9000;
const GDT = 0xa000;
const TSS = 0xb000;
const STACK = 0xc000;
const HANDLERS = 0xd000;

/** Linear address of guest physical 0 in the upper half. */
const HIGH = 0xffff_ffff_8000_0000n;
export const HANDLERS_LINEAR = HIGH + BigInt(HANDLERS);
/** A handler is a HLT; its place tells the vector. */
export const HANDLER_BYTES = 16;
/** Guest physical end of the stack on which exceptions arrive. */
export const STACK_TOP = STACK + PAGE_BYTES;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const ACCESSED_DIRTY = 0x60n;
const NO_EXECUTE = 1n << 63n;
const TABLE = PRESENT | WRITABLE | USER | 0x20n;

const KERNEL_CODE = 0x10;
const TSS_SELECTOR = 0x40;
const TSS_BYTES = 0x68;
/** Vectors that INT n may reach in user mode, as in Linux: #BP and #OF. */
const USER_VECTORS = [3, 4];

/** Guest physical page of each test page. */
export const physicalOf = (index: number): number => TEST_PAGES + index * PAGE_BYTES;

/** Writes tables and handlers into guest RAM. */
export function writeGuestTables(ram: Uint8Array): void {
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  const entry = (table: number, index: number, value: bigint) =>
    view.setBigUint64(table + 8 * index, value, true);
  entry(PML4, 0, BigInt(LOW_POINTERS) | TABLE);
  entry(LOW_POINTERS, 0, BigInt(LOW_DIRECTORY) | TABLE);
  entry(LOW_DIRECTORY, DATA_BASE >>> 21, BigInt(DATA_TABLE) | TABLE);
  entry(LOW_DIRECTORY, CODE_BASE >>> 21, BigInt(CODE_TABLE) | TABLE);
  PAGES.forEach((page, i) => {
    const rights = (page.writable ? WRITABLE : 0n) | (page.executable ? 0n : NO_EXECUTE);
    const table = page.address < CODE_BASE ? DATA_TABLE : CODE_TABLE;
    entry(
      table,
      (page.address >>> 12) & 511,
      BigInt(physicalOf(i)) | PRESENT | USER | ACCESSED_DIRTY | rights,
    );
  });
  entry(PML4, 511, BigInt(HIGH_POINTERS) | TABLE);
  entry(HIGH_POINTERS, 510, BigInt(HIGH_DIRECTORY) | TABLE);
  entry(HIGH_DIRECTORY, 0, BigInt(HIGH_TABLE) | TABLE);
  for (const place of [IDT, GDT, TSS, STACK, HANDLERS])
    entry(HIGH_TABLE, place >>> 12, BigInt(place) | PRESENT | WRITABLE | ACCESSED_DIRTY);

  entry(GDT, KERNEL_CODE >> 3, 0x00af_9b00_0000_ffffn);
  entry(GDT, 5, 0x00cf_f300_0000_ffffn);
  entry(GDT, 6, 0x00af_fb00_0000_ffffn);
  entry(GDT, TSS_SELECTOR >> 3, systemDescriptor(HIGH + BigInt(TSS), TSS_BYTES - 1, 0x8b));
  entry(GDT, (TSS_SELECTOR >> 3) + 1, HIGH >> 32n);
  view.setBigUint64(TSS + 4, HIGH + BigInt(STACK_TOP), true);
  view.setUint16(TSS + 0x66, TSS_BYTES, true); // no I/O permissions
  for (let vector = 0; vector < 256; vector++) {
    const handler = HANDLERS_LINEAR + BigInt(HANDLER_BYTES * vector);
    const type = USER_VECTORS.includes(vector) ? 0xeen : 0x8en;
    const low =
      (handler & 0xffffn) |
      (BigInt(KERNEL_CODE) << 16n) |
      (type << 40n) |
      (((handler >> 16n) & 0xffffn) << 48n);
    entry(IDT, 2 * vector, low);
    entry(IDT, 2 * vector + 1, handler >> 32n);
    ram[HANDLERS + HANDLER_BYTES * vector] = 0xf4;
  }
}

function systemDescriptor(base: bigint, limit: number, type: number): bigint {
  const low = BigInt(limit) | ((base & 0xff_ffffn) << 16n) | (BigInt(type) << 40n);
  return low | (((base >> 24n) & 0xffn) << 56n);
}

/** Registers of the processor in that system, before a case is loaded. */
export const SYSTEM_REGISTERS: readonly (readonly [name: string, value: bigint])[] = [
  ["cr0", 0x8005_0033n], // PG, AM, WP, NE, ET, MP, PE
  ["cr4", 0x5_0620n], // OSXSAVE, FSGSBASE, OSXMMEXCPT, OSFXSR, PAE
  ["xcr0", 7n], // x87, SSE, AVX
  ["efer", 0xd01n], // NXE, LMA, LME, SCE
  ["cr3", BigInt(PML4)],
  ["gdtr.base", HIGH + BigInt(GDT)],
  ["gdtr.limit", 0x7fn],
  ["idtr.base", HIGH + BigInt(IDT)],
  ["idtr.limit", 0xfffn],
];

/** Segments of a 64-bit Linux process, and the TSS. Attributes as in layout/cpu-state.ts. */
export const SEGMENTS = [
  { name: "es", selector: 0, base: 0n, limit: 0, attributes: 0x10000 },
  { name: "ds", selector: 0, base: 0n, limit: 0, attributes: 0x10000 },
  { name: "fs", selector: 0, base: 0n, limit: 0, attributes: 0x10000 },
  { name: "gs", selector: 0, base: 0n, limit: 0, attributes: 0x10000 },
  { name: "ldtr", selector: 0, base: 0n, limit: 0, attributes: 0x10000 },
  { name: "tr", selector: TSS_SELECTOR, base: HIGH + BigInt(TSS), limit: TSS_BYTES - 1, attributes: 0x8b },
  { name: "ss", selector: 0x2b, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 },
  { name: "cs", selector: 0x33, base: 0n, limit: 0xffff_ffff, attributes: 0xa0fb },
] as const;
