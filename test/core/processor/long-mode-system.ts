// A small 64-bit system in guest RAM: identity-mapped low memory, a GDT, an IDT, a TSS and stacks.
import {
  CPL,
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
import type { CoreMachine } from "../memory/core-machine.ts";
import { longModeMachine, mapPage, P, RW, US } from "../memory/long-mode-paging.ts";
import { descriptor, writeWideDescriptor, writeWideGate } from "./descriptor-builder.ts";

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const LDT = 0x4000;

// Selectors.
export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE32 = 0x1b;
export const USER_DATA = 0x23;
export const USER_CODE = 0x2b;
export const CONFORMING_CODE = 0x30;
export const ABSENT_DATA = 0x38;
export const TSS_SELECTOR = 0x40;
export const LDT_SELECTOR = 0x50;
export const CODE32 = 0x60;
export const EXECUTE_ONLY = 0x68;
export const READ_ONLY_DATA = 0x70;
export const CALL_GATE = 0x78;
/** One past the GDT's last descriptor. */
export const GDT_BYTES = 0x88;

// Tops of stacks, each on a page of its own.
export const KERNEL_STACK = 0x1_1000n;
export const IST1_STACK = 0x1_3000n;
export const USER_STACK = 0x1_5000n;
export const RSP0_STACK = 0x1_7000n;

export const HANDLER = 0xffff_8000_0012_3456n;

export const INTERRUPT_GATE = 0x8e;
export const TRAP_GATE = 0x8f;
export const USER_INTERRUPT_GATE = 0xee;

/** At CPL 0 in KERNEL_CODE with RIP 0x5000 and RSP KERNEL_STACK; every vector has an interrupt gate to HANDLER. */
export function longModeSystem(): CoreMachine {
  const machine = longModeMachine();
  for (let page = 0; page < 512; page++) mapPage(machine, page, page, P | RW | US);

  machine.write64(GDT + KERNEL_CODE, descriptor({ access: 0x9b, flags: 0xa }));
  machine.write64(GDT + KERNEL_DATA, descriptor({ access: 0x93 }));
  machine.write64(GDT + 0x18, descriptor({ access: 0xfb }));
  machine.write64(GDT + 0x20, descriptor({ access: 0xf3 }));
  machine.write64(GDT + 0x28, descriptor({ access: 0xfb, flags: 0xa }));
  machine.write64(GDT + CONFORMING_CODE, descriptor({ access: 0x9f, flags: 0xa }));
  machine.write64(GDT + ABSENT_DATA, descriptor({ access: 0x13 }));
  writeWideDescriptor(machine, GDT + TSS_SELECTOR, { base: TSS, limit: 0x67, access: 0x89, flags: 0 });
  writeWideDescriptor(machine, GDT + LDT_SELECTOR, { base: LDT, limit: 0x0f, access: 0x82, flags: 0 });
  machine.write64(GDT + CODE32, descriptor({ access: 0x9b }));
  machine.write64(GDT + EXECUTE_ONLY, descriptor({ access: 0x99, flags: 0xa }));
  machine.write64(GDT + READ_ONLY_DATA, descriptor({ access: 0x91 }));
  writeWideGate(machine, GDT + CALL_GATE, { selector: KERNEL_CODE, offset: HANDLER, access: 0xec });
  machine.set64(GDTR_BASE, BigInt(GDT));
  machine.set32(GDTR_LIMIT, GDT_BYTES - 1);

  for (let vector = 0; vector < 256; vector++) setGate(machine, vector, INTERRUPT_GATE);
  machine.set64(IDTR_BASE, BigInt(IDT));
  machine.set32(IDTR_LIMIT, 0xfff);

  machine.write64(TSS + 4, RSP0_STACK);
  machine.write64(TSS + 36, IST1_STACK);
  machine.setSegment(SEG_TR, TSS_SELECTOR, BigInt(TSS), 0x67, 0x8b);
  machine.setSegment(SEG_ES, KERNEL_DATA, 0n, 0xffff_ffff, 0xc093);
  machine.setSegment(SEG_DS, KERNEL_DATA, 0n, 0xffff_ffff, 0xc093);
  machine.set64(RIP, 0x5000n);
  machine.set64(RSP, KERNEL_STACK);
  machine.set64(RFLAGS_SYSTEM, 0x202n);
  machine.core.updateMode();
  return machine;
}

export function setGate(machine: CoreMachine, vector: number, access: number, ist = 0): void {
  writeWideGate(machine, IDT + vector * 16, { selector: KERNEL_CODE, offset: HANDLER, access, count: ist });
}

/** At CPL 3 in 64-bit code with RIP 0x6000 and RSP USER_STACK. */
export function enterUser(machine: CoreMachine): void {
  machine.setSegment(SEG_CS, USER_CODE, 0n, 0xffff_ffff, 0xa0fb);
  machine.setSegment(SEG_SS, USER_DATA, 0n, 0xffff_ffff, 0xc0f3);
  machine.set32(CPL, 3);
  machine.set64(RIP, 0x6000n);
  machine.set64(RSP, USER_STACK);
  machine.core.updateMode();
}

/** At CPL 3 in 32-bit code of compatibility mode. */
export function enterCompatibility(machine: CoreMachine): void {
  enterUser(machine);
  machine.setSegment(SEG_CS, USER_CODE32, 0n, 0xffff_ffff, 0xc0fb);
  machine.core.updateMode();
}

/** The quadwords from an identity-mapped address upwards. */
export function quadwords(machine: CoreMachine, address: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => machine.read64(Number(address) + index * 8));
}
