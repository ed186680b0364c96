// Longer than most: 64-bit registers come in halves, and the timers share counter and status.

import type { Clock, Timer } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { MmioDevice } from "../../bus/mmio-bus.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";

export const HPET_BASE = 0xfed00000;
export const HPET_BYTES = 0x400;
/** Timers, numbered from 0. */
export const HPET_TIMERS = 3;
/** Femtoseconds a tick of the main counter: 100 MHz. */
export const HPET_PERIOD_FS = 10_000_000;
/** Lower half of the capability register, and the ACPI table's event timer block id. */
export const HPET_BLOCK_ID = 0x8086a201;

const NS_PER_TICK = 10;

// Register offsets ("Register Overview"); of each, the upper half is 4 bytes further.
const GENERAL_CAPABILITIES = 0x000;
const GENERAL_CONFIGURATION = 0x010;
const GENERAL_INTERRUPT_STATUS = 0x020;
const MAIN_COUNTER = 0x0f0;
const FIRST_TIMER = 0x100;
const TIMER_BYTES = 0x20;
const TIMER_CONFIGURATION = 0x00;
const TIMER_COMPARATOR = 0x08;

const ENABLE_CNF = 1 << 0;
const LEG_RT_CNF = 1 << 1;

// "Timer N Configuration and Capabilities Register"
const INT_TYPE_LEVEL = 1 << 1;
const INT_ENB = 1 << 2;
const TYPE_PERIODIC = 1 << 3;
const PER_INT_CAP = 1 << 4;
const SIZE_CAP_64 = 1 << 5;
const VAL_SET = 1 << 6;
const MODE_32 = 1 << 8;
const INT_ROUTE_SHIFT = 9;
const CONFIGURATION_WRITABLE = INT_TYPE_LEVEL | INT_ENB | TYPE_PERIODIC | MODE_32 | (31 << INT_ROUTE_SHIFT);
/** I/O APIC inputs that a timer may use: 20 to 23. */
const ROUTE_CAPABILITIES = 0x00f00000;

const TWO_32 = 1n << 32n;
const TWO_64 = 1n << 64n;
/** Deadlines further away than this are looked at again then: keeps times exact in a double. */
/** A quarter of a second. */
const MOST_LATE_TICKS = 25_000_000n;
const FARTHEST_TICKS = 1n << 40n;

export interface HpetTimerState {
  /** Writable bits of the configuration register */
  configuration: number;
  comparator: bigint;
  /** What a periodic timer adds to its comparator */
  period: bigint;
  /** VAL_SET: which halves of the comparator, and not only of the period, the next writes set */
  valueSet: "none" | "both" | "high";
  /** When it is looked at next, in the clock's time: to interrupt, or only to wait on */
  deadline: { atNs: number; fires: boolean } | null;
}

/** Everything a snapshot must carry. */
export interface HpetState {
  configuration: number;
  interruptStatus: number;
  /** The main counter at `countingSinceTick` if it runs, now if it does not */
  counter: bigint;
  /** The clock's time in ticks when the counter was started */
  countingSinceTick: number;
  timers: HpetTimerState[];
  /** Upper half of the main counter as of the last read of the lower, for 64-bit reads in two halves */
  counterHigh: number | null;
}

export const resetState = (): HpetState => ({
  configuration: 0,
  interruptStatus: 0,
  counter: 0n,
  countingSinceTick: 0,
  timers: Array.from({ length: HPET_TIMERS }, () => ({
    configuration: 0,
    comparator: TWO_64 - 1n,
    period: 0n,
    valueSet: "none" as const,
    deadline: null,
  })),
  counterHigh: null,
});

export interface HpetLegacyRoute {
  /** Timer 0 instead of the PIT: the PIC's IRQ 0 and the I/O APIC's input 2 */
  readonly irq0: InterruptLine;
  /** Timer 1 instead of the RTC */
  readonly irq8: InterruptLine;
  /** Tells the machine to cut off (true) or reconnect the PIT's and the RTC's interrupts */
  replaced(on: boolean): void;
}

