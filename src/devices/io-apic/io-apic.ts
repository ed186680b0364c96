import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { MmioDevice } from "../../bus/mmio-bus.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { BROADCAST, deliveryModeOf, type InterruptFabric } from "../local-apic/interrupt-message.ts";

export const IO_APIC_ADDRESS = 0xfec00000;
export const IO_APIC_BYTES = 0x1000;
export const IO_APIC_INPUTS = 24;

// Registers in the page (82093AA, "Memory Mapped Registers for Accessing IOAPIC
// Registers"; the EOI register from the ICH, "I/O APIC").
const IOREGSEL = 0x00;
const IOWIN = 0x10;
const EOIR = 0x40;

// Registers behind IOREGSEL.
const IOAPICID = 0x00;
const IOAPICVER = 0x01;
const IOAPICARB = 0x02;
const IOREDTBL = 0x10; // two registers for each input, the low half first

/** Version 0x20 has the EOI register. */
const VERSION_VALUE = ((IO_APIC_INPUTS - 1) << 16) | 0x20;

// Low half of a redirection entry.
const LOGICAL = 1 << 11;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const WRITABLE = 0x0001afff;

/** Everything a snapshot must carry. Plain data, so `structuredClone` suffices. */
export interface IoApicState {
  id: number;
  selected: number;
  /** Redirection table, halves apart; remote IRR is in bit 14 of the low half. */
  low: number[];
  high: number[];
  /** Levels of the inputs. */
  asserted: boolean[];
}

export const resetState = (id: number): IoApicState => ({
  id,
  selected: 0,
  low: new Array<number>(IO_APIC_INPUTS).fill(MASKED),
  high: new Array<number>(IO_APIC_INPUTS).fill(0),
  asserted: new Array<boolean>(IO_APIC_INPUTS).fill(false),
});

/**
 * I/O APIC with 24 inputs.
 *
 * Inputs are asserted or not; the polarity bit of an entry is stored and has
 * no effect, because the wiring already says what asserted means. An edge that
 * arrives while its entry is masked is lost, as on the 82093AA.
 *
 * Source: Intel 82093AA I/O Advanced Programmable Interrupt Controller,
 * "Register Description".
 */
export class IoApic implements MmioDevice {
  readonly #fabric: InterruptFabric;
  readonly #state: IoApicState;

  constructor(fabric: InterruptFabric, state: IoApicState) {
    this.#fabric = fabric;
    this.#state = state;
  }

  get state(): IoApicState {
    return cloneState(this.#state);
  }

  /** Input `input`, 0..23. */
  line(input: number): InterruptLine {
    return { set: (asserted) => this.#setInput(input, asserted) };
  }

  readMemory(offset: number, bytes: AccessBytes): number {
    const value = this.#readAligned(offset & ~3) >>> ((offset & 3) * 8);
    return bytes === 4 ? value >>> 0 : value & ((1 << (bytes * 8)) - 1);
  }

  /** Writes to the low byte of IOREGSEL may have any width; other registers take 32 bits only. */
  writeMemory(offset: number, bytes: AccessBytes, value: number): void {
    if (offset === IOREGSEL) this.#state.selected = value & 0xff;
    else if (bytes !== 4) return;
    else if (offset === IOWIN) this.#writeSelected(value >>> 0);
    else if (offset === EOIR) this.endOfInterrupt(value & 0xff);
  }

  /** A processor finished the level-triggered interrupt `vector`; inputs still asserted raise it again. */
  endOfInterrupt(vector: number): void {
    const { low } = this.#state;
    for (let input = 0; input < IO_APIC_INPUTS; input++) {
      const entry = low[input] ?? 0;
      if ((entry & LEVEL) === 0 || (entry & REMOTE_IRR) === 0 || (entry & 0xff) !== vector) continue;
      low[input] = entry & ~REMOTE_IRR;
      this.#deliverLevel(input);
    }
  }

  #readAligned(offset: number): number {
    const s = this.#state;
    if (offset === IOREGSEL) return s.selected;
    if (offset !== IOWIN) return 0;
    switch (s.selected) {
      case IOAPICID:
      case IOAPICARB:
        return s.id << 24;
      case IOAPICVER:
        return VERSION_VALUE;
      default: {
        const input = (s.selected - IOREDTBL) >> 1;
        const half = (s.selected & 1) === 0 ? s.low : s.high;
        return s.selected < IOREDTBL ? 0 : (half[input] ?? 0);
      }
    }
  }

  #writeSelected(value: number): void {
    const s = this.#state;
    if (s.selected === IOAPICID) s.id = (value >>> 24) & 0xf;
    const input = (s.selected - IOREDTBL) >> 1;
    if (s.selected < IOREDTBL || input >= IO_APIC_INPUTS) return;
    if ((s.selected & 1) !== 0) {
      s.high[input] = (value & 0xff000000) >>> 0;
      return;
    }
    const remoteIrr = (s.low[input] ?? 0) & REMOTE_IRR;
    // Turning an entry to edge and back is how software without an EOI register clears remote IRR.
    s.low[input] = (value & WRITABLE) | ((value & LEVEL) !== 0 ? remoteIrr : 0);
    this.#deliverLevel(input);
  }

  #setInput(input: number, asserted: boolean): void {
    const s = this.#state;
    if (s.asserted[input] === asserted) return;
    s.asserted[input] = asserted;
    if (!asserted) return;
    const entry = s.low[input] ?? MASKED;
    if ((entry & LEVEL) !== 0) this.#deliverLevel(input);
    else if ((entry & MASKED) === 0) this.#send(input, false);
  }

  #deliverLevel(input: number): void {
    const s = this.#state;
    const entry = s.low[input] ?? MASKED;
    if (s.asserted[input] !== true || (entry & (LEVEL | MASKED | REMOTE_IRR)) !== LEVEL) return;
    // Set before sending: the processor may end the interrupt from inside.
    s.low[input] = entry | REMOTE_IRR;
    if (!this.#send(input, true)) s.low[input] = entry;
  }

  /** Returns whether a processor took it in a way that ends with an EOI. */
  #send(input: number, level: boolean): boolean {
    const entry = this.#state.low[input] ?? MASKED;
    const deliveryMode = deliveryModeOf(entry);
    if (deliveryMode === undefined || deliveryMode === "startup") return false;
    const destination = (this.#state.high[input] ?? 0) >>> 24;
    const withEoi = deliveryMode === "fixed" || deliveryMode === "lowest-priority";
    const taken = this.#fabric.send({
      deliveryMode,
      vector: entry & 0xff,
      level: level && withEoi,
      destinationMode: (entry & LOGICAL) !== 0 ? "logical" : "physical",
      destination: destination === 0xff ? BROADCAST : destination,
    });
    return taken && withEoi;
  }
}
