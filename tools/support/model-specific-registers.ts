import { readFileSync } from "node:fs";
import path from "node:path";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import type { ProcessorSurroundings } from "../../src/cpu/processor.ts";
import { readApicMsr, writeApicMsr } from "../../src/devices/local-apic/apic-msrs.ts";
import { apicRig } from "../../src/devices/local-apic/test-rig.ts";
import { STATUS_FAULT } from "../../src/layout/cpu-state.ts";
import { SCRATCH } from "../../src/layout/memory-map.ts";
import { createProcessor } from "../../src/machine/create-processor.ts";
import { createMachineMemory } from "../../src/machine/machine-memory.ts";

const CORE_WASM = path.join(import.meta.dirname, "..", "..", "build", "core.wasm");
const RAM_BYTES = 32 * 2 ** 20;
/** Where the core leaves the value of an MSR (core/system/results.ts). */
const RESULT = SCRATCH + 40;
/** IA32_APIC_BASE with x2APIC mode on, for a bootstrap processor at the usual address. */
const X2APIC_BASE = 0xfee0_0d00n;

/** Where MSRs can be: the architectural ones, hypervisors', AMD64's and AMD's own. */
const SEARCHED: readonly (readonly [first: number, last: number])[] = [
  [0, 0x1fff],
  [0x4000_0000, 0x4000_01ff],
  [0xc000_0000, 0xc000_0fff],
  [0xc001_0000, 0xc001_1fff],
];

const STORED = "stored, without effect";

/** First and last index, name, what it does. */
const KNOWN: readonly (readonly [first: number, last: number, name: string, state: string])[] = [
  [0x0, 0x0, "P5_MC_ADDR", "always 0"],
  [0x1, 0x1, "P5_MC_TYPE", "always 0"],
  [0x10, 0x10, "IA32_TIME_STAMP_COUNTER", "works"],
  [0x17, 0x17, "IA32_PLATFORM_ID", "always 0"],
  [0x1b, 0x1b, "IA32_APIC_BASE", "works"],
  [0x2a, 0x2a, "EBL_CR_POWERON", "always 0"],
  [0x3a, 0x3a, "IA32_FEATURE_CONTROL", "locked, nothing enabled"],
  [0x3b, 0x3b, "IA32_TSC_ADJUST", "works"],
  [0x8b, 0x8b, "IA32_BIOS_SIGN_ID", "microcode revision 1, whatever is written"],
  [0xc1, 0xc2, "IA32_PMC0, 1", "works with arch-perfmon"],
  [0xfe, 0xfe, "IA32_MTRRCAP", "eight variable ranges, fixed ranges, write combining"],
  [0x174, 0x176, "IA32_SYSENTER_CS, _ESP, _EIP", "works"],
  [0x179, 0x179, "IA32_MCG_CAP", "no banks"],
  [0x17a, 0x17a, "IA32_MCG_STATUS", STORED],
  [0x1a0, 0x1a0, "IA32_MISC_ENABLE", STORED],
  [0x1d9, 0x1d9, "IA32_DEBUGCTL", STORED],
  [0x186, 0x187, "IA32_PERFEVTSEL0, 1", "works with arch-perfmon: instructions and cycles"],
  [0x200, 0x20f, "IA32_MTRR_PHYSBASE0 to PHYSMASK7", STORED],
  [0x250, 0x250, "IA32_MTRR_FIX64K_00000", STORED],
  [0x258, 0x259, "IA32_MTRR_FIX16K", STORED],
  [0x268, 0x26f, "IA32_MTRR_FIX4K", STORED],
  [0x277, 0x277, "IA32_PAT", STORED],
  [0x2ff, 0x2ff, "IA32_MTRR_DEF_TYPE", STORED],
  [0x309, 0x30b, "IA32_FIXED_CTR0 to 2", "works with arch-perfmon"],
  [0x38d, 0x38d, "IA32_FIXED_CTR_CTRL", "works with arch-perfmon"],
  [0x38e, 0x38e, "IA32_PERF_GLOBAL_STATUS", "always 0"],
  [0x38f, 0x38f, "IA32_PERF_GLOBAL_CTRL", "works with arch-perfmon"],
  [0x390, 0x390, "IA32_PERF_GLOBAL_OVF_CTRL", "always 0"],
  [0x6e0, 0x6e0, "IA32_TSC_DEADLINE", "works"],
  [0x802, 0x802, "x2APIC ID", "works, in x2APIC mode like all that follow"],
  [0x803, 0x803, "x2APIC version", "works"],
  [0x808, 0x808, "x2APIC TPR", "works"],
  [0x80a, 0x80a, "x2APIC PPR", "works"],
  [0x80b, 0x80b, "x2APIC EOI", "works"],
  [0x80d, 0x80d, "x2APIC LDR", "works"],
  [0x80f, 0x80f, "x2APIC SVR", "works"],
  [0x810, 0x817, "x2APIC ISR", "works"],
  [0x818, 0x81f, "x2APIC TMR", "works"],
  [0x820, 0x827, "x2APIC IRR", "works"],
  [0x828, 0x828, "x2APIC ESR", "works"],
  [0x830, 0x830, "x2APIC ICR", "works"],
  [0x832, 0x832, "x2APIC LVT timer", "works"],
  [0x833, 0x833, "x2APIC LVT thermal", STORED],
  [0x834, 0x834, "x2APIC LVT performance", "works"],
  [0x835, 0x837, "x2APIC LVT LINT0, LINT1, error", "works"],
  [0x838, 0x839, "x2APIC timer initial, current count", "works"],
  [0x83e, 0x83e, "x2APIC timer divide configuration", "works"],
  [0x83f, 0x83f, "x2APIC self IPI", "works"],
  [0xc000_0080, 0xc000_0080, "IA32_EFER", "SCE, LME, LMA and NXE work; the other bits are reserved"],
  [0xc000_0081, 0xc000_0084, "IA32_STAR, LSTAR, CSTAR, FMASK", "works"],
  [0xc000_0100, 0xc000_0102, "IA32_FS_BASE, GS_BASE, KERNEL_GS_BASE", "works"],
  [0xc000_0103, 0xc000_0103, "IA32_TSC_AUX", "works"],
  [0xc001_0010, 0xc001_0010, "SYSCFG", STORED],
  [0xc001_0015, 0xc001_0015, "HWCR", STORED],
  [0xc001_001a, 0xc001_001a, "TOP_MEM", STORED],
  [0xc001_001d, 0xc001_001d, "TOP_MEM2", STORED],
  [0xc001_0055, 0xc001_0055, "Interrupt Pending and CMP-Halt", STORED],
  [0xc001_1022, 0xc001_1022, "DC_CFG", STORED],
  [0xc001_1029, 0xc001_1029, "DE_CFG", STORED],
];

