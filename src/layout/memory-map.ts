// Where everything lies in the one WebAssembly memory (byte addresses).
// Read by TypeScript and by AssemblyScript (src/core), so: plain integer constants only.
//
//   0x0000_0000  +----------------------------------+
//                | never used: a null pointer traps |
//   0x0000_1000  +----------------------------------+  CPU_STATE (layout/cpu-state.ts)
//                | processor state, 4 KiB           |
//   0x0000_2000  +----------------------------------+  SCRATCH
//                | split and device accesses        |
//   0x0001_0000  +----------------------------------+  CORE_DATA
//                | static data of src/core          |
//   0x0010_0000  +----------------------------------+  TLB
//                | 3 banks x (read, write)          |
//   0x0018_0000  +----------------------------------+  TLB_FILL_LIST
//                | filled entries, for cheap flushes|
//   0x0020_0000  +----------------------------------+  JUMP_CACHE
//                | linear address -> record         |
//   0x0024_0000  +----------------------------------+  PAGE_USE
//                | a byte for each guest page       |
//   0x0030_0000  +----------------------------------+  CODE_INDEX
//                | physical address -> record       |
//   0x0040_0000  +----------------------------------+  CODE_MAP
//                | 8 bytes for each guest page      |
//   0x00a0_0000  +----------------------------------+  WRITE_ENTRIES
//                | 4 bytes for each guest page      |
//   0x00d0_0000  +----------------------------------+  DIRTY_PAGES
//                | a byte for each guest page       |
//   0x00dc_0000  +----------------------------------+  ABSENT_PAGES
//                | a bit for each guest page        |
//   0x00e0_0000  +----------------------------------+  LINK_SLOTS
//                | from region to region            |
//   0x0100_0000  +----------------------------------+  REGION_CELLS
//                | what regions find out of it      |
//   0x0120_0000  +----------------------------------+  RECORDS
//                | decoded instructions             |
//   0x0400_0000  +----------------------------------+  GUEST_RAM
//                | guest physical address 0 ...     |
//                +----------------------------------+

export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;

export const CPU_STATE = 0x1000;
export const CPU_STATE_BYTES = 0x1000;

/** 64 bytes through which accesses go that no single host address can serve. */
export const SCRATCH = 0x2000;

/** 32 bytes through which a region reads across the end of a page, and 16 for what it has stored across one. */
export const SPLIT_READ = 0x7000;
export const SPLIT_STORED = 0x7020;

/** What `--stats` counts in regions (machine/tier-counter.ts). */
export const REGION_COUNTERS = 0x8000;

export const CORE_DATA = 0x10000;

/**
 * Software TLBs. A bank belongs to a kind of access right: user, supervisor,
 * supervisor that may touch user pages (SMAP off or EFLAGS.AC set), user with
 * alignment checks (CR0.AM and EFLAGS.AC set), which stays empty: every access
 * goes the slow way, where the checks are.
 * A bank is a read table followed by a write table.
 */
export const TLB = 0x100000;
export const TLB_ENTRIES = 4096;
export const TLB_ENTRY_BYTES = 16;
export const TLB_TABLE_BYTES = 0x10000;
export const TLB_BANK_BYTES = 0x20000;
export const TLB_BANK_USER = 0x100000;
export const TLB_BANK_SUPERVISOR = 0x120000;
export const TLB_BANK_SUPERVISOR_AC = 0x140000;
export const TLB_BANK_USER_ALIGNED = 0x160000;
export const TLB_BANKS = 4;
/** Added to a bank's base to reach its write table. */
export const TLB_WRITE = 0x10000;

// A TLB entry: tag (i64, linear address of the page), addend (i32: host
// address = low 32 bits of the linear address + addend), flags (i32).
// The index of a linear address is ((va >> 12) ^ (va >> 24)) & 4095.
// An empty entry at index i holds tag (i ^ 1) << 12, which no address with
// index i can match.
export const TLB_TAG = 0;
export const TLB_ADDEND = 8;
export const TLB_FLAGS = 12;
/** The entry came from a global page and survives a CR3 write. */
export const TLB_FLAG_GLOBAL = 1;
/**
 * Write tables: the page holds decoded code. The tag then is the page's with
 * bit 12 inverted, which no address with the entry's index can match: engines
 * miss, and the slow path knows the entry by this flag.
 */
export const TLB_FLAG_TRACED = 64;
export const TLB_TRACED_TAG = 0x1000;
/** Read tables: instructions may be fetched with the rights of the bank. */
export const TLB_FLAG_EXECUTABLE = 8;

