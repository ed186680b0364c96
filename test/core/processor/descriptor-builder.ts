// Descriptors and gates as the tests write them in guest RAM. SDM 3A "Segment Descriptors", "IDT Descriptors".
import type { CoreMachine } from "../memory/core-machine.ts";

export interface Descriptor {
  base?: number;
  /** The 20 bits of the descriptor, not yet scaled. */
  limit?: number;
  /** Bits 40..47: P, DPL, S, type. */
  access: number;
  /** Bits 52..55: G, D/B, L, AVL. */
  flags?: number;
}

/** The 8 bytes of a segment descriptor. */
export function descriptor({ base = 0, limit = 0xfffff, access, flags = 0xc }: Descriptor): bigint {
  const low = BigInt((base & 0xffff) * 0x10000 + (limit & 0xffff));
  const high =
    ((base >>> 16) & 0xff) |
    (access << 8) |
    (((limit >>> 16) & 0xf) << 16) |
    (flags << 20) |
    (base & 0xff000000);
  return low | (BigInt(high >>> 0) << 32n);
}

/** Writes a 16-byte descriptor of long mode: LDT or TSS. */
export function writeWideDescriptor(
  machine: CoreMachine,
  at: number,
  value: Descriptor,
  upperBase = 0n,
): void {
  machine.write64(at, descriptor(value));
  machine.write64(at + 8, upperBase);
}

export interface Gate {
  selector: number;
  offset: bigint;
  /** P, DPL, S = 0, type. */
  access: number;
  /** IST of a long-mode gate, parameter count of a call gate. */
  count?: number;
}

/** The 8 bytes of a gate outside of long mode. */
export function gate({ selector, offset, access, count = 0 }: Gate): bigint {
  return (
    (offset & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(count) << 32n) |
    (BigInt(access) << 40n) |
    (((offset >> 16n) & 0xffffn) << 48n)
  );
}

/** Writes a 16-byte gate of long mode. */
export function writeWideGate(machine: CoreMachine, at: number, value: Gate): void {
  machine.write64(at, gate(value));
  machine.write64(at + 8, (value.offset >> 32n) & 0xffff_ffffn);
}
