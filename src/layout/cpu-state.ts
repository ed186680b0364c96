// The state of one virtual processor: byte offsets from CPU_STATE (layout/memory-map.ts).
// Read by TypeScript and by AssemblyScript, so: plain integer constants only.

// General registers, 8 bytes each, in encoding order. A record names a register
// by its byte offset, so AH is RAX + 1.
export const GPR = 0x000;
export const RAX = 0x000;
export const RCX = 0x008;
export const RDX = 0x010;
export const RBX = 0x018;
export const RSP = 0x020;
export const RBP = 0x028;
export const RSI = 0x030;
export const RDI = 0x038;
export const R8 = 0x040;
export const R11 = 0x058;
export const R15 = 0x078;

/** i64, always 0: the base, index or segment of an address that has none. */
export const ZERO = 0x080;
/** i64: linear address left by an "effective address" record for the record behind it. */
export const EFFECTIVE_ADDRESS = 0x088;
/** i64: the instruction pointer. Exact outside of the interpreter's loop; RIP of the NEXT instruction inside helpers. */
export const RIP = 0x090;
/** i64: what added to a page offset gives RIP, for code on the current page. */
export const RIP_BASE = 0x098;

// Status flags, kept lazily.
//   CF = FLAG_C & 1
//   ZF = FLAG_R == 0        SF = (FLAG_R >>> 63) ^ (FLAG_C >> 1 & 1)
//   PF = even parity of FLAG_R's low byte, XOR (FLAG_C >> 2 & 1)
//   OF = ((FLAG_X ^ FLAG_R) & (FLAG_Y ^ FLAG_R)) >>> 63
//   AF = (FLAG_X ^ FLAG_Y ^ FLAG_R) >> 4 & 1
// FLAG_R is the result sign-extended to 64 bits. After an addition X and Y are
// the sign-extended addends; after a subtraction X is the minuend and Y the
// subtrahend with every bit but bit 4 inverted.
/** i32: CF in bit 0; corrections of SF in bit 1 and PF in bit 2. */
export const FLAG_C = 0x0a0;
/** i64 */
export const FLAG_R = 0x0a8;
/** i64 */
export const FLAG_X = 0x0b0;
/** i64 */
export const FLAG_Y = 0x0b8;
/** i64: RFLAGS without the six status flags; bit 1 is always set. */
export const RFLAGS_SYSTEM = 0x0c0;

/** i32: current privilege level, 0..3. */
export const CPL = 0x0c8;
/** i32: address of the current TLB bank. */
export const TLB_BASE = 0x0cc;
/** i64: XORed into jump-cache tags: bits 63..56 of it hold CPL, code size and paging kind; never 0xff. */
export const MODE_KEY = 0x0d0;
/** i32: code size of the running code: 16, 32 or 64. */
export const CODE_BITS = 0x0d8;
/** i32: 0xffff, 0xffffffff, or 0 in 64-bit code: what RIP is ANDed with; 0 means no mask. */
export const RIP_MASK = 0x0dc;
/** i32: stack size in bits: 16, 32 or 64 (CS.L, SS.B). */
export const STACK_BITS = 0x0e0;

/** i32: instructions the engine may still execute before it returns. May be zeroed to make it return soon. */
export const BUDGET = 0x0e4;
/** i32: why the engine returned (EXIT_*). */
export const EXIT_REASON = 0x0e8;
/** i32: the record at which it returned, where the reason says so. */
export const EXIT_RECORD = 0x0ec;
/** i32: 1 from STI, 2 from a load of SS until the end of the next instruction. The latter holds back single-step traps too. */
export const INTERRUPT_SHADOW = 0x0f0;
/** i32: nonzero when an external interrupt waits (INTR of the local APIC). Written by the machine. */
export const INTERRUPT_PENDING = 0x0f4;
/** i32: nonzero when the processor is halted. */
export const HALTED = 0x0f8;
/** i32: instructions of the current engine run's budget at its start; BUDGET counts down from it. */
export const BUDGET_START = 0x0fc;

// A fault that waits for delivery.
/** i32: vector, 0..31, or FAULT_WATCHED; -1 when none. */
export const FAULT_VECTOR = 0x100;
/** i32: error code; -1 when the vector has none. */
export const FAULT_ERROR_CODE = 0x104;
/** i64: linear address of a page fault. */
export const FAULT_ADDRESS = 0x108;
/** i32: 1 when a #GP came from a non-canonical address, and is #SS for a stack reference. */
export const FAULT_NON_CANONICAL = 0x110;
/** i32: width in bytes of a waiting write through SCRATCH; 0 when none. */
export const SPLIT_WRITE_BYTES = 0x114;
/** i64: linear address of a waiting write through SCRATCH. */
export const SPLIT_WRITE_ADDRESS = 0x118;

