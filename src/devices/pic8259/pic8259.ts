import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { PicChip, type PicChipState, resetChipState } from "./pic-chip.ts";

export const MASTER_PORT = 0x20; // two ports
export const SLAVE_PORT = 0xa0; // two ports
export const ELCR_PORT = 0x4d0; // two ports: edge/level control of IRQ 0-7 and 8-15

/** Input of the master to which the slave's INT is wired. */
const CASCADE = 2;
/** What both chips answer when the request has gone ("Edge and Level Triggered Modes"). */
const SPURIOUS = 7;
/** IRQ 0, 1, 2, 8 and 13 are always edge-triggered (82371AB PIIX4, "ELCR1", "ELCR2"). */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

/** Everything a snapshot must carry. */
export interface Pic8259State {
  master: PicChipState;
  slave: PicChipState;
}

export const resetState = (): Pic8259State => ({ master: resetChipState(0x08), slave: resetChipState(0x70) });

/**
 * The PC's pair of interrupt controllers, the slave on the master's IR2.
 *
 * Source: Intel 8259A datasheet (231468); Intel 82371AB (PIIX4) datasheet,
 * "Interrupt Controller", for the edge/level control registers.
 */
export class Pic8259 {
  readonly master: PortDevice;
  readonly slave: PortDevice;
  readonly edgeLevelControl: PortDevice;
  readonly #interrupt: InterruptLine;
  readonly #master: PicChip;
  readonly #slave: PicChip;
  readonly #inputs: readonly InterruptLine[];

  /** `interrupt` is the INT output, to the processor's INTR or the local APIC's LINT0. */
  constructor(interrupt: InterruptLine, state: Pic8259State = resetState()) {
    this.#interrupt = interrupt;
    this.#master = new PicChip(state.master, 1 << CASCADE);
    this.#slave = new PicChip(state.slave, 0);
    this.master = this.#portsOf(this.#master);
    this.slave = this.#portsOf(this.#slave);
    this.edgeLevelControl = this.#edgeLevelPorts();
    this.#inputs = Array.from({ length: 16 }, (_, irq) => ({
      set: (asserted: boolean) => this.#setInput(irq, asserted),
    }));
    this.#update();
  }

  get state(): Pic8259State {
    return cloneState({ master: this.#master.state, slave: this.#slave.state });
  }

  /** The input for an ISA interrupt, 0..15. IRQ 2 is the cascade and ignores its source. */
  irq(number: number): InterruptLine {
    const line = this.#inputs[number];
    if (line === undefined) throw new RangeError(`the PIC has IRQ 0..15, not ${number}`);
    return line;
  }

  /** The processor's interrupt acknowledge: returns the vector, a spurious one if the request has gone. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    let vector = this.#master.state.vectorBase | (input < 0 ? SPURIOUS : input);
    if (input === CASCADE) {
      const slaveInput = this.#slave.acknowledge();
      vector = this.#slave.state.vectorBase | (slaveInput < 0 ? SPURIOUS : slaveInput);
    }
    this.#update();
    return vector;
  }

  #setInput(irq: number, asserted: boolean): void {
    if (irq === CASCADE) return;
    if (irq < 8) this.#master.setInput(irq, asserted);
    else this.#slave.setInput(irq - 8, asserted);
    this.#update();
  }

  #portsOf(chip: PicChip): PortDevice {
    return {
      maxPortBytes: 1,
      readPort: (offset) => {
        const value = offset === 0 ? chip.readEven() : chip.readOdd();
        this.#update(); // a poll acknowledges
        return value;
      },
      writePort: (offset, _bytes, value) => {
        if (offset === 0) chip.writeEven(value);
        else chip.writeOdd(value);
        this.#update();
      },
    };
  }

  #edgeLevelPorts(): PortDevice {
    return {
      maxPortBytes: 1,
      readPort: (offset) => (offset === 0 ? this.#master : this.#slave).state.levelTriggered,
      writePort: (offset, _bytes, value) => {
        if (offset === 0) this.#master.setLevelTriggered(value & ELCR_WRITABLE[0]);
        else this.#slave.setLevelTriggered(value & ELCR_WRITABLE[1]);
        this.#update();
      },
    };
  }

  #update(): void {
    this.#master.setInput(CASCADE, this.#slave.requesting);
    this.#interrupt.set(this.#master.requesting);
  }
}
