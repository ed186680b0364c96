import type { LocalApic } from "./local-apic.ts";
import * as R from "./registers.ts";

// The processor has 40 physical address bits as far as IA32_APIC_BASE goes, but
// the bus decodes 32: a base above them is refused like a reserved bit.
const APIC_BASE_RESERVED =
  ~0xfffff000n & ~BigInt(R.APIC_BASE_BOOTSTRAP | R.APIC_BASE_X2APIC | R.APIC_BASE_ENABLED);

/** Bits of each writable x2APIC register that may be set; all others are reserved and refused. */
const X2APIC_WRITABLE: Readonly<Record<number, bigint>> = {
  [R.TPR]: 0xffn,
  [R.EOI]: 0n,
  [R.SVR]: 0x3ffn,
  [R.ESR]: 0n,
  [R.ICR_LOW]: 0xffffffff_000cdfffn,
  [R.LVT_TIMER]: 0x000710ffn,
  [R.LVT_THERMAL]: 0x000117ffn,
  [R.LVT_PERFORMANCE]: 0x000117ffn,
  [R.LVT_LINT0]: 0x0001f7ffn,
  [R.LVT_LINT1]: 0x0001f7ffn,
  [R.LVT_ERROR]: 0x000110ffn,
  [R.INITIAL_COUNT]: 0xffffffffn,
  [R.DIVIDE_CONFIGURATION]: 0b1011n,
  [R.SELF_IPI]: 0xffn,
};

const X2APIC_READABLE: ReadonlySet<number> = new Set([
  R.ID,
  R.VERSION,
  R.TPR,
  R.PPR,
  R.LDR,
  R.SVR,
  ...eightFrom(R.ISR),
  ...eightFrom(R.TMR),
  ...eightFrom(R.IRR),
  R.ESR,
  R.ICR_LOW,
  R.LVT_TIMER,
  R.LVT_THERMAL,
  R.LVT_PERFORMANCE,
  R.LVT_LINT0,
  R.LVT_LINT1,
  R.LVT_ERROR,
  R.INITIAL_COUNT,
  R.CURRENT_COUNT,
  R.DIVIDE_CONFIGURATION,
]);

/**
 * Reads an MSR that lives in the local APIC. `undefined` where the guest gets
 * #GP: an unknown MSR, an x2APIC register outside of x2APIC mode, or one that
 * cannot be read.
 *
 * Source: Intel SDM Vol. 3A, "x2APIC Register Address Space".
 */
export function readApicMsr(apic: LocalApic, index: number): bigint | undefined {
  if (index === R.MSR_APIC_BASE) return BigInt(apic.apicBase);
  if (index === R.MSR_TSC_DEADLINE) return apic.timer.tscDeadline;
  if (index < R.MSR_X2APIC_FIRST || index > R.MSR_X2APIC_LAST || !apic.x2apic) return undefined;
  const offset = (index - R.MSR_X2APIC_FIRST) << 4;
  if (!X2APIC_READABLE.has(offset)) return undefined;
  const low = BigInt(apic.readRegister(offset) >>> 0);
  return offset === R.ICR_LOW ? (BigInt(apic.readRegister(R.ICR_HIGH)) << 32n) | low : low;
}

/** Writes an MSR that lives in the local APIC. Returns false, changing nothing, where the guest gets #GP. */
export function writeApicMsr(apic: LocalApic, index: number, value: bigint): boolean {
  if (index === R.MSR_TSC_DEADLINE) {
    apic.timer.setTscDeadline(value);
    return true;
  }
  if (index === R.MSR_APIC_BASE) {
    return (value & APIC_BASE_RESERVED) === 0n && apic.setApicBase(Number(value));
  }
  if (index < R.MSR_X2APIC_FIRST || index > R.MSR_X2APIC_LAST || !apic.x2apic) return false;
  const offset = (index - R.MSR_X2APIC_FIRST) << 4;
  const writable = X2APIC_WRITABLE[offset];
  if (writable === undefined || (value & ~writable) !== 0n) return false;
  if (offset === R.ICR_LOW) apic.writeCommand64(Number(value & 0xffffffffn), Number(value >> 32n));
  else apic.writeRegister(offset, Number(value));
  return true;
}

function eightFrom(first: number): number[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((n) => first + n * 0x10);
}
