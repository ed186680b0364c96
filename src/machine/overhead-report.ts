import type { AccessCount } from "../bus/access-count.ts";
import type { Meter } from "../cpu/meter.ts";
import * as cpu from "../layout/cpu-state.ts";
import type { ProcessorParts } from "./create-processor.ts";
import type { MachineStatistics } from "./statistics.ts";

/** Of the JSON that `--stats-file` writes. A reader refuses another. */
export const OVERHEAD_REPORT_VERSION = 1;

/** Work of one kind: how often, and host time in nanoseconds that belongs to no other kind. */
export interface OverheadKind {
  readonly group: string;
  readonly name: string;
  readonly count: number;
  readonly ns: number;
}

/** How the guest used one device. `ns` is the time in its model. */
export interface DeviceUse {
  readonly name: string;
  readonly space: "ports" | "memory";
  readonly reads: number;
  readonly writes: number;
  readonly ns: number;
}

/** What a run cost, as `--stats-file` writes it. */
export interface OverheadReport {
  readonly version: typeof OVERHEAD_REPORT_VERSION;
  readonly engine: string;
  readonly instructions: number;
  readonly guestTimeNs: number;
  readonly resets: number;
  /** Instructions by the tier that executed them. */
  readonly tiers: { readonly interpreted: number; readonly translated: number };
  /** What timing one piece of work adds to it; taken off the times below. */
  readonly clockNs: number;
  readonly kinds: readonly OverheadKind[];
  readonly devices: readonly DeviceUse[];
  /** Counters that are always kept. */
  readonly counters: Readonly<Record<string, number>>;
}

const COUNTERS: readonly (readonly [string, number])[] = [
  ["tlbMisses", cpu.COUNT_TLB_MISS],
  ["pageWalks", cpu.COUNT_PAGE_WALK],
  ["codeWrites", cpu.COUNT_CODE_WRITE],
  ["faults", cpu.COUNT_FAULT],
  ["interrupts", cpu.COUNT_INTERRUPT],
  ["deviceAccesses", cpu.COUNT_DEVICE_ACCESS],
];
const DEVICE_GROUPS = /^(port|device)-(read|write)$/;
const APIC_PAGE = 0xfee00000;

export function overheadReport(
  engineName: string,
  statistics: MachineStatistics,
  { state, engine, tiers, unknownMsrs }: ProcessorParts,
  meter: Meter,
): OverheadReport {
  const all = [...meter.kinds].map(([key, { count, ns }]): OverheadKind => {
    const slash = key.indexOf("/");
    const time = Math.round(Math.max(0, ns - count * meter.clockNs));
    return { group: key.slice(0, slash), name: key.slice(slash + 1), count, ns: time };
  });
  const translated = tiers?.translated ?? 0;
  const unknown = unknownMsrs();
  return {
    version: OVERHEAD_REPORT_VERSION,
    engine: engineName,
    instructions: statistics.instructions,
    guestTimeNs: statistics.guestTimeNs,
    resets: statistics.resets,
    tiers: { interpreted: statistics.instructions - translated, translated },
    clockNs: Math.round(meter.clockNs),
    kinds: all
      .filter(({ group, count }) => count > 0 && !DEVICE_GROUPS.test(group))
      .sort((a, b) => b.ns - a.ns),
    devices: deviceUses(all, statistics),
    counters: {
      ...Object.fromEntries(COUNTERS.map(([name, field]) => [name, Number(state.get64(field))])),
      unknownMsrReads: unknown.reads,
      unknownMsrWrites: unknown.writes,
      lastUnknownMsr: unknown.last,
      ...engine.statistics,
    },
  };
}

/** Accesses to single ports and pages, joined by the device that has them now. */
function deviceUses(kinds: readonly OverheadKind[], { ports, addresses }: MachineStatistics): DeviceUse[] {
  const uses = new Map<string, DeviceUse>();
  for (const { group, name: place, count, ns } of kinds) {
    if (!DEVICE_GROUPS.test(group)) continue;
    const space = group.startsWith("port") ? "ports" : "memory";
    const name = deviceName(Number(place), space === "ports" ? ports : addresses, space);
    const key = `${space} ${name}`;
    const known = uses.get(key) ?? { name, space, reads: 0, writes: 0, ns: 0 };
    const isRead = group.endsWith("read");
    const reads = known.reads + (isRead ? count : 0);
    const writes = known.writes + (isRead ? 0 : count);
    uses.set(key, { ...known, reads, writes, ns: known.ns + ns });
  }
  return [...uses.values()].sort((a, b) => b.ns - a.ns);
}

function deviceName(place: number, claims: readonly AccessCount[], space: DeviceUse["space"]): string {
  // A page is named by its start, and a device may begin behind that.
  const size = space === "ports" ? 1 : 4096;
  const owner = claims.find(({ first, last }) => first < place + size && place <= last);
  if (owner !== undefined) return owner.name;
  return space === "memory" && place === APIC_PAGE ? "local APIC" : "nothing";
}

/** The report as a table for a person. */
export function overheadLines(report: OverheadReport): string[] {
  const { instructions, tiers, kinds, devices, counters, clockNs } = report;
  const share = (part: number) => `${instructions > 0 ? ((100 * part) / instructions).toFixed(1) : "0.0"} %`;
  const row = (name: string, count: number | string, ns: number) =>
    `${name.padEnd(48)}${String(count).padStart(14)}${(ns / 1e6).toFixed(1).padStart(12)} ms`;
  return [
    `engine ${report.engine}: ${instructions} instructions, ${(report.guestTimeNs / 1e9).toFixed(3)} s of guest time, ${report.resets} resets`,
    `interpreted ${tiers.interpreted} (${share(tiers.interpreted)}), translated ${tiers.translated} (${share(tiers.translated)})`,
    `${"what took time".padEnd(48)}${"times".padStart(14)}${"own time".padStart(15)}`,
    ...kinds
      .filter(({ group }) => group !== "exit")
      .map(({ group, name, count, ns }) => row(`${group}: ${name}`, count, ns)),
    ...devices.map(({ name, space, reads, writes, ns }) =>
      row(`${name} (${space})`, `${reads} r ${writes} w`, ns),
    ),
    ...kinds.filter(({ group }) => group === "exit").map(({ name, count }) => `exits for ${name}: ${count}`),
    ...Object.entries(counters).map(([name, value]) => `${name}: ${value}`),
    `each time is without ${clockNs} ns for reading the clock, and without what is timed inside`,
  ];
}