/** What a guest finds when it tries an MSR. */
export interface MsrRow {
  readonly first: number;
  readonly last: number;
  readonly name: string;
  readonly state: string;
  /** "rw", "r" or "w", with several registers that of each. */
  readonly access: string;
}

type MsrCore = { readMsr(index: number): number; writeMsr(index: number, value: bigint): number };

/** A processor's core with the local APIC in x2APIC mode behind it. */
function openCore(): { core: MsrCore; result: () => bigint } {
  const { apic } = apicRig();
  writeApicMsr(apic, 0x1b, X2APIC_BASE);
  const surroundings: ProcessorSurroundings = {
    readPort: () => 0,
    writePort() {},
    readDevice: () => 0,
    writeDevice() {},
    acknowledgeInterrupt: () => -1,
    raisePerformanceInterrupt: () => undefined,
    readMsr: (index) => readApicMsr(apic, index),
    writeMsr: (index, value) => writeApicMsr(apic, index, value),
    readTaskPriority: () => 0,
    writeTaskPriority() {},
    timeStampCounter: () => 0,
    random: () => 0n,
  };
  const memory = createMachineMemory(RAM_BYTES, true);
  const coreModule = new WebAssembly.Module(readFileSync(CORE_WASM));
  const { core } = createProcessor({
    coreModule,
    ramBytes: RAM_BYTES,
    deterministic: true,
    features: CPU_MODELS["max"]!,
    surroundings,
    memory,
  });
  const results = new BigUint64Array(memory.buffer, RESULT, 1);
  return { core: core as unknown as MsrCore, result: () => results[0] ?? 0n };
}

/** Tries every index in SEARCHED. Throws for one that answers and that KNOWN does not name, and the other way round. */
export function probeMsrs(): readonly MsrRow[] {
  const { core, result } = openCore();
  const found = new Map<number, string>();
  for (const [first, last] of SEARCHED) {
    for (let index = first; index <= last; index++) {
      const readable = core.readMsr(index) !== STATUS_FAULT;
      const writable = core.writeMsr(index, readable ? result() : 0n) !== STATUS_FAULT;
      if (readable || writable) found.set(index, `${readable ? "r" : ""}${writable ? "w" : ""}`);
    }
  }
  const rows = KNOWN.map(([first, last, name, state]): MsrRow => {
    const access = new Set<string>();
    for (let index = first; index <= last; index++) {
      const how = found.get(index);
      if (how === undefined) throw new Error(`MSR 0x${index.toString(16)} (${name}) does not answer`);
      access.add(how);
      found.delete(index);
    }
    return { first, last, name, state, access: [...access].join(", ") };
  });
  const unnamed = [...found.keys()].map((index) => `0x${index.toString(16)}`);
  if (unnamed.length > 0) throw new Error(`MSRs that no row names: ${unnamed.join(" ")}`);
  return rows;
}
