import { CPU_MODELS } from "./cpu-model.ts";
import { CACHES, FEATURES, type FeatureName } from "./cpuid-tables.ts";

/** What CPUID leaves in EAX, EBX, ECX and EDX: each `0 .. 2**32 - 1`. */
export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/**
 * Which processor the guest is told it runs on.
 *
 * `intel` (the default) is family 6, model 0x36, an Atom that executes in
 * order. Linux lists it as one that does not speculate, so page-table
 * isolation, retpolines, return thunks, buffer clearing and the fences of
 * kernel entry all stay off without any capability MSR; and it takes the TSC
 * and APIC timer frequencies from leaf 0x15, which it reads only on Intel, so
 * it calibrates nothing and needs no PIT.
 *
 * `amd` is family 0x17. Page-table isolation is off, but Linux 6.1 turns
 * retpolines and untrained-return thunks on and calibrates the TSC by the PIT.
 */
export type CpuidVendor = "intel" | "amd";

export interface CpuidContext {
  /** Of the processor that executes CPUID. */
  apicId: number;
  /** Processors in the machine; one package, one thread a core. */
  processors: number;
  /** CR4.OSXSAVE of the processor that executes CPUID. */
  cr4Osxsave: boolean;
  /** CR4.PKE of it; clear when absent. */
  cr4Pke?: boolean;
  /** XCR0 of it, whose components leaf 0xd counts; x87 and SSE state when absent. */
  xcr0?: number;
  tscHz: number;
  /** Input clock of the local APIC timer before its divider. */
  apicTimerHz: number;
  vendor?: CpuidVendor;
  /** What to announce; the default model when absent. */
  features?: ReadonlySet<FeatureName>;
  /** Twelve characters of leaf 0x40000000; "RingfenceVMM" when absent. */
  hypervisorSignature?: string;
}

/** Bits of a physical address that page tables, CR3 and MTRRs may use. */
export const PHYSICAL_ADDRESS_BITS = 40;
export const LINEAR_ADDRESS_BITS = 48;

const HIGHEST_BASIC_LEAF = 0x16;
const HIGHEST_HYPERVISOR_LEAF = 0x40000010;
const HIGHEST_EXTENDED_LEAF = 0x80000008;

const VENDOR_STRINGS = { intel: "GenuineIntel", amd: "AuthenticAMD" } as const;
const BRAND = "Ringfence virtual processor";

// Stepping in bits 0-3, model 4-7 and 16-19, family 8-11 and 20-27.
const SIGNATURES = { intel: 0x0003_0661, amd: 0x0080_0f12 } as const;

/** XSAVE area with x87 and SSE: legacy region and header. AVX state follows, in the standard and the compacted form. */
const XSAVE_AREA_BYTES = 576;
const AVX_STATE_BYTES = 256;
const XCR0_AVX = 4;
const XCR0_PKRU = 1 << 9;
/** Behind AVX state, whether that is there or not, in the standard form. */
const PKRU_STATE_OFFSET = 832;
const PKRU_STATE_BYTES = 8;
const MONITOR_LINE_BYTES = 64;

/**
 * The answer to CPUID for one leaf and subleaf (EAX and ECX).
 *
 * Source: Intel SDM Vol. 2A, "CPUID—CPU Identification"; AMD APM Vol. 3,
 * "Obtaining Processor Information Via the CPUID Instruction". The hypervisor
 * leaves follow the convention of "Mechanisms to determine if software is
 * running in a VMware virtual machine" (0x40000000 and the timing leaf 0x40000010).
 */
export function cpuid(leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
  const wanted = leaf >>> 0;
  if (wanted >= 0x80000000 && wanted <= HIGHEST_EXTENDED_LEAF) return extendedLeaf(wanted, context);
  if (wanted >= 0x40000000 && wanted <= 0x400000ff) return hypervisorLeaf(wanted, context);
  if (wanted <= HIGHEST_BASIC_LEAF) return basicLeaf(wanted, subleaf >>> 0, context);
  // "If a value entered for CPUID.EAX is higher than the maximum [...] the data for the highest basic
  // information leaf is returned" on Intel; AMD returns zeros.
  return vendorOf(context) === "intel" ? basicLeaf(HIGHEST_BASIC_LEAF, subleaf >>> 0, context) : result();
}

function basicLeaf(leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
  const intel = vendorOf(context) === "intel";
  switch (leaf) {
    case 0x0:
      return vendorLeaf(HIGHEST_BASIC_LEAF, VENDOR_STRINGS[vendorOf(context)]);
    case 0x1:
      return versionLeaf(context);
    case 0x2:
      // One round; its only descriptor, 0xff, says that leaf 4 describes the caches.
      return intel ? result(0x0000_ff01) : result();
    case 0x4:
      return intel ? cacheLeaf(subleaf, context) : result();
    case 0x6:
      return withFeatures(result(), leaf, 0, context);
    case 0x5:
      return isOffered("monitor", context) ? monitorLeaf() : result();
    case 0x7:
      return subleaf === 0 ? extensionLeaf(context) : result();
    case 0xa:
      return isOffered("arch-perfmon", context) ? performanceLeaf(context) : result();
    case 0xb:
      return topologyLeaf(subleaf, context);
    case 0xd:
      return isOffered("xsave", context) ? stateLeaf(subleaf, context) : result();
    case 0x15:
      return timeStampLeaf(context);
    case 0x16: {
      const megahertz = Math.round(context.tscHz / 1e6);
      return result(megahertz, megahertz, Math.round(context.apicTimerHz / 1e6), 0);
    }
    default:
      // 3 (serial number), 9 and later ones: not offered.
      return result();
  }
}

