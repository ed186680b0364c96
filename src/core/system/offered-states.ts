// What of the XSAVE feature set the machine's CPUID announces. SDM 1 "Enabling the XSAVE Feature Set".

export const XCR0_X87: u64 = 1 << 0;
export const XCR0_SSE: u64 = 1 << 1;
export const XCR0_AVX: u64 = 1 << 2;
export const XCR0_PKRU: u64 = 1 << 9;

/** u64: the components; then u32: bits of CPUID leaf 0xd, subleaf 1, EAX. */
const OFFERED: usize = memory.data<u64>([3, 0], 8);

const XSAVEC: u32 = 1 << 1;
const XGETBV_ONE: u32 = 1 << 2;

/** Says which components XCR0 may have, and which variants of XSAVE there are (CPUID leaf 0xd, subleaf 1, EAX). */
export function offerStates(components: u64, variants: u32): void {
  store<u64>(OFFERED, components);
  store<u32>(OFFERED, variants, 8);
}

export function offeredComponents(): u64 {
  return load<u64>(OFFERED);
}

/** The compacted form exists. */
export function offersCompaction(): bool {
  return (load<u32>(OFFERED, 8) & XSAVEC) != 0;
}

/** XGETBV takes ECX = 1. */
export function offersInUse(): bool {
  return (load<u32>(OFFERED, 8) & XGETBV_ONE) != 0;
}