// Segment registers with their hidden parts, 32 bytes each, in encoding order.
export const SEGMENT_BYTES = 32;
export const SEGMENTS = 0x120;
export const SEG_ES = 0x120;
export const SEG_CS = 0x140;
export const SEG_SS = 0x160;
export const SEG_DS = 0x180;
export const SEG_FS = 0x1a0;
export const SEG_GS = 0x1c0;
export const SEG_LDTR = 0x1e0;
export const SEG_TR = 0x200;
// Members of a segment.
/** i64 */
export const SEGMENT_BASE = 0;
/** u32, in bytes: already scaled by G. */
export const SEGMENT_LIMIT = 8;
/** u32: bits 40..55 of the descriptor in bits 0..15 (type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15); bit 16 set when the register holds a null selector. */
export const SEGMENT_ATTRIBUTES = 12;
/** u16 */
export const SEGMENT_SELECTOR = 16;
/** i64: base to use for an address in the running mode: 0 in 64-bit mode for all but FS and GS, else the base. */
export const SEGMENT_EFFECTIVE_BASE = 24;

/** i64 */
export const GDTR_BASE = 0x220;
/** i32 */
export const GDTR_LIMIT = 0x228;
/** i64 */
export const IDTR_BASE = 0x230;
/** i32 */
export const IDTR_LIMIT = 0x238;

// Control registers, i64.
export const CR0 = 0x240;
export const CR2 = 0x248;
export const CR3 = 0x250;
export const CR4 = 0x258;
export const XCR0 = 0x260;
/** i64: DR0..DR3 at 0, 8, 16, 24; DR6 at 32; DR7 at 40. */
export const DR = 0x268;
export const DR6 = 0x288;
export const DR7 = 0x290;

// Model-specific registers, i64.
export const MSR_EFER = 0x298;
export const MSR_STAR = 0x2a0;
export const MSR_LSTAR = 0x2a8;
export const MSR_CSTAR = 0x2b0;
export const MSR_SFMASK = 0x2b8;
export const MSR_KERNEL_GS_BASE = 0x2c0;
export const MSR_SYSENTER_CS = 0x2c8;
export const MSR_SYSENTER_ESP = 0x2d0;
export const MSR_SYSENTER_EIP = 0x2d8;
export const MSR_PAT = 0x2e0;
export const MSR_TSC_AUX = 0x2e8;
/** i64: added to the time source to give the TSC. */
export const TSC_OFFSET = 0x2f0;
/** i32: the record whose instruction has called a helper that may ask for the time; 0 outside of the engine. */
export const CURRENT_RECORD = 0x2f8;

// x87. Physical registers R0..R7, 16 bytes each: significand (u64), then sign and exponent (u16).
// An MMX register MMn is the significand of Rn.
export const X87 = 0x300;
export const X87_REGISTER_BYTES = 16;
/** i32: control word */
export const X87_FCW = 0x380;
/** i32: status word without TOP */
export const X87_FSW = 0x384;
/** i32: TOP, 0..7 */
export const X87_TOP = 0x388;
/** i32: bit n set when physical register n is empty */
export const X87_EMPTY = 0x38c;
/** i32: last opcode, 11 bits */
export const X87_FOP = 0x390;
/** i32: selector of the last instruction */
export const X87_FCS = 0x394;
/** i32: selector of the last operand */
export const X87_FDS = 0x398;
/** i64: address of the last instruction */
export const X87_FIP = 0x3a0;
/** i64: address of the last operand */
export const X87_FDP = 0x3a8;

/** i32 */
export const MXCSR = 0x3b0;
/** i32: exceptions raised by the running SSE instruction, in MXCSR's bit order, before they are committed. */
export const SSE_RAISED = 0x3b4;

/** u32: size of guest RAM in bytes. */
export const RAM_BYTES = 0x3b8;
/** i32: 1 in deterministic mode. */
export const DETERMINISTIC = 0x3bc;
/** i64: physical address of the local APIC's page; all accesses to it are device accesses. */
export const APIC_BASE = 0x3c0;
/** i64: instructions executed since the start, without those of the current engine run. */
export const INSTRUCTIONS = 0x3c8;

