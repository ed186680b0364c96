// Longer than most: flags, calendar and interrupts all hang on registers A and B.

import type { Clock, Timer } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { ticksAt, timeOfTickNs } from "../../bus/tick-time.ts";
import { type CalendarRegisters, decodeCalendar, encodeCalendar, REG_B_24_HOUR } from "./rtc-time.ts";

export const RTC_PORT = 0x70; // two ports: index, data
/** Register of the century, for the FADT. */
export const CENTURY_REGISTER = 0x32;

const SECONDS_ALARM = 0x01;
const MINUTES_ALARM = 0x03;
const HOURS_ALARM = 0x05;
const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;

/** Calendar registers by number. */
const CALENDAR: Readonly<Record<number, keyof CalendarRegisters>> = {
  0: "seconds",
  2: "minutes",
  4: "hours",
  6: "weekday",
  7: "day",
  8: "month",
  9: "year",
  [CENTURY_REGISTER]: "century",
};

const A_UIP = 1 << 7;
const A_DIVIDER_RESET = 0b110 << 4; // 11x holds the divider chain in reset
const B_SET = 1 << 7;
const B_PIE = 1 << 6;
const B_AIE = 1 << 5;
const B_UIE = 1 << 4;
const C_IRQF = 1 << 7;
const C_PF = 1 << 6;
const C_AF = 1 << 5;
const C_UF = 1 << 4;
const D_VRT = 1 << 7;
/** The upper two bits of an alarm register make it match anything. */
const ALARM_ANY = 0xc0;

const OSCILLATOR_HZ = 32_768;
/** "Update Cycle": UIP leads by 244 us, and the update takes 1984 us with this oscillator. */
const UIP_MS = 2.228;
/** After the divider leaves reset, the first update comes half a second later. */
const DIVIDER_START_MS = 500;
const DAY_SECONDS = 86_400;

/** Everything a snapshot must carry. */
export interface RtcCmosState {
  index: number;
  /** 128 bytes; the calendar and registers A to D live elsewhere */
  memory: number[];
  regA: number;
  regB: number;
  /** Flags of register C, without IRQF */
  flags: number;
  /** RTC time minus the host's */
  offsetMs: number;
  /** What the calendar registers hold while updates are off (SET, or divider in reset) */
  stopped: CalendarRegisters | null;
  /** Last second whose update has been accounted for; null before the first look */
  updatedSecond: number | null;
  /** Periods of the periodic interrupt accounted for, since power-on */
  periods: number;
  /** When the calendar is looked at next for an update or alarm interrupt, in the clock's time */
  calendarWakeNs: number | null;
}

export const resetState = (): RtcCmosState => ({
  index: 0,
  memory: new Array<number>(128).fill(0),
  regA: 0x26,
  regB: REG_B_24_HOUR,
  flags: 0,
  offsetMs: 0,
  stopped: null,
  updatedSecond: null,
  periods: 0,
  calendarWakeNs: null,
});

/**
 * MC146818 real-time clock with a PC's 128 bytes of CMOS memory.
 *
 * The calendar is the host's, shifted by what the guest sets. Flags are worked out
 * when they are read; timers run only for interrupts that are enabled. The
 * NMI mask (bit 7 of the index), square wave and daylight saving are not modelled.
 *
 * Source: Motorola MC146818 datasheet.
 */
export class RtcCmos implements PortDevice {
  readonly maxPortBytes = 1;
  readonly #clock: Clock;
  readonly #unixTimeMs: () => number;
  readonly #irq: InterruptLine;
  readonly #state: RtcCmosState;
  #timers: Timer[] = [];

  /** `unixTimeMs` is the host's wall clock, or in deterministic mode a fixed time plus the clock's. */
  constructor(
    clock: Clock,
    unixTimeMs: () => number,
    irq: InterruptLine,
    state: RtcCmosState = resetState(),
  ) {
    this.#clock = clock;
    this.#unixTimeMs = unixTimeMs;
    this.#irq = irq;
    this.#state = state;
    state.updatedSecond ??= this.#second;
    this.#update(state.calendarWakeNs);
  }

