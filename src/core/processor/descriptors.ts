// Segment descriptors and their parts. SDM 3A "Segment Descriptors", "System Descriptor Types".
//
// The state keeps bits 40..55 of a descriptor as the segment's attributes (layout/cpu-state.ts).

/** Type bit 0 of a code or data segment. */
export const ATTRIBUTE_ACCESSED: i32 = 0x1;
/** Type bit 1: a writable data segment, a readable code segment. */
export const ATTRIBUTE_WRITABLE: i32 = 0x2;
export const ATTRIBUTE_READABLE: i32 = 0x2;
/** Type bit 2: an expand-down data segment, a conforming code segment. */
export const ATTRIBUTE_EXPAND_DOWN: i32 = 0x4;
export const ATTRIBUTE_CONFORMING: i32 = 0x4;
/** Type bit 3. */
export const ATTRIBUTE_CODE: i32 = 0x8;
/** S: a code or data segment, not a system segment or gate. */
export const ATTRIBUTE_S: i32 = 0x10;
export const ATTRIBUTE_P: i32 = 0x80;
export const ATTRIBUTE_L: i32 = 0x2000;
export const ATTRIBUTE_DB: i32 = 0x4000;
export const ATTRIBUTE_G: i32 = 0x8000;
/** Not in the descriptor: the register holds a null selector. */
export const ATTRIBUTE_NULL: i32 = 0x10000;

// System types.
export const TYPE_TSS16_AVAILABLE: i32 = 1;
export const TYPE_LDT: i32 = 2;
export const TYPE_TSS16_BUSY: i32 = 3;
export const TYPE_CALL_GATE16: i32 = 4;
export const TYPE_TASK_GATE: i32 = 5;
export const TYPE_INTERRUPT_GATE16: i32 = 6;
export const TYPE_TRAP_GATE16: i32 = 7;
export const TYPE_TSS_AVAILABLE: i32 = 9;
export const TYPE_TSS_BUSY: i32 = 11;
export const TYPE_CALL_GATE: i32 = 12;
export const TYPE_INTERRUPT_GATE: i32 = 14;
export const TYPE_TRAP_GATE: i32 = 15;

// Parts of the 8 bytes of a segment descriptor.

export function descriptorBase(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000);
}

/** In bytes: scaled by G. */
export function descriptorLimit(descriptor: u64): u32 {
  const limit = <u32>((descriptor & 0xffff) | ((descriptor >> 32) & 0xf0000));
  return descriptor & (1 << 55) ? (limit << 12) | 0xfff : limit;
}

// @ts-ignore: decorator
@inline
export function descriptorAttributes(descriptor: u64): i32 {
  return <i32>(descriptor >> 40) & 0xf0ff;
}

/** Privilege level of a segment or gate. */
// @ts-ignore: decorator
@inline
export function privilegeOf(attributes: i32): i32 {
  return (attributes >> 5) & 3;
}

/** Type of a system segment or gate. */
// @ts-ignore: decorator
@inline
export function systemTypeOf(attributes: i32): i32 {
  return attributes & 15;
}

// @ts-ignore: decorator
@inline
export function isCodeSegment(attributes: i32): bool {
  return (attributes & (ATTRIBUTE_S | ATTRIBUTE_CODE)) == (ATTRIBUTE_S | ATTRIBUTE_CODE);
}

// @ts-ignore: decorator
@inline
export function isWritableData(attributes: i32): bool {
  return (attributes & (ATTRIBUTE_S | ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE)) == (ATTRIBUTE_S | ATTRIBUTE_WRITABLE);
}

// @ts-ignore: decorator
@inline
export function isConformingCode(attributes: i32): bool {
  const mask = ATTRIBUTE_S | ATTRIBUTE_CODE | ATTRIBUTE_CONFORMING;
  return (attributes & mask) == mask;
}

/** Whether `bytes` bytes at an offset lie inside a segment. SDM 3A "Limit Checking". */
export function isInsideLimit(attributes: i32, limit: u32, offset: u64, bytes: i32): bool {
  const last = offset + <u64>bytes - 1;
  if ((attributes & (ATTRIBUTE_CODE | ATTRIBUTE_EXPAND_DOWN)) == ATTRIBUTE_EXPAND_DOWN) {
    return offset > <u64>limit && last <= (attributes & ATTRIBUTE_DB ? 0xffffffff : 0xffff);
  }
  return last <= <u64>limit;
}

/** Null: the index is 0 and the table is the GDT. */
// @ts-ignore: decorator
@inline
export function isNullSelector(selector: i32): bool {
  return !(selector & 0xfffc);
}