/**
 * High precision event timer: 100 MHz, 64 bits, three timers. FSB delivery is not modelled.
 *
 * A periodic timer for which the host was too late interrupts once and goes on
 * with the next period that lies ahead.
 *
 * Source: IA-PC HPET (High Precision Event Timers) Specification 1.0a.
 */
export class Hpet implements MmioDevice {
  readonly #clock: Clock;
  readonly #interrupts: readonly InterruptLine[];
  readonly #legacy: HpetLegacyRoute | undefined;
  readonly #state: HpetState;
  readonly #deadlines: (Timer | undefined)[] = [];

  /** `interrupts` are the I/O APIC's inputs by number. Without `legacy`, the capability is absent. */
  constructor(
    clock: Clock,
    interrupts: readonly InterruptLine[],
    legacy: HpetLegacyRoute | undefined,
    state: HpetState = resetState(),
  ) {
    this.#clock = clock;
    this.#interrupts = interrupts;
    this.#legacy = legacy;
    this.#state = state;
    if (this.#legacyRoute) legacy?.replaced(true);
    for (const [index, { deadline }] of state.timers.entries()) {
      this.#driveLevel(index);
      if (deadline !== null) this.#wait(index, deadline.atNs, deadline.fires);
    }
  }

  get state(): HpetState {
    return cloneState(this.#state);
  }

  readMemory(offset: number, bytes: AccessBytes): number {
    const word = this.#readWord(offset & ~3);
    return bytes === 4 ? word : Math.floor(word / 2 ** (8 * (offset & 3))) % 2 ** (8 * bytes);
  }

  /** "Register Access": only aligned 32- and 64-bit writes are defined; others are ignored. */
  writeMemory(offset: number, bytes: AccessBytes, value: number): void {
    if (bytes !== 4 || (offset & 3) !== 0) return;
    if (offset >= FIRST_TIMER) {
      this.#writeTimer(
        Math.floor((offset - FIRST_TIMER) / TIMER_BYTES),
        (offset - FIRST_TIMER) % TIMER_BYTES,
        value,
      );
      return;
    }
    switch (offset) {
      case GENERAL_CONFIGURATION:
        this.#writeConfiguration(value);
        break;
      case GENERAL_INTERRUPT_STATUS:
        this.#clearStatus(value);
        break;
      case MAIN_COUNTER:
        this.#writeCounter(false, value);
        break;
      case MAIN_COUNTER + 4:
        this.#writeCounter(true, value);
        break;
      default:
        break;
    }
  }

  get #nowTick(): number {
    return Math.floor(this.#clock.nowNs() / NS_PER_TICK);
  }

  get #running(): boolean {
    return (this.#state.configuration & ENABLE_CNF) !== 0;
  }

  get #legacyRoute(): boolean {
    return (this.#state.configuration & LEG_RT_CNF) !== 0;
  }

  get #counter(): bigint {
    return this.#counterAt(this.#nowTick);
  }