  get state(): RtcCmosState {
    return cloneState(this.#state);
  }

  readPort(offset: number, _bytes: AccessBytes): number {
    if (offset === 0) return 0xff; // the index cannot be read
    const s = this.#state;
    switch (s.index) {
      case REG_A:
        return s.regA | (this.#updateInProgress ? A_UIP : 0);
      case REG_B:
        return s.regB;
      case REG_C:
        return this.#readFlags();
      case REG_D:
        return D_VRT;
      default: {
        const field = CALENDAR[s.index];
        return field === undefined ? (s.memory[s.index] ?? 0xff) : this.#calendar[field];
      }
    }
  }

  writePort(offset: number, _bytes: AccessBytes, value: number): void {
    const s = this.#state;
    if (offset === 0) {
      s.index = value & 0x7f;
      return;
    }
    this.#account();
    switch (s.index) {
      case REG_A:
        this.#writeRegA(value & ~A_UIP);
        break;
      case REG_B:
        this.#writeRegB(value);
        break;
      case REG_C:
      case REG_D:
        break;
      default: {
        const field = CALENDAR[s.index];
        if (field === undefined) s.memory[s.index] = value;
        else this.#writeCalendar(field, value);
      }
    }
    this.#update();
  }

  /** Firmware's and the machine's own use of the memory, as if written through the ports. */
  setByte(index: number, value: number): void {
    if (index <= REG_D || index > 0x7f) throw new RangeError(`CMOS byte ${index} is not plain memory`);
    this.#state.memory[index] = value;
  }

  get #timeMs(): number {
    return this.#unixTimeMs() + this.#state.offsetMs;
  }

  get #second(): number {
    return Math.floor(this.#timeMs / 1000);
  }

  get #dividerReset(): boolean {
    return (this.#state.regA & A_DIVIDER_RESET) === A_DIVIDER_RESET;
  }

  get #updateInProgress(): boolean {
    if (this.#state.stopped !== null) return false;
    const timeMs = this.#timeMs;
    return timeMs - Math.floor(timeMs / 1000) * 1000 >= 1000 - UIP_MS;
  }

  get #calendar(): CalendarRegisters {
    return this.#state.stopped ?? encodeCalendar(this.#second, this.#state.regB);
  }

  #writeRegA(value: number): void {
    const s = this.#state;
    const wasReset = this.#dividerReset;
    const calendar = this.#calendar;
    s.regA = value;
    s.periods = this.#periods;
    if (this.#dividerReset) s.stopped ??= calendar;
    else if (wasReset && (s.regB & B_SET) === 0) this.#restart(1000 - DIVIDER_START_MS);
    else if (wasReset) s.offsetMs += 1000 - DIVIDER_START_MS - this.#phaseMs; // SET still holds the calendar
  }

