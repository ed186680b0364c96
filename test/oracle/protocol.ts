// What test generators, the native runner (native/runner.c) and engines say to
// one another: where a case's memory lies and how cases and results are bytes.
// All numbers are little-endian; cases and results start at multiples of 8.
//
//   0x1000_0000  unmapped
//   0x1000_1000  read-write
//   0x1000_2000  read-write
//   0x1000_3000  read-only
//   0x1000_4000  unmapped
//   0x1000_5000  read-only
//   0x1000_6000  read-write
//   0x1000_7000  unmapped
//   0x2000_0000  read-execute     } filled with INT3 but for the case's code
//   0x2000_1000  read-execute     }
//   0x2000_2000  unmapped
//   0x2000_3000  read-write-execute, INT3 likewise: self-modifying code
//   0x2000_4000  unmapped
//
// All pages are user pages, and what cannot be executed is marked NX. Nothing
// else is mapped; addresses from KERNEL_ADDRESSES on are the host kernel's, which
// reports them as present. Segment registers hold what
// Linux gives a 64-bit process: CS 0x33, SS 0x2b, the others 0; IF is 1.
//
// Batch:   magic "RRFB", u32 bytes behind this header, u32 cases, u32 images;
//          the five data pages' contents; images of 768 bytes: FXSAVE's 512, then the
//          upper halves of YMM0 to YMM15; cases.
// Case:    u16 bytes, u8 code bytes, u8 flags (1: no exit jump),
//          u16 code offset from CODE_BASE, u8 patches, u8 image;
//          u64 RFLAGS, FS base, GS base, 16 general registers;
//          patches: u64 address (a multiple of 8), u64 value; code.
// Results: magic "RRFR", u32 bytes behind this header, u32 results, u32 0,
//          u64 time-stamp cycles taken; results.
// Result:  u16 bytes, u8 status, u8 vector, u32 error code;
//          u64 RIP, u64 RFLAGS, u64 CR2;
//          u32 mask of changed registers (16 FS base, 17 GS base), u32 changed memory words;
//          u64 mask of changed 8-byte words of the FXSAVE image;
//          u32 hash of the changed memory words, u32 mask of changed 8-byte words of YMM halves;
//          changed registers; changed image words, of the YMM halves too; the first 64 changed memory
//          words as u64 address, u64 new value.
//
// A case runs from its first code byte until RIP reaches the end of its code
// or it faults. The runner puts a `jmp` to its exit there; an engine stops when
// RIP has that value, but has the same five bytes in memory. With "no exit
// jump" there is nothing behind the code but INT3 or the end of the page.
// Faults report the state that an exception handler would see. FOP, FIP and FDP
// are reported as they were while FSW.ES is 0, because AMD stores 0 for them.

export const PROTOCOL_VERSION = 3;
export const PAGE_BYTES = 4096;

export const DATA_BASE = 0x1000_0000;
export const DATA_BYTES = 0x1_0000;
export const CODE_BASE = 0x2000_0000;
/** From here on Linux reports page faults as violations of a page's protection (TASK_SIZE_MAX). */
export const KERNEL_ADDRESSES = 0x7fff_ffff_f000n;
/** Where the exit jump behind a case's code leads. */
export const EXIT_STUB = 0x5c3a_6000;

export const CODE_SELECTOR = 0x33;
export const STACK_SELECTOR = 0x2b;