  #counterAt(tick: number): bigint {
    const { counter, countingSinceTick } = this.#state;
    return this.#running ? BigInt.asUintN(64, counter + BigInt(tick - countingSinceTick)) : counter;
  }

  #readWord(offset: number): number {
    if (offset >= FIRST_TIMER) {
      return this.#readTimer(
        Math.floor((offset - FIRST_TIMER) / TIMER_BYTES),
        (offset - FIRST_TIMER) % TIMER_BYTES,
      );
    }
    switch (offset) {
      case GENERAL_CAPABILITIES:
        return this.#legacy === undefined ? HPET_BLOCK_ID - 0x8000 : HPET_BLOCK_ID;
      case GENERAL_CAPABILITIES + 4:
        return HPET_PERIOD_FS;
      case GENERAL_CONFIGURATION:
        return this.#state.configuration;
      case GENERAL_INTERRUPT_STATUS:
        return this.#state.interruptStatus;
      case MAIN_COUNTER: {
        const counter = this.#counter;
        this.#state.counterHigh = high(counter);
        return low(counter);
      }
      case MAIN_COUNTER + 4: {
        const latched = this.#state.counterHigh ?? high(this.#counter);
        this.#state.counterHigh = null;
        return latched;
      }
      default:
        return 0;
    }
  }

  #readTimer(index: number, register: number): number {
    const timer = this.#state.timers[index];
    if (timer === undefined) return 0;
    switch (register) {
      case TIMER_CONFIGURATION:
        return timer.configuration | PER_INT_CAP | SIZE_CAP_64;
      case TIMER_CONFIGURATION + 4:
        return ROUTE_CAPABILITIES;
      case TIMER_COMPARATOR:
        return low(timer.comparator);
      case TIMER_COMPARATOR + 4:
        return high(timer.comparator);
      default:
        return 0;
    }
  }

  #writeConfiguration(value: number): void {
    const s = this.#state;
    const counter = this.#counter;
    const before = s.configuration;
    s.configuration = value & (this.#legacy === undefined ? ENABLE_CNF : ENABLE_CNF | LEG_RT_CNF);
    s.counter = counter;
    s.countingSinceTick = this.#nowTick;
    if (((before ^ s.configuration) & LEG_RT_CNF) !== 0) this.#legacy?.replaced(this.#legacyRoute);
    for (let index = 0; index < s.timers.length; index++) {
      this.#driveLevel(index);
      if (((before ^ s.configuration) & ENABLE_CNF) !== 0) this.#arm(index, true);
    }
  }

  /** "General Interrupt Status Register": writing 1 clears a level-triggered timer's bit. */
  #clearStatus(value: number): void {
    this.#state.interruptStatus &= ~value;
    for (let index = 0; index < this.#state.timers.length; index++) this.#driveLevel(index);
  }

  /** "Main Counter Register": written while the counter is halted. */
  #writeCounter(upper: boolean, value: number): void {
    if (this.#running) return;
    this.#state.counter = withHalf(this.#state.counter, upper, value);
  }

  #writeTimer(index: number, register: number, value: number): void {
    const timer = this.#state.timers[index];
    if (timer === undefined) return;
    if (register === TIMER_CONFIGURATION) {
      this.#line(index)?.set(false); // in case the route changes
      timer.configuration = value & CONFIGURATION_WRITABLE;
      if ((value & VAL_SET) !== 0) timer.valueSet = "both";
      if ((value & MODE_32) !== 0) timer.comparator %= TWO_32;
      if ((value & INT_TYPE_LEVEL) === 0) this.#state.interruptStatus &= ~(1 << index);
      this.#driveLevel(index);
      this.#arm(index, false);
    } else if (register === TIMER_COMPARATOR || register === TIMER_COMPARATOR + 4) {
      this.#writeComparator(timer, register !== TIMER_COMPARATOR, value);
      this.#arm(index, true);
    }
  }

  /** "Timer N Comparator Register": if periodic, sets the period, and after VAL_SET the comparator too. */
  #writeComparator(timer: HpetTimerState, upper: boolean, value: number): void {
    if (upper && (timer.configuration & MODE_32) !== 0) return;
    const periodic = (timer.configuration & TYPE_PERIODIC) !== 0;
    const setsValue = timer.valueSet === "both" || (upper && timer.valueSet === "high");
    if (!periodic || setsValue) timer.comparator = withHalf(timer.comparator, upper, value);
    if (periodic) timer.period = withHalf(timer.period, upper, value);
    timer.valueSet = timer.valueSet === "both" && !upper ? "high" : "none";
  }

  /**
   * Waits for the counter to reach the comparator. `mayBeNow`: equality counts, else a full turn later. A caller that
   * has chosen the comparator by the counter gives the tick of that: by now the counter may be past the comparator.
   */
  #arm(index: number, mayBeNow: boolean, nowTick: number = this.#nowTick): void {
    this.#cancel(index);
    const timer = this.#state.timers[index];
    // Timers run without INT_ENB too, but then only to set the status bit, which nobody waits for.
    if (timer === undefined || !this.#running || (timer.configuration & INT_ENB) === 0) return;
    const turn = (timer.configuration & MODE_32) !== 0 ? TWO_32 : TWO_64;
    const distance = (((timer.comparator - this.#counterAt(nowTick)) % turn) + turn) % turn;
    const ticks = distance === 0n && !mayBeNow ? turn : distance;
    const near = ticks < FARTHEST_TICKS;
    const atNs = (nowTick + Number(near ? ticks : FARTHEST_TICKS)) * NS_PER_TICK;
    this.#wait(index, atNs, near);
  }

  /** Looks at a timer again at `atNs`: to fire it, or to wait on because the end is too far away. */
  #wait(index: number, atNs: number, fires: boolean): void {
    this.#cancel(index);
    const timer = this.#state.timers[index];
    if (timer !== undefined) timer.deadline = { atNs, fires };
    this.#deadlines[index] = this.#clock.schedule(atNs, () =>
      fires ? this.#fire(index) : this.#arm(index, true),
    );
  }

  #cancel(index: number): void {
    this.#deadlines[index]?.cancel();
    this.#deadlines[index] = undefined;
    const timer = this.#state.timers[index];
    if (timer !== undefined) timer.deadline = null;
  }

  #fire(index: number): void {
    const timer = this.#state.timers[index];
    if (timer === undefined) return;
    const nowTick = this.#nowTick;
    let missed = false;
    if ((timer.configuration & TYPE_PERIODIC) !== 0 && timer.period > 0n) {
      const turn = (timer.configuration & MODE_32) !== 0 ? TWO_32 : TWO_64;
      const late = (((this.#counterAt(nowTick) - timer.comparator) % turn) + turn) % turn;
      // Periods that a late machine missed follow one by one: a guest that counts ticks against the TSC, as Linux
      // does to find out whether the timer works, would see too few. Those longer ago are given up.
      missed = late >= timer.period && late <= MOST_LATE_TICKS;
      const periods = missed ? 1n : late / timer.period + 1n;
      timer.comparator = (timer.comparator + periods * timer.period) % turn;
    }
    if ((timer.configuration & INT_TYPE_LEVEL) !== 0) {
      this.#state.interruptStatus |= 1 << index;
      this.#driveLevel(index);
    } else {
      this.#line(index)?.set(true);
      this.#line(index)?.set(false);
    }
    if (missed) this.#wait(index, this.#clock.nowNs(), true);
    else this.#arm(index, false, nowTick);
  }

  #driveLevel(index: number): void {
    const configuration = this.#state.timers[index]?.configuration ?? 0;
    if ((configuration & INT_TYPE_LEVEL) === 0) return;
    const asserted =
      this.#running && (configuration & INT_ENB) !== 0 && (this.#state.interruptStatus & (1 << index)) !== 0;
    this.#line(index)?.set(asserted);
  }

  /** "Interrupt Routing": legacy replacement overrides the routes of timers 0 and 1. */
  #line(index: number): InterruptLine | undefined {
    if (this.#legacyRoute && index === 0) return this.#legacy?.irq0;
    if (this.#legacyRoute && index === 1) return this.#legacy?.irq8;
    const route = ((this.#state.timers[index]?.configuration ?? 0) >> INT_ROUTE_SHIFT) & 31;
    return (ROUTE_CAPABILITIES & (1 << route)) === 0 ? undefined : this.#interrupts[route];
  }
}

function low(value: bigint): number {
  return Number(value & 0xffffffffn);
}

function high(value: bigint): number {
  return Number(value >> 32n);
}

function withHalf(value: bigint, upper: boolean, half: number): bigint {
  const bits = BigInt(half >>> 0);
  return upper ? (bits << 32n) | (value & 0xffffffffn) : (value & ~0xffffffffn) | bits;
}
