import type { AccessCount } from "../bus/access-count.ts";
import type { ProcessorParts } from "./create-processor.ts";

/** What a machine counts, for `--stats`. */
export interface MachineStatistics {
  readonly instructions: number;
  /** Time that has passed for the guest. */
  readonly guestTimeNs: number;
  readonly resets: number;
  readonly ports: readonly AccessCount[];
  readonly addresses: readonly AccessCount[];
  /** Accesses where nothing answers: port or page address, and how often. */
  readonly unclaimedPorts: readonly (readonly [port: number, count: number])[];
  readonly unclaimedPages: readonly (readonly [address: number, count: number])[];
}

/** The statistics as lines for a person, the busiest devices first. */
export function statisticsLines(statistics: MachineStatistics): string[] {
  const { instructions, guestTimeNs, resets } = statistics;
  const seconds = guestTimeNs / 1e9;
  const rate = seconds > 0 ? `, ${(instructions / seconds / 1e6).toFixed(1)} million per second` : "";
  return [
    `${instructions} instructions in ${seconds.toFixed(3)} s of guest time${rate}`,
    `${resets} resets`,
    ...accessLines("ports", statistics.ports),
    ...accessLines("addresses", statistics.addresses),
    ...unclaimedLines("unclaimed port", statistics.unclaimedPorts),
    ...unclaimedLines("unclaimed page", statistics.unclaimedPages),
  ];
}

/** What the engine has counted, a line each. */
export function engineLines({ engine }: ProcessorParts): string[] {
  return Object.entries(engine.statistics).map(([name, count]) => `${name}: ${count}`);
}

/** The instructions that nothing decodes. */
export function undefinedInstructionLines({ engine }: ProcessorParts): string[] {
  return [...engine.undefinedInstructions].map(
    ([bytes, count]) => `undefined instruction ${bytes}...: ${count} times`,
  );
}

function accessLines(what: string, counts: readonly AccessCount[]): string[] {
  return counts
    .filter(({ reads, writes }) => reads + writes > 0)
    .sort((a, b) => b.reads + b.writes - a.reads - a.writes)
    .map(({ name, first, last, reads, writes }) => {
      return `${what} 0x${first.toString(16)}-0x${last.toString(16)} (${name}): ${reads} reads, ${writes} writes`;
    });
}

function unclaimedLines(what: string, counts: readonly (readonly [number, number])[]): string[] {
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([address, count]) => `${what} 0x${address.toString(16)}: ${count} accesses`);
}