function hypervisorLeaf(leaf: number, context: CpuidContext): CpuidResult {
  if (!isOffered("hypervisor", context)) return result();
  switch (leaf) {
    case 0x40000000: {
      const [ebx, ecx, edx] = threeWords(context.hypervisorSignature ?? "RingfenceVMM");
      return result(HIGHEST_HYPERVISOR_LEAF, ebx, ecx, edx);
    }
    case 0x40000010:
      return result(Math.round(context.tscHz / 1000), Math.round(context.apicTimerHz / 1000));
    default:
      return result();
  }
}

function extendedLeaf(leaf: number, context: CpuidContext): CpuidResult {
  const intel = vendorOf(context) === "intel";
  switch (leaf) {
    case 0x80000000:
      return intel ? result(HIGHEST_EXTENDED_LEAF) : vendorLeaf(HIGHEST_EXTENDED_LEAF, VENDOR_STRINGS.amd);
    case 0x80000001: {
      const features = withFeatures(result(), leaf, 0, context);
      if (intel) return features;
      // AMD repeats those bits of leaf 1's EDX that are the same here.
      const repeated = versionLeaf(context).edx & 0x0183_f3ff;
      return { ...features, eax: SIGNATURES.amd, edx: (features.edx | repeated) >>> 0 };
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const part = BRAND.padEnd(48, "\0").slice((leaf - 0x80000002) * 16);
      return result(word(part, 0), word(part, 4), word(part, 8), word(part, 12));
    }
    case 0x80000005: {
      if (intel) return result();
      const [data, code] = [CACHES[0]!, CACHES[1]!];
      return result(0, 0, amdLevel1(data), amdLevel1(code));
    }
    case 0x80000006: {
      // L2: size in KiB, associativity code 6 or 8 (8 and 16 ways), line size.
      const level2 = CACHES.find((cache) => cache.level === 2)!;
      const code = level2.ways === 16 ? 8 : 6;
      return result(0, 0, ((cacheBytes(level2) / 1024) << 16) | (code << 12) | level2.lineBytes, 0);
    }
    case 0x80000007:
      return withFeatures(result(), leaf, 0, context);
    case 0x80000008:
      return result(
        (LINEAR_ADDRESS_BITS << 8) | PHYSICAL_ADDRESS_BITS,
        0,
        intel ? 0 : context.processors - 1,
        0,
      );
    default:
      return result();
  }
}

function versionLeaf(context: CpuidContext): CpuidResult {
  const clflushQuadwords = 8;
  const ebx = (context.apicId << 24) | (roundUpToPower(context.processors) << 16) | (clflushQuadwords << 8);
  const leaf = withFeatures(result(SIGNATURES[vendorOf(context)], ebx), 1, 0, context);
  const osxsave = context.cr4Osxsave && isOffered("xsave", context) ? 1 << 27 : 0;
  // HTT says that EBX[23:16] is valid: more than one logical processor in the package.
  const htt = context.processors > 1 ? 1 << 28 : 0;
  return { ...leaf, ecx: (leaf.ecx | osxsave) >>> 0, edx: (leaf.edx | htt) >>> 0 };
}

function cacheLeaf(subleaf: number, context: CpuidContext): CpuidResult {
  const cache = CACHES[subleaf];
  if (cache === undefined) return result();
  const types = { data: 1, code: 2, unified: 3 } as const;
  const coreIds = roundUpToPower(context.processors);
  const sharers = cache.shared ? coreIds : 1;
  const selfInitialising = 1 << 8;
  const eax =
    types[cache.type] |
    (cache.level << 5) |
    selfInitialising |
    ((sharers - 1) << 14) |
    (Math.min(coreIds - 1, 63) << 26);
  return result(eax, (cache.lineBytes - 1) | ((cache.ways - 1) << 22), cache.sets - 1, 0);
}

/** "Extended Topology Enumeration Leaf": threads, then cores; one thread a core. */
function topologyLeaf(subleaf: number, context: CpuidContext): CpuidResult {
  const idBits = Math.log2(roundUpToPower(context.processors));
  if (subleaf === 0) return result(0, 1, 0x100, context.apicId);
  if (subleaf === 1) return result(idBits, context.processors, 0x201, context.apicId);
  return result(0, 0, subleaf & 0xff, context.apicId);
}