export interface TestPage {
  readonly address: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

const page = (address: number, rights: string): TestPage => ({
  address,
  writable: rights.includes("w"),
  executable: rights.includes("x"),
});

/** Pages whose contents a batch ships, in that order. */
export const DATA_PAGES: readonly TestPage[] = [
  page(0x1000_1000, "rw"),
  page(0x1000_2000, "rw"),
  page(0x1000_3000, "r"),
  page(0x1000_5000, "r"),
  page(0x1000_6000, "rw"),
];
export const CODE_PAGES: readonly TestPage[] = [
  page(0x2000_0000, "rx"),
  page(0x2000_1000, "rx"),
  page(0x2000_3000, "rwx"),
];
export const PAGES: readonly TestPage[] = [...DATA_PAGES, ...CODE_PAGES];

/** What code pages hold besides a case's code. */
export const CODE_FILL = 0xcc;
export const CODE_END = CODE_BASE + 2 * PAGE_BYTES;
export const WRITABLE_CODE = 0x2000_3000;

export const MEMORY_BYTES = DATA_PAGES.length * PAGE_BYTES;
export const IMAGE_BYTES = 768;
/** Where the upper halves of the YMM registers lie in an image. */
export const IMAGE_YMM = 512;
export const YMM_WORDS = 32;
/** The 8-byte words of an FXSAVE image that are compared: up to XMM15. */
export const IMAGE_COMPARED_WORDS = 52;
export const X87_ERROR_SUMMARY = 0x80;
export const MAX_IMAGES = 256;
export const MAX_CODE_BYTES = 255;
export const MAX_PATCHES = 255;
export const MAX_CHANGED_WORDS = 64;
export const EXIT_JUMP_BYTES = 5;

export const BATCH_MAGIC = 0x4246_5252;
export const RESULT_MAGIC = 0x5246_5252;
export const HELLO_MAGIC = 0x4846_5252;
export const BATCH_HEADER_BYTES = 16;
export const RESULT_BATCH_HEADER_BYTES = 24;
export const CASE_HEADER_BYTES = 8 + 8 * 19;
export const RESULT_HEADER_BYTES = 56;
export const HELLO_BYTES = 80;

export const CASE_NO_EXIT = 1;

export const STATUS_EXIT = 0;
export const STATUS_FAULT = 1;
/** Ran too long; nothing else is reported. */
export const STATUS_TIMEOUT = 2;
/** Tried to make a system call. */
export const STATUS_SYSCALL = 3;
/** Ended the runner's process; set by the harness. */
export const STATUS_DIED = 4;

// RFLAGS bits.
export const FLAG_BITS = { cf: 0x1, pf: 0x4, af: 0x10, zf: 0x40, sf: 0x80, of: 0x800 } as const;
export const STATUS_FLAGS = 0x8d5;
export const DIRECTION_FLAG = 0x400;
/** What is compared: status flags, TF, IF, DF, NT, AC, ID. RF depends on how a fault is taken. */
export const COMPARED_FLAGS = STATUS_FLAGS | 0x100 | 0x200 | DIRECTION_FLAG | 0x4000 | 0x4_0000 | 0x20_0000;
/** Bits of RFLAGS that a case may start with, beside bits 1 and 9, which are always set. */
export const ALIGNMENT_CHECK = 0x4_0000;
export const INITIAL_FLAGS = STATUS_FLAGS | DIRECTION_FLAG | ALIGNMENT_CHECK;

/** The jump that stands behind a case's code when that ends at `end`. */
export function exitJump(end: number): Uint8Array {
  const distance = EXIT_STUB - (end + EXIT_JUMP_BYTES);
  return Uint8Array.of(0xe9, distance, distance >> 8, distance >> 16, distance >> 24);
}

export interface Patch {
  readonly address: number;
  readonly value: bigint;
}

/** A case in readable form. */
export interface TestCase {
  readonly code: Uint8Array;
  readonly codeOffset: number;
  readonly noExit: boolean;
  readonly rflags: bigint;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
  /** In encoding order. */
  readonly registers: readonly bigint[];
  /** FXSAVE image (64-bit layout), reserved bytes 0, and upper halves of the YMM registers. */
  readonly image: Uint8Array;
  /** Contents of the data pages before the patches. */
  readonly memory: Uint8Array;
  readonly patches: readonly Patch[];
}

/** What a case did, in readable form: complete state, not differences. */
export interface TestResult {
  readonly status: number;
  readonly vector: number;
  readonly errorCode: number;
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly cr2: bigint;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
  readonly registers: readonly bigint[];
  readonly image: Uint8Array;
  readonly changedWords: number;
  readonly memoryHash: number;
  /** The first `MAX_CHANGED_WORDS` of them. */
  readonly changes: readonly Patch[];
}

export const caseStart = (c: TestCase): number => CODE_BASE + c.codeOffset;
export const caseEnd = (c: TestCase): number => caseStart(c) + c.code.length;

/** Adds one changed word to the memory hash; start with 0x811c9dc5; no change at all gives 0. */
export function hashChange(hash: number, address: number, low: number, high: number): number {
  let h = Math.imul(hash ^ address, 0x0100_0193);
  h = Math.imul(h ^ low, 0x0100_0193);
  return Math.imul(h ^ high, 0x0100_0193) >>> 0;
}
export const HASH_START = 0x811c_9dc5;