  #writeRegB(value: number): void {
    const s = this.#state;
    const calendar = this.#calendar;
    const wasSet = (s.regB & B_SET) !== 0;
    s.regB = value;
    if ((value & B_SET) !== 0) {
      s.regB &= ~B_UIE; // "SET": setting it clears UIE
      s.stopped ??= calendar;
    } else if (wasSet && !this.#dividerReset) {
      this.#restart(this.#phaseMs);
    }
  }

  #writeCalendar(field: keyof CalendarRegisters, value: number): void {
    const s = this.#state;
    const calendar = { ...this.#calendar, [field]: value };
    if (s.stopped !== null) s.stopped = calendar;
    else if (field !== "weekday") this.#setTime(calendar, this.#phaseMs);
  }

  /** Milliseconds since the last update. */
  get #phaseMs(): number {
    const timeMs = this.#timeMs;
    return timeMs - Math.floor(timeMs / 1000) * 1000;
  }

  /** Lets the calendar run again from what its registers hold, `phaseMs` into that second. */
  #restart(phaseMs: number): void {
    const s = this.#state;
    if (s.stopped === null) return;
    const calendar = s.stopped;
    s.stopped = null;
    this.#setTime(calendar, phaseMs);
  }

  #setTime(calendar: CalendarRegisters, phaseMs: number): void {
    const s = this.#state;
    s.offsetMs = decodeCalendar(calendar, s.regB) * 1000 + phaseMs - this.#unixTimeMs();
    s.updatedSecond = this.#second;
  }

  /** Oscillator ticks between two periodic interrupts; undefined when they are off ("Rate Selection"). */
  get #periodTicks(): number | undefined {
    const rate = this.#state.regA & 15;
    if (rate === 0 || this.#dividerReset) return undefined;
    return rate < 3 ? 1 << (rate + 6) : 1 << (rate - 1);
  }

  get #periods(): number {
    const periodTicks = this.#periodTicks;
    if (periodTicks === undefined) return 0;
    return Math.floor(ticksAt(this.#clock.nowNs(), OSCILLATOR_HZ) / periodTicks);
  }

  /** Sets the flags for everything that has happened since the last look. */
  #account(): void {
    const s = this.#state;
    const periods = this.#periods;
    if (periods > s.periods) s.flags |= C_PF;
    s.periods = periods;
    const second = this.#second;
    const from = s.updatedSecond ?? second;
    s.updatedSecond = second;
    if (s.stopped !== null || second <= from) return;
    s.flags |= C_UF;
    for (let past = Math.max(from + 1, second - DAY_SECONDS + 1); past <= second; past++) {
      if ((s.flags & C_AF) !== 0) break;
      if (this.#alarmMatches(past)) s.flags |= C_AF;
    }
  }

  #alarmMatches(second: number): boolean {
    const { memory, regB } = this.#state;
    const calendar = encodeCalendar(second, regB);
    const matches = (alarm: number, value: number): boolean =>
      (alarm & ALARM_ANY) === ALARM_ANY || alarm === value;
    return (
      matches(memory[SECONDS_ALARM] ?? 0, calendar.seconds) &&
      matches(memory[MINUTES_ALARM] ?? 0, calendar.minutes) &&
      matches(memory[HOURS_ALARM] ?? 0, calendar.hours)
    );
  }

  /** "Register C": reading clears all flags. */
  #readFlags(): number {
    this.#account();
    const s = this.#state;
    const flags = s.flags | (this.#interrupting ? C_IRQF : 0);
    s.flags = 0;
    this.#update();
    return flags;
  }

  /** The flags of register C and the enables of register B have the same bits. */
  get #interrupting(): boolean {
    return (this.#state.flags & this.#state.regB & (B_PIE | B_AIE | B_UIE)) !== 0;
  }

  /**
   * Drives the line, and waits for the next event whose interrupt is enabled and not yet flagged; for the calendar's
   * until `calendarWakeNs`, where that is known.
   */
  #update(calendarWakeNs: number | null = null): void {
    const s = this.#state;
    this.#irq.set(this.#interrupting);
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    s.calendarWakeNs = null;
    const wanted = s.regB & ~s.flags;
    const periodTicks = this.#periodTicks;
    if ((wanted & B_PIE) !== 0 && periodTicks !== undefined) {
      this.#wakeAt(timeOfTickNs((s.periods + 1) * periodTicks, OSCILLATOR_HZ));
    }
    if ((wanted & (B_AIE | B_UIE)) !== 0 && s.stopped === null) {
      // The wall clock and the clock drift apart, so the wake may come early; then it waits again.
      const restMs = 1000 - this.#phaseMs;
      s.calendarWakeNs = calendarWakeNs ?? this.#clock.nowNs() + Math.max(1, Math.ceil(restMs * 1e6));
      this.#wakeAt(s.calendarWakeNs);
    }
  }

  #wakeAt(timeNs: number): void {
    this.#timers.push(
      this.#clock.schedule(timeNs, () => {
        this.#account();
        this.#update();
      }),
    );
  }
}