/** One i32 count, then i32 addresses of filled entries. */
export const TLB_FILL_LIST = 0x180000;
export const TLB_FILL_LIST_CAPACITY = 0x1fff0;

/**
 * Jump cache: linear instruction address -> record. An entry: tag (i64:
 * linear address XOR the processor's mode key), record (i32), count of the
 * hits (i32).
 * The index of a linear address is (va ^ (va >> 14)) & 16383.
 */
export const JUMP_CACHE = 0x200000;
export const JUMP_CACHE_ENTRIES = 16384;
export const JUMP_CACHE_ENTRY_BYTES = 16;
export const JUMP_TAG = 0;
export const JUMP_RECORD = 8;
export const JUMP_COUNT = 12;
/** The count of a place that has become hot begins anew here, until another place takes the entry. */
export const JUMP_COUNT_SETTLED = 0x40000000;
/** The tag of an empty entry: no mode key has all of its upper bits set. */
export const JUMP_EMPTY_TAG_BYTE = 0xff;

/**
 * For each guest physical page a byte: when a look-up in the page tables last led to it or through it, counted in TLB
 * misses (COUNT_TLB_MISS >> PAGE_USE_SHIFT, of which PAGE_USE_COUNT), with PAGE_USE_NOTED; 0: never. As the count comes
 * round, it is a guess.
 */
export const PAGE_USE = 0x240000;
export const PAGE_USE_SHIFT = 12;
export const PAGE_USE_COUNT = 0x7f;
export const PAGE_USE_NOTED = 0x80;

/**
 * Code index: guest physical address of code -> record, asked when the jump
 * cache has no answer (core/memory/code-index.ts). An entry: key (u64:
 * address, code size << 32), record (i32), the page on which the instruction
 * goes on (i32; -1 for its own). The index of an address is the upper half of
 * its product with 0x9e3779b1, modulo 2^32; what another place has driven
 * out of its entry stands in the one beside it, of the same pair.
 */
export const CODE_INDEX = 0x300000;
export const CODE_INDEX_ENTRIES = 65536;
export const CODE_INDEX_ENTRY_BYTES = 16;
export const CODE_INDEX_RECORD = 8;
export const CODE_INDEX_NEXT_PAGE = 12;

/**
 * For each guest physical page, 64 bits: bit n is set when decoded code
 * covers any of the bytes 64 * n .. 64 * n + 63 of the page. A page with any
 * bit set has no write-TLB entry, so stores to it take the slow path.
 */
export const CODE_MAP = 0x400000;
export const CODE_CHUNK_SHIFT = 6;

/** For each guest physical page a byte: 1 when it may have been written since whoever asks has cleared it. */
export const DIRTY_PAGES = 0xd00000;

/**
 * For each guest physical page a bit: set while its contents are packed elsewhere and must be put into memory before anyone
 * reads or writes it. Such a page is in no TLB.
 */
export const ABSENT_PAGES = 0xdc0000;

/**
 * For each guest physical page, the address of the write-TLB entry by which
 * engines store to it: 0 when there is none, WRITE_ENTRIES_SEVERAL when there
 * may be several. The entry may have come to map another page since.
 */
export const WRITE_ENTRIES = 0xa00000;
export const WRITE_ENTRIES_SEVERAL = 1;

/**
 * Where a region's jumps and calls of other code lead, like entries of the
 * jump cache: tag (i64: linear address XOR the mode key), handler (i32).
 * A slot of a region that lies on several pages says for which key those pages were found to be the right ones.
 */
export const LINK_SLOTS = 0xe00000;
export const LINK_SLOTS_END = 0x1000000;
export const LINK_SLOT_BYTES = 16;
export const LINK_TAG = 0;
export const LINK_HANDLER = 8;

/** Where a region on several pages lies, as its validation compares it: pages from the one that it is entered on, guest physical page (i32 each). */
export const REGION_PAGE_BYTES = 8;
export const REGION_PAGE_DELTA = 0;
export const REGION_PAGE_NUMBER = 4;

/**
 * What the code of a region does not have in itself, because it is another in each run: addresses of records and the like, an i32 each
 * (translate/region-symbols.ts).
 */
export const REGION_CELLS = 0x1000000;
export const REGION_CELLS_END = 0x1200000;
export const REGION_CELL_BYTES = 4;

export const RECORDS = 0x1200000;
export const RECORDS_END = 0x4000000;

export const GUEST_RAM = 0x4000000;

/** Guest physical memory ends below this address; above it lies the PCI hole. */
export const GUEST_RAM_LIMIT = 0xbfff * 65536 + 65536;
