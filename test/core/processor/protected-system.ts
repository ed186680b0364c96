// A small 32-bit system in guest RAM, without paging: a GDT, an IDT, a TSS and stacks; and one in real mode.
import {
  CPL,
  CR0,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_SS,
  SEG_TR,
} from "../../../src/layout/cpu-state.ts";
import { CoreMachine } from "../memory/core-machine.ts";
import { descriptor, gate } from "./descriptor-builder.ts";

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;

// Selectors.
export const CODE = 0x08;
export const DATA = 0x10;
export const USER_CODE = 0x1b;
export const USER_DATA = 0x23;
export const CODE16 = 0x28;
export const STACK16 = 0x30;
export const TSS_SELECTOR = 0x38;
export const TASK_GATE = 0x40;
export const CALL_GATE = 0x48;
export const CALL_GATE16 = 0x50;
/** Valid offsets are above the limit: 0x1000 to 0xffffffff. */
export const EXPAND_DOWN = 0x58;
/** Ends at 0xfff. */
export const SHORT_DATA = 0x60;
export const GDT_BYTES = 0x68;

export const STACK = 0x1_0000;
export const USER_STACK = 0x2_0000;
/** What the TSS names for CPL 0. */
export const INNER_STACK = 0x3_0000;
export const HANDLER = 0x9000n;

/** At CPL 0 in flat CODE with EIP 0x5000; every vector has a 32-bit interrupt gate to HANDLER. */
export function protectedSystem(): CoreMachine {
  const machine = new CoreMachine();
  machine.write64(GDT + CODE, descriptor({ access: 0x9b }));
  machine.write64(GDT + DATA, descriptor({ access: 0x93 }));
  machine.write64(GDT + 0x18, descriptor({ access: 0xfb }));
  machine.write64(GDT + 0x20, descriptor({ access: 0xf3 }));
  machine.write64(GDT + CODE16, descriptor({ access: 0x9b, limit: 0xffff, flags: 0 }));
  machine.write64(GDT + STACK16, descriptor({ access: 0x93, limit: 0xffff, flags: 0, base: 0x4_0000 }));
  machine.write64(GDT + TSS_SELECTOR, descriptor({ access: 0x89, limit: 0x67, flags: 0, base: TSS }));
  machine.write64(GDT + TASK_GATE, gate({ selector: TSS_SELECTOR, offset: 0n, access: 0xe5 }));
  machine.write64(GDT + CALL_GATE, gate({ selector: CODE, offset: HANDLER, access: 0xec, count: 2 }));
  machine.write64(GDT + CALL_GATE16, gate({ selector: CODE16, offset: 0x4321n, access: 0xe4, count: 1 }));
  machine.write64(GDT + EXPAND_DOWN, descriptor({ access: 0x97, limit: 0xfff, flags: 0x4 }));
  machine.write64(GDT + SHORT_DATA, descriptor({ access: 0x93, limit: 0xfff, flags: 0x4 }));
  machine.set64(GDTR_BASE, BigInt(GDT));
  machine.set32(GDTR_LIMIT, GDT_BYTES - 1);
  for (let vector = 0; vector < 256; vector++) setGate(machine, vector, 0x8e);
  machine.set64(IDTR_BASE, BigInt(IDT));
  machine.set32(IDTR_LIMIT, 0x7ff);
  machine.write32(TSS + 4, INNER_STACK);
  machine.write32(TSS + 8, DATA);

  machine.set64(CR0, 0x11n);
  machine.setSegment(SEG_CS, CODE, 0n, 0xffff_ffff, 0xc09b);
  machine.setSegment(SEG_SS, DATA, 0n, 0xffff_ffff, 0xc093);
  machine.setSegment(SEG_DS, DATA, 0n, 0xffff_ffff, 0xc093);
  machine.setSegment(SEG_ES, DATA, 0n, 0xffff_ffff, 0xc093);
  machine.setSegment(SEG_TR, TSS_SELECTOR, BigInt(TSS), 0x67, 0x8b);
  machine.set64(RIP, 0x5000n);
  machine.set64(RSP, BigInt(STACK));
  machine.set64(RFLAGS_SYSTEM, 0x202n);
  machine.core.updateMode();
  return machine;
}

export function setGate(machine: CoreMachine, vector: number, access: number, selector = CODE): void {
  machine.write64(IDT + vector * 8, gate({ selector, offset: HANDLER, access }));
}

/** At CPL 3 with EIP 0x6000. */
export function enterUser(machine: CoreMachine): void {
  machine.setSegment(SEG_CS, USER_CODE, 0n, 0xffff_ffff, 0xc0fb);
  machine.setSegment(SEG_SS, USER_DATA, 0n, 0xffff_ffff, 0xc0f3);
  machine.set32(CPL, 3);
  machine.set64(RIP, 0x6000n);
  machine.set64(RSP, BigInt(USER_STACK));
  machine.core.updateMode();
}

/** Real mode: CS:IP 1000:0200, SS:SP 2000:1000, vector n leads to 3000:n. */
export function realSystem(): CoreMachine {
  const machine = new CoreMachine();
  for (let vector = 0; vector < 256; vector++) machine.write32(vector * 4, 0x3000_0000 | vector);
  machine.set32(IDTR_LIMIT, 0x3ff);
  machine.setSegment(SEG_CS, 0x1000, 0x1_0000n, 0xffff, 0x9b);
  machine.setSegment(SEG_SS, 0x2000, 0x2_0000n, 0xffff, 0x93);
  machine.set64(RIP, 0x200n);
  machine.set64(RSP, 0x1000n);
  machine.set64(RFLAGS_SYSTEM, 0x202n);
  machine.core.updateMode();
  return machine;
}

/** Virtual-8086 mode: CS:IP 1000:0200, SS:SP 2000:1000, at CPL 3 over the protected system. */
export function virtualSystem(): CoreMachine {
  const machine = protectedSystem();
  machine.set64(RFLAGS_SYSTEM, 0x2_0202n);
  machine.setSegment(SEG_CS, 0x1000, 0x1_0000n, 0xffff, 0xf3);
  machine.setSegment(SEG_SS, 0x2000, 0x2_0000n, 0xffff, 0xf3);
  machine.setSegment(SEG_DS, 0x4000, 0x4_0000n, 0xffff, 0xf3);
  machine.setSegment(SEG_ES, 0x5000, 0x5_0000n, 0xffff, 0xf3);
  machine.set32(CPL, 3);
  machine.set64(RIP, 0x200n);
  machine.set64(RSP, 0x1000n);
  machine.core.updateMode();
  return machine;
}

/** The doublewords from a physical address upwards. */
export function doublewords(machine: CoreMachine, address: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => machine.read32(address + index * 4));
}
