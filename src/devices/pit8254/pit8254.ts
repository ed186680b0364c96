import type { Clock, Timer } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { ticksAt, timeOfTickNs } from "../../bus/tick-time.ts";
import { PitChannel, type PitChannelState, resetChannelState } from "./pit-channel.ts";

export const PIT_PORT = 0x40; // four ports: counters 0 to 2, control word
export const SYSTEM_CONTROL_PORT_B = 0x61;
export const PIT_HZ = 1_193_182;

const CONTROL = 3;
const READ_BACK = 3; // SC field of the control word

// Port 0x61 (82371AB PIIX4, "NMISC: NMI Status and Control Register").
const GATE2 = 1 << 0;
const WRITABLE = 0b0000_1111; // gate 2, speaker data, SERR# enable, IOCHK# enable
const REFRESH_TOGGLE = 1 << 4;
const OUT2 = 1 << 5;
const REFRESH_NS = 15_085;

/** Everything a snapshot must carry. */
export interface Pit8254State {
  channels: [PitChannelState, PitChannelState, PitChannelState];
  /** The writable bits of port 0x61 */
  controlB: number;
  /** The level of IRQ 0 as it was last driven; between two rises OUT 0 itself may be lower */
  irq0: boolean;
  /** Tick of the rise of OUT 0 that is waited for */
  nextRise: number | null;
}

export const resetState = (): Pit8254State => ({
  channels: [resetChannelState(), resetChannelState(), { ...resetChannelState(), gate: false }],
  controlB: 0,
  irq0: false,
  nextRise: null,
});

/** Rises missed longer ago than this, a quarter of a second, are given up. */
const MOST_LATE_TICKS = PIT_HZ / 4;

/**
 * The PC's interval timer and port 0x61, which has counter 2's gate and output.
 *
 * Counts follow from the clock when they are read. Of OUT 0, only rising edges
 * reach the interrupt line on time; edges that the host was too late for are lost, as on
 * hardware while interrupts are off.
 *
 * Source: Intel 8254 datasheet (231164).
 */
export class Pit8254 {
  readonly counters: PortDevice;
  readonly controlB: PortDevice;
  readonly #clock: Clock;
  readonly #irq0: InterruptLine | undefined;
  readonly #channels: readonly [PitChannel, PitChannel, PitChannel];
  readonly #state: Pit8254State;
  #timer: Timer | undefined;

  /** Without `irq0`, counter 0 counts but schedules nothing. */
  constructor(clock: Clock, irq0: InterruptLine | undefined, state: Pit8254State = resetState()) {
    this.#clock = clock;
    this.#irq0 = irq0;
    this.#state = state;
    const [first, second, third] = state.channels;
    this.#channels = [new PitChannel(first), new PitChannel(second), new PitChannel(third)];
    this.counters = {
      maxPortBytes: 1,
      readPort: (offset) => this.#readCounter(offset),
      writePort: (offset, _bytes, value) => this.#writeCounter(offset, value),
    };
    this.controlB = {
      maxPortBytes: 1,
      readPort: () => this.#readControlB(),
      writePort: (_offset, _bytes, value) => this.#writeControlB(value),
    };
    irq0?.set(state.irq0);
    if (state.nextRise !== null) this.#waitForRise(state.nextRise);
  }

  get state(): Pit8254State {
    return cloneState(this.#state);
  }

  get #tick(): number {
    return ticksAt(this.#clock.nowNs(), PIT_HZ);
  }

  #readCounter(offset: number): number {
    return this.#channels[offset]?.read(this.#tick) ?? 0xff; // the control word cannot be read
  }

  #writeCounter(offset: number, value: number): void {
    const tick = this.#tick;
    if (offset === CONTROL) this.#writeControl(value, tick);
    else this.#channels[offset]?.writeCount(value, tick);
    if (offset === 0 || (offset === CONTROL && value >> 6 === 0)) this.#schedule(tick);
  }

  /** "Programming the 8254": a control word, a counter latch command or a read-back command. */
  #writeControl(value: number, tick: number): void {
    const select = value >> 6;
    if (select !== READ_BACK) {
      const channel = this.#channels[select];
      if ((value & 0x30) === 0) channel?.latchCount(tick);
      else channel?.writeControl(value);
      return;
    }
    for (const [index, channel] of this.#channels.entries()) {
      if ((value & (2 << index)) === 0) continue;
      if ((value & 0x20) === 0) channel.latchCount(tick);
      if ((value & 0x10) === 0) channel.latchStatus(tick);
    }
  }

  #readControlB(): number {
    const toggle = (Math.floor(this.#clock.nowNs() / REFRESH_NS) & 1) !== 0;
    return (
      this.#state.controlB | (toggle ? REFRESH_TOGGLE : 0) | (this.#channels[2].output(this.#tick) ? OUT2 : 0)
    );
  }

  #writeControlB(value: number): void {
    this.#state.controlB = value & WRITABLE;
    this.#channels[2].setGate((value & GATE2) !== 0, this.#tick);
  }

  /**
   * Brings the line to OUT's level and waits for the next rise. `tick` is that of the write that makes it necessary: a
   * short count may be over by now.
   */
  #schedule(tick: number): void {
    if (this.#irq0 === undefined) return;
    this.#drive(this.#channels[0].output(tick));
    this.#waitForRise(this.#channels[0].nextRise(tick));
  }

  #drive(asserted: boolean): void {
    this.#state.irq0 = asserted;
    this.#irq0?.set(asserted);
  }

  #waitForRise(rise: number | undefined): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state.nextRise = rise ?? null;
    if (rise === undefined) return;
    this.#timer = this.#clock.schedule(timeOfTickNs(rise, PIT_HZ), () => this.#interrupt(rise));
  }

  /**
   * A rise of OUT. When the machine is late, the rises it missed follow one by
   * one instead of being lost: a guest that counts ticks against the TSC, as
   * Linux does to find out whether the timer works, would see too few.
   */
  #interrupt(rise: number): void {
    this.#drive(false);
    this.#drive(true);
    this.#waitForRise(this.#channels[0].nextRise(Math.max(rise, this.#tick - MOST_LATE_TICKS)));
  }
}
