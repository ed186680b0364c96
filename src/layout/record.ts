// A decoded instruction: 32 bytes at constant offsets. Read by TypeScript and AssemblyScript.
// A 16-bit register field is the register's byte offset in the processor state.

export const RECORD_BYTES = 32;

/** u16: which handler of the interpreter executes it. */
export const HANDLER = 0;
/** i16: offset of the next instruction from the start of the page; up to 4096 + 14. */
export const NEXT_OFFSET = 2;
/** u8: length of the instruction in bytes, 1..15. */
export const LENGTH = 4;
/** u8: instructions of the block before this one. */
export const INDEX = 5;
/** u8: RECORD_FLAG_* */
export const FLAGS = 6;
/** u8: scale of the index register as a shift count, 0..3. */
export const SCALE = 7;
/** u16: first register operand. */
export const REG_A = 8;
/** u16: second register operand. */
export const REG_B = 10;
/** u16: base register of the memory operand, or ZERO, RIP_BASE or EFFECTIVE_ADDRESS. */
export const BASE = 12;
/** u16: index register of the memory operand, or ZERO. */
export const INDEX_REG = 14;
/** i32: displacement. */
export const DISPLACEMENT = 16;
/** u16: where the segment base to add lies: a SEGMENT_EFFECTIVE_BASE, or ZERO. */
export const SEGMENT_SLOT = 20;
/** u16: third register operand, or prefixes for string instructions (see decode). */
export const REG_C = 22;
/** i64: immediate operand. */
export const IMMEDIATE = 24;
/** u32: direct jumps: the target's record, 0 while unresolved. Shares the bytes of the immediate. */
export const LINK = 24;
/** i32: direct jumps: target's offset from the start of the page. */
export const TARGET_OFFSET = 28;

/** The memory operand is relative to the stack segment: a non-canonical address is #SS. */
export const RECORD_FLAG_STACK = 1;
/** A direct jump within the page: its link may be patched. */
export const RECORD_FLAG_LINKABLE = 2;
/** A pseudo-record whose handler is a region of the translator. */
export const RECORD_FLAG_REGION = 4;

/** The handler of a record whose place another has taken, which LINK leads to (decode/record-writer.ts). */
export const HANDLER_FORWARD = 10;
