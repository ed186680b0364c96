import type { CoreExports } from "../cpu/core-exports.ts";
import type { Engine, EngineExit } from "../cpu/engine.ts";
import type { Meter } from "../cpu/meter.ts";
import type { ProcessorSurroundings } from "../cpu/processor.ts";
import type { HotPlace, RegionTranslator, Warmth } from "../cpu/region-translator.ts";
import type { StateView } from "../cpu/state-view.ts";
import { faultName } from "../isa/faults.ts";
import * as cpu from "../layout/cpu-state.ts";

// Wrappers that time what a processor does beside the guest's instructions. They are there only when asked for.
// A name is GROUP/NAME. Exact floating point is not timed: it is instructions of the guest, and often.

/** Functions of the core and what they are accounted as. */
const CORE_KINDS: readonly (readonly [names: RegExp, kind: string])[] = [
  [
    /^(readSlow|writeSlow|writeSlow128|writeSlow80|modifySlow|commitWrite|prepareWrite)$/,
    "memory/TLB misses",
  ],
  [/^translateExecute$/, "memory/code look-ups in page tables"],
  [/^(invalidatePage|writeControl)$/, "memory/control registers and INVLPG"],
  [/^string/, "string/string instructions"],
  [/^(syscall|sysret|sysenter|sysexit)$/, "privilege/system calls"],
  [/^interruptReturn$/, "privilege/IRET"],
  [/^(softwareInterrupt|softwareException|debugInterrupt)$/, "privilege/software interrupts"],
  [
    /^(farJump|farCall|farReturn|loadSegment|lldt|ltr|loadGdtr|loadIdtr)$/,
    "privilege/segments and far transfers",
  ],
  [
    /^(cli|sti|popFlags|flagsForPush|swapgs|clac|stac|clts|readControl)$/,
    "privilege/flags, SWAPGS, CR reads",
  ],
  [/^(rdmsr|wrmsr)$/, "system/RDMSR and WRMSR"],
  [/^(rdtsc|rdtscp|rdpmc|rdrand|identify)$/, "system/RDTSC, CPUID, RDRAND"],
  [/^(portIn|portOut|checkPort)$/, "system/port instructions"],
  [/^(fxsave|fxrstor|xsave|xrstor)$/, "system/FXSAVE and XSAVE"],
];

/** Device pages that are told apart: a guest may touch any number. */
const MOST_PAGES = 1000;
const EXIT_NAMES: Readonly<Record<EngineExit, string>> = {
  [cpu.EXIT_FAULT]: "fault",
  [cpu.EXIT_BUDGET]: "budget or event",
  [cpu.EXIT_HALT]: "halt",
  [cpu.EXIT_SHUTDOWN]: "shutdown",
  [cpu.EXIT_STEP]: "code executed one by one",
};

export function meterCore<Core extends CoreExports & WebAssembly.Exports>(
  core: Core,
  state: StateView,
  meter: Meter,
): Core {
  const metered: Record<string, unknown> = { ...core };
  for (const [name, value] of Object.entries(core)) {
    const kind = CORE_KINDS.find(([names]) => names.test(name))?.[1];
    if (kind !== undefined && typeof value === "function")
      metered[name] = meter.timed(kind, value as () => unknown);
  }
  const { deliverFault, deliverInterrupt } = core;
  metered["deliverFault"] = (): number =>
    meter.timed(`fault/${faultName(state.get32(cpu.FAULT_VECTOR))}`, deliverFault)();
  metered["deliverInterrupt"] = (vector: number): number =>
    meter.timed(`interrupt/0x${vector.toString(16)}`, deliverInterrupt)(vector);
  return metered as Core;
}

export function meterSurroundings(to: ProcessorSurroundings, meter: Meter): ProcessorSurroundings {
  const pages = new Set<number>();
  const pageOf = (address: number): string => {
    const page = address - (address % 4096);
    if (!pages.has(page) && pages.size >= MOST_PAGES) return "elsewhere";
    pages.add(page);
    return `0x${page.toString(16)}`;
  };
  const hex = (port: number) => `0x${port.toString(16)}`;
  return {
    ...to,
    readPort: (port, bytes) => meter.timed(`port-read/${hex(port)}`, to.readPort)(port, bytes),
    writePort: (port, bytes, value) =>
      meter.timed(`port-write/${hex(port)}`, to.writePort)(port, bytes, value),
    readDevice: (address, bytes) =>
      meter.timed(`device-read/${pageOf(address)}`, to.readDevice)(address, bytes),
    writeDevice: (address, bytes, value) =>
      meter.timed(`device-write/${pageOf(address)}`, to.writeDevice)(address, bytes, value),
    readMsr: meter.timed("apic/MSR reads", to.readMsr),
    writeMsr: meter.timed("apic/MSR writes", to.writeMsr),
    acknowledgeInterrupt: meter.timed("apic/interrupt acknowledgements", to.acknowledgeInterrupt),
  };
}

/** `run` of the guest's code is timed within, as "guest/code". */
export function meterEngine(engine: Engine, meter: Meter): Engine {
  const counted = (work: () => EngineExit): (() => EngineExit) => {
    return () => {
      const exit = work();
      meter.kind(`exit/${EXIT_NAMES[exit]}`).count++;
      return exit;
    };
  };
  return {
    name: engine.name,
    execute: counted(meter.timed("engine/look-ups, links, decoding", () => engine.execute())),
    step: counted(meter.timed("engine/single steps", () => engine.step())),
    codeWritten: (page, first, last) => engine.codeWritten(page, first, last),
    forgetCode: () => engine.forgetCode(),
    saveCode: () => engine.saveCode(),
    restoreCode: () => engine.restoreCode(),
  };
}

export function meterTranslator(translator: RegionTranslator, meter: Meter): RegionTranslator {
  return {
    get statistics() {
      return translator.statistics;
    },
    wants: meter.timed("translation/look-ups in the cache", (place: HotPlace, warmth: Warmth) =>
      translator.wants(place, warmth),
    ),
    translate: meter.timed("translation/regions", (place: HotPlace) => translator.translate(place)),
    runStarts: () => translator.runStarts(),
    compileWaiting: meter.timed("translation/regions compiled at once", () => translator.compileWaiting()),
    regionDropped: (handler) => translator.regionDropped(handler),
    allRegionsDropped: () => translator.allRegionsDropped(),
  };
}
