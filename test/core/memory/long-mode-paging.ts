// Page tables of 4-level paging, built by hand in guest RAM.
import {
  CPL,
  CR0,
  CR3,
  CR4,
  MSR_EFER,
  RFLAGS_SYSTEM,
  SEG_CS,
  SEG_SS,
} from "../../../src/layout/cpu-state.ts";
import { CoreMachine } from "./core-machine.ts";

// Bits of an entry.
export const P = 0x1n;
export const RW = 0x2n;
export const US = 0x4n;
export const A = 0x20n;
export const D = 0x40n;
export const PS = 0x80n;
export const G = 0x100n;
export const NX = 1n << 63n;

export const PML4 = 0x10_0000;
export const PDPT = 0x10_1000;
export const PD = 0x10_2000;
export const PT = 0x10_3000;
/** Tables for the upper half of the address space. */
export const KERNEL_PDPT = 0x10_4000;
export const KERNEL_PD = 0x10_5000;
export const KERNEL_PT = 0x10_6000;
/** Linear address of the first page that KERNEL_PT maps. */
export const KERNEL = 0xffff_8000_0000_0000n;

export const CR0_PAGING = 0x8000_0011n;
export const CR0_WP = 0x1_0000n;
export const CR4_PAE = 0x20n;
export const CR4_PGE = 0x80n;
export const CR4_SMEP = 0x10_0000n;
export const CR4_SMAP = 0x20_0000n;
export const EFER_LONG = 0x501n;
export const EFER_NXE = 0x800n;
export const FLAG_AC = 0x4_0000n;

/** A machine in 64-bit mode, CPL 0, WP set, NXE set, with tables that map nothing: their upper levels allow everything. */
export function longModeMachine(): CoreMachine {
  const machine = new CoreMachine();
  machine.write64(PML4, BigInt(PDPT) | P | RW | US);
  machine.write64(PDPT, BigInt(PD) | P | RW | US);
  machine.write64(PD, BigInt(PT) | P | RW | US);
  machine.write64(PML4 + 256 * 8, BigInt(KERNEL_PDPT) | P | RW | US);
  machine.write64(KERNEL_PDPT, BigInt(KERNEL_PD) | P | RW | US);
  machine.write64(KERNEL_PD, BigInt(KERNEL_PT) | P | RW | US);
  machine.set64(CR0, CR0_PAGING | CR0_WP);
  machine.set64(CR3, BigInt(PML4));
  machine.set64(CR4, CR4_PAE | CR4_PGE);
  machine.set64(MSR_EFER, EFER_LONG | EFER_NXE);
  machine.setSegment(SEG_CS, 0x08, 0n, 0xffff_ffff, 0xa09b);
  machine.setSegment(SEG_SS, 0x10, 0n, 0xffff_ffff, 0xc093);
  machine.core.flushTlb(0);
  machine.core.updateMode();
  return machine;
}

/** Sets the entry for linear page `page` of the first 2 MiB: frame number and bits. */
export function mapPage(machine: CoreMachine, page: number, frame: number, bits: bigint): void {
  machine.write64(PT + page * 8, (BigInt(frame) << 12n) | bits);
}

/** The same for a page behind KERNEL. */
export function mapKernelPage(machine: CoreMachine, page: number, frame: number, bits: bigint): void {
  machine.write64(KERNEL_PT + page * 8, (BigInt(frame) << 12n) | bits);
}

export function setPrivilege(machine: CoreMachine, cpl: number): void {
  machine.set32(CPL, cpl);
  machine.core.updateMode();
}

/** RFLAGS without the status flags. */
export function setSystemFlags(machine: CoreMachine, flags: bigint): void {
  machine.set64(RFLAGS_SYSTEM, flags | 2n);
  machine.core.updateMode();
}

export function setControl4(machine: CoreMachine, value: bigint): void {
  machine.set64(CR4, value);
  machine.core.flushTlb(0);
  machine.core.updateMode();
}
