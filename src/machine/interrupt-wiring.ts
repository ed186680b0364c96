import { type InterruptLine, SharedInterruptLine } from "../bus/interrupt-line.ts";
import type { IoApic } from "../devices/io-apic/io-apic.ts";
import { pirqOf } from "../devices/pci-host/pci-host.ts";
import type { Pic8259 } from "../devices/pic8259/pic8259.ts";

/** The ISA interrupts, level-triggered, to which firmware routes PIRQA# to PIRQD#. */
export const PIRQ_INTERRUPTS = [10, 11, 10, 11] as const;
/** The timer's interrupt arrives at input 2 of the I/O APIC, where the 8259s have their cascade. */
export const TIMER_IO_APIC_INPUT = 2;
/** Edge/level control register 2: 9, 10 and 11 are level-triggered. */
export const LEVEL_TRIGGERED_8_TO_15 = 0b0000_1110;

/** The interrupt of pin INTA#..INTD# (0..3) of a PCI device number. */
export function pciInterrupt(device: number, pin: number): number {
  return PIRQ_INTERRUPTS[pirqOf(device, pin + 1)] ?? PIRQ_INTERRUPTS[0];
}

/**
 * The ISA interrupts 0..15 of the board. Each goes to the 8259 pair and to the
 * I/O APIC; the guest uses one and masks the other. A line with several
 * sources is asserted while any of them asserts it.
 */
export class InterruptWiring {
  readonly #lines: readonly SharedInterruptLine[];

  constructor(pic: Pic8259, ioApic: IoApic) {
    this.#lines = Array.from({ length: 16 }, (_, irq) => {
      const toPic = pic.irq(irq);
      // Input 2 of the I/O APIC belongs to the timer, and interrupt 2 to the cascade.
      const toIoApic = irq === 2 ? undefined : ioApic.line(irq === 0 ? TIMER_IO_APIC_INPUT : irq);
      return new SharedInterruptLine({
        set: (asserted) => {
          toPic.set(asserted);
          toIoApic?.set(asserted);
        },
      });
    });
  }

  /** A new source for an ISA interrupt. */
  source(irq: number): InterruptLine {
    const line = this.#lines[irq];
    if (line === undefined) throw new RangeError(`there are ISA interrupts 0..15, not ${irq}`);
    return line.source();
  }
}

/** A line that can be cut: while it is, its output is not asserted. */
export class CuttableLine implements InterruptLine {
  readonly #output: InterruptLine;
  #asserted = false;
  #cut = false;

  constructor(output: InterruptLine) {
    this.#output = output;
  }

  set(asserted: boolean): void {
    this.#asserted = asserted;
    this.#output.set(asserted && !this.#cut);
  }

  cut(on: boolean): void {
    this.#cut = on;
    this.set(this.#asserted);
  }
}
