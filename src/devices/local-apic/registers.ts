// Register offsets in the local APIC's page; an x2APIC's MSR is 0x800 + (offset >> 4).
// Intel SDM Vol. 3A, "Local APIC Register Address Map".

export const ID = 0x020;
export const VERSION = 0x030;
export const TPR = 0x080;
export const APR = 0x090;
export const PPR = 0x0a0;
export const EOI = 0x0b0;
export const RRD = 0x0c0;
export const LDR = 0x0d0;
export const DFR = 0x0e0;
export const SVR = 0x0f0;
export const ISR = 0x100; // eight registers, 0x10 apart; so are TMR and IRR
export const TMR = 0x180;
export const IRR = 0x200;
export const ESR = 0x280;
export const ICR_LOW = 0x300; // in x2APIC mode the whole 64-bit ICR
export const ICR_HIGH = 0x310; // not in x2APIC mode
export const LVT_TIMER = 0x320;
export const LVT_THERMAL = 0x330;
export const LVT_PERFORMANCE = 0x340;
export const LVT_LINT0 = 0x350;
export const LVT_LINT1 = 0x360;
export const LVT_ERROR = 0x370;
export const INITIAL_COUNT = 0x380;
export const CURRENT_COUNT = 0x390;
export const DIVIDE_CONFIGURATION = 0x3e0;
export const SELF_IPI = 0x3f0; // only in x2APIC mode

export const SVR_ENABLED = 1 << 8;

export const LVT_MASKED = 1 << 16;
export const LVT_TIMER_MODE = 3 << 17;
export const LVT_TIMER_PERIODIC = 1 << 17;
export const LVT_TIMER_TSC_DEADLINE = 2 << 17;

/** Bits of each LVT register that software may set. */
export const LVT_WRITABLE: Readonly<Record<number, number>> = {
  [LVT_TIMER]: 0x000700ff,
  [LVT_THERMAL]: 0x000107ff,
  [LVT_PERFORMANCE]: 0x000107ff,
  [LVT_LINT0]: 0x0001a7ff,
  [LVT_LINT1]: 0x0001a7ff,
  [LVT_ERROR]: 0x000100ff,
};

export const ICR_LOGICAL = 1 << 11;
export const ICR_ASSERT = 1 << 14;
export const ICR_LEVEL = 1 << 15;
export const ICR_WRITABLE = 0x000ccfff;

export const ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
export const ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;

// MSRs.
export const MSR_APIC_BASE = 0x01b;
export const MSR_TSC_DEADLINE = 0x6e0;
export const MSR_X2APIC_FIRST = 0x800;
export const MSR_X2APIC_LAST = 0x8ff;

export const APIC_BASE_BOOTSTRAP = 1 << 8;
export const APIC_BASE_X2APIC = 1 << 10;
export const APIC_BASE_ENABLED = 1 << 11;