// Counters (i64) for --stats.
export const COUNT_TLB_MISS = 0x3d0;
export const COUNT_PAGE_WALK = 0x3d8;
export const COUNT_CODE_WRITE = 0x3e0;
export const COUNT_FAULT = 0x3e8;
export const COUNT_DEVICE_ACCESS = 0x3f0;
export const COUNT_INTERRUPT = 0x3f8;

// XMM0..XMM15, 16 bytes each.
export const XMM = 0x400;
/** The upper halves of YMM0..YMM15, 16 bytes each. */
export const YMM_HIGH = 0x500;

/** i64: RIP behind the instruction that set INTERRUPT_SHADOW: anywhere else the shadow is over. */
export const SHADOW_RIP = 0xff8;
// What the manuals give no offset in a save area, from 0xd00.
/** i32: 1 between an NMI and the next IRET. */
export const NMI_BLOCKED = 0xd00;
/** i32: 1 when an NMI waits for delivery. */
export const NMI_PENDING = 0xd04;
/** i32: 1 when the executed instruction takes no single-step trap although TF was set before it. */
export const STEP_TRAP_INHIBITED = 0xd08;
/** i32: 1 when the executed instruction takes a single-step trap although TF was clear before it. */
export const STEP_TRAP_DUE = 0xd0c;
/** i64: IA32_TSC_ADJUST, the sum of all that software added to the time-stamp counter. */
export const MSR_TSC_ADJUST = 0xd10;
/** Ten i64: registers that are stored and nothing more (src/core/system/msr-storage.ts). */
export const STORED_MSRS = 0xd18;
/** 28 i64: the MTRRs (src/core/system/memory-types.ts). */
export const MEMORY_TYPES = 0xd68;
/** i32: bits of DR6 that a load of SS has earned; they wait for the end of the next instruction. */
export const HELD_CONDITIONS = 0xe48;
/** i64: bits of physical addresses that are held at 0: bit 20 while A20 is masked. */
export const MASKED_ADDRESS_LINES = 0xe50;
/** i32: access-disable and write-disable of 16 protection keys. */
export const PKRU = 0xe58;
/** i32: nonzero when mappings of code have changed, to which regions may belong that have called others. */
export const STALE_CALLERS = 0xe5c;
/** Ten i64: the performance counters (src/core/system/performance-counters.ts). */
export const PERFORMANCE_COUNTERS = 0xe60;
/** i64: where the region that is called next by another returns to if it returns to its caller; or an address that RET never goes to. */
export const EXPECTED_RETURN = 0xeb0;
/** i64: IA32_PERF_GLOBAL_STATUS. */
export const PERFORMANCE_STATUS = 0xec0;
/** i32: 1 when an overflowing performance counter is to interrupt. */
export const PERFORMANCE_INTERRUPT = 0xec8;

// Why an engine returned.
/** RIP is exact; its record is in no cache. */
export const EXIT_LOOKUP = 1;
/** EXIT_RECORD is a direct jump whose link is not resolved yet. */
export const EXIT_LINK = 2;
/** FAULT_* is set by the instruction of EXIT_RECORD, which had no effect. */
export const EXIT_FAULT = 3;
/** RIP is exact; the budget is used up or an event waits. */
export const EXIT_BUDGET = 4;
/** RIP is exact and names a record that a write made stale. */
export const EXIT_STALE = 5;
/** RIP is exact; the processor executed HLT. */
export const EXIT_HALT = 6;
/** RIP is exact; shutdown after a triple fault. */
export const EXIT_SHUTDOWN = 7;
/** RIP is exact and has become hot: a translator may take it on. */
export const EXIT_HOT = 10;

/** RIP is exact; the code there has to be executed by `step`: a breakpoint or the end of its segment is near. */
export const EXIT_STEP = 11;

/** In FAULT_VECTOR, of no exception: a data or port breakpoint matches. The instruction had no effect and is to be executed by `step`. */
export const FAULT_WATCHED = 0x100;

// What a helper that can fail returns.
/** Go on with the next instruction. */
export const STATUS_OK = 0;
/** FAULT_* is set; nothing else has changed. */
export const STATUS_FAULT = 1;
/** RIP, modes or mappings have changed: continue at RIP. */
export const STATUS_JUMP = 2;
/** RIP is the next instruction; return to the machine with EXIT_REASON as set. */
export const STATUS_EXIT = 3;
/** The instruction is not finished: execute it again (REP after a part). */
export const STATUS_AGAIN = 4;
