import type { ProcessorRegisters } from "../cpu/processor.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { MemoryRange } from "./low-memory.ts";

/** What the user wants started. */
export interface BootRequest {
  readonly kernel: Uint8Array;
  readonly commandLine: string;
  /** Linux: joined to one initial RAM disk. Multiboot: handed over one by one. */
  readonly modules: readonly BootModule[];
}

export interface BootModule {
  readonly bytes: Uint8Array;
  readonly commandLine: string;
}

/** What the machine's firmware would tell a kernel. */
export interface FirmwareFacts {
  readonly ramBytes: number;
  readonly memoryMap: readonly MemoryRange[];
  readonly acpiRsdpAddress: number;
}

/**
 * Everything a direct boot does to a machine after reset, as data. It can be
 * applied again after every reset.
 */
export interface BootPlan {
  readonly protocol: "linux-64" | "linux-32" | "multiboot";
  /** Copied in this order. */
  readonly memory: readonly MemoryImage[];
  /** Loaded before `registers`. */
  readonly segments: readonly { readonly names: readonly SegmentName[]; readonly value: SegmentValue }[];
  /** Set in this order: modes come before what depends on them. */
  readonly registers: readonly (readonly [name: string, value: bigint])[];
}

export interface MemoryImage {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Zeroes behind `bytes`, up to this size. */
  readonly sizeBytes?: number;
}

type SegmentName = "es" | "cs" | "ss" | "ds" | "fs" | "gs";

interface SegmentValue {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** Puts memory and registers into the state that the plan describes. The processor has just been reset. */
export function applyBootPlan(plan: BootPlan, memory: GuestMemory, registers: ProcessorRegisters): void {
  for (const { address, bytes, sizeBytes = bytes.length } of plan.memory) {
    memory.write(address, bytes);
    if (sizeBytes > bytes.length) memory.fill(address + bytes.length, sizeBytes - bytes.length, 0);
  }
  for (const { names, value } of plan.segments) {
    for (const name of names) registers.setSegment(name, value);
  }
  for (const [name, value] of plan.registers) registers.set(name, value);
}