/** "MONITOR/MWAIT Leaf": lines of 64 bytes; only C1 is there, and masked interrupts wake nobody. */
function monitorLeaf(): CpuidResult {
  const enumerated = 1;
  const oneC1State = 1 << 4;
  return result(MONITOR_LINE_BYTES, MONITOR_LINE_BYTES, enumerated, oneC1State);
}

function extensionLeaf(context: CpuidContext): CpuidResult {
  const leaf = withFeatures(result(), 0x7, 0, context);
  const ospke = context.cr4Pke === true && isOffered("pku", context) ? 1 << 4 : 0;
  return { ...leaf, ecx: (leaf.ecx | ospke) >>> 0 };
}

/**
 * "Architectural Performance Monitoring Leaf", as src/core/system/performance-counters.ts has it. EBX names the events
 * that are not counted: references and misses of the last cache, branches, and branches mispredicted.
 */
function performanceLeaf(context: CpuidContext): CpuidResult {
  const counters = 2;
  const counterBits = 48;
  const eventNames = 7;
  const fixedCounters = 3;
  const { eax } = withFeatures(result(), 0xa, 0, context);
  const notCounted = 0b1111000;
  return result(
    eax | (counters << 8) | (counterBits << 16) | (eventNames << 24),
    notCounted,
    0,
    fixedCounters | (counterBits << 5),
  );
}

/** "Processor Extended State Enumeration": sizes of areas in bytes, and what XCR0 may have. */
function stateLeaf(subleaf: number, context: CpuidContext): CpuidResult {
  const size = (components: number): number =>
    components & XCR0_PKRU
      ? PKRU_STATE_OFFSET + PKRU_STATE_BYTES
      : XSAVE_AREA_BYTES + (components & XCR0_AVX ? AVX_STATE_BYTES : 0);
  const offered = (isOffered("avx", context) ? 7 : 3) | (isOffered("pku", context) ? XCR0_PKRU : 0);
  const enabled = size(context.xcr0 ?? 3);
  if (subleaf === 0) return result(offered, enabled, size(offered), 0);
  if (subleaf === 1) {
    const variants = withFeatures(result(), 0xd, 1, context);
    return isOffered("xsavec", context) ? { ...variants, ebx: compacted(context.xcr0 ?? 3) } : variants;
  }
  if (subleaf === 9 && offered & XCR0_PKRU) return result(PKRU_STATE_BYTES, PKRU_STATE_OFFSET, 0, 0);
  return subleaf === 2 && offered & XCR0_AVX ? result(AVX_STATE_BYTES, XSAVE_AREA_BYTES, 0, 0) : result();
}

/** Size of the compacted form with all components of XCR0. */
function compacted(components: number): number {
  return (
    XSAVE_AREA_BYTES +
    (components & XCR0_AVX ? AVX_STATE_BYTES : 0) +
    (components & XCR0_PKRU ? PKRU_STATE_BYTES : 0)
  );
}

/**
 * TSC frequency = crystal (ECX) * EBX / EAX. The crystal is the APIC timer's
 * clock: Linux takes its frequency from here as well.
 */
function timeStampLeaf(context: CpuidContext): CpuidResult {
  const divisor = greatestCommonDivisor(context.tscHz, context.apicTimerHz);
  return result(context.apicTimerHz / divisor, context.tscHz / divisor, context.apicTimerHz, 0);
}

function withFeatures(base: CpuidResult, leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
  const leafResult = { ...base };
  for (const [name, featureLeaf, featureSubleaf, register, bit] of FEATURES) {
    if (featureLeaf !== leaf || featureSubleaf !== subleaf || !isOffered(name, context)) continue;
    leafResult[register] = (leafResult[register] | (1 << bit)) >>> 0;
  }
  return leafResult;
}

const isOffered = (name: FeatureName, context: CpuidContext): boolean =>
  (context.features ?? CPU_MODELS["default"]!).has(name);

const vendorOf = (context: CpuidContext): CpuidVendor => context.vendor ?? "intel";

function vendorLeaf(highest: number, vendor: string): CpuidResult {
  const [ebx, edx, ecx] = threeWords(vendor);
  return result(highest, ebx, ecx, edx);
}

function result(eax = 0, ebx = 0, ecx = 0, edx = 0): CpuidResult {
  return { eax: eax >>> 0, ebx: ebx >>> 0, ecx: ecx >>> 0, edx: edx >>> 0 };
}

function word(text: string, at: number): number {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = (value << 8) | text.charCodeAt(at + i);
  return value >>> 0;
}

const threeWords = (text: string): [number, number, number] => [word(text, 0), word(text, 4), word(text, 8)];

type Cache = (typeof CACHES)[number];

const cacheBytes = (cache: Cache): number => cache.lineBytes * cache.ways * cache.sets;

const amdLevel1 = (cache: Cache): number =>
  ((cacheBytes(cache) / 1024) << 24) | (cache.ways << 16) | (1 << 8) | cache.lineBytes;

function roundUpToPower(count: number): number {
  let power = 1;
  while (power < count) power *= 2;
  return power;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
