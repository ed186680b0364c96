// One counter of the 8254. Nothing runs between accesses: the count and OUT
// follow from the tick at which counting began.
//
// Source: Intel 8254 datasheet (231164), "Mode Definitions", "Read Operations".

/** Everything a snapshot must carry of one counter. */
export interface PitChannelState {
  mode: 0 | 1 | 2 | 3 | 4 | 5;
  bcd: boolean;
  /** RW1, RW0 of the control word: 1 low byte, 2 high byte, 3 low then high */
  access: 1 | 2 | 3;
  gate: boolean;
  /** Count register: ticks a period, 1..65536 */
  initial: number;
  /** The counter has been loaded since the control word (modes 1 and 5: triggered) */
  counting: boolean;
  /** Tick of the clock at which the counter held `initial` */
  startTick: number;
  /** Ticks counted when the gate stopped the counter */
  stoppedAfter: number | null;
  /** The count that was loaded at `startTick`; a later count for a one-shot does not change it */
  started: number;
  /** Modes 2 and 3: a new count that waits for the end of the (half) period */
  next: { initial: number; atTick: number } | null;
  /** First byte of a two-byte write */
  writtenLow: number | null;
  /** The next read gives the high byte */
  readHigh: boolean;
  latchedCount: number | null;
  latchedStatus: number | null;
}

export const resetChannelState = (): PitChannelState => ({
  mode: 0,
  bcd: false,
  access: 3,
  gate: true,
  initial: 0x10000,
  counting: false,
  startTick: 0,
  stoppedAfter: null,
  started: 0x10000,
  next: null,
  writtenLow: null,
  readHigh: false,
  latchedCount: null,
  latchedStatus: null,
});

export class PitChannel {
  readonly state: PitChannelState;

  constructor(state: PitChannelState) {
    this.state = state;
  }

  /** A control word for this counter, other than latch commands. */
  writeControl(value: number): void {
    const s = this.state;
    const mode = (value >> 1) & 7;
    s.mode = (mode > 5 ? mode - 4 : mode) as PitChannelState["mode"];
    s.access = ((value >> 4) & 3) as PitChannelState["access"];
    s.bcd = (value & 1) !== 0;
    s.counting = false;
    s.stoppedAfter = null;
    s.next = null;
    s.writtenLow = null;
    s.readHigh = false;
    s.latchedCount = null;
    s.latchedStatus = null;
  }

  writeCount(value: number, tick: number): void {
    const s = this.state;
    if (s.access === 1) this.#setInitial(value, tick);
    else if (s.access === 2) this.#setInitial(value << 8, tick);
    else if (s.writtenLow === null) {
      s.writtenLow = value;
      // Mode 0: the first byte stops the count and lowers OUT.
      if (s.mode === 0) s.counting = false;
    } else {
      const low = s.writtenLow;
      s.writtenLow = null;
      this.#setInitial(low | (value << 8), tick);
    }
  }

  read(tick: number): number {
    const s = this.state;
    if (s.latchedStatus !== null) {
      const status = s.latchedStatus;
      s.latchedStatus = null;
      return status;
    }
    const count = s.latchedCount ?? this.#encodedCount(tick);
    const high = s.access === 2 || (s.access === 3 && s.readHigh);
    if (s.access === 3) s.readHigh = !s.readHigh;
    if (s.access !== 3 || high) s.latchedCount = null;
    return high ? count >> 8 : count & 0xff;
  }

  /** Counter latch command. A latched count stays until it is read. */
  latchCount(tick: number): void {
    this.state.latchedCount ??= this.#encodedCount(tick);
  }

  /** "Read-Back Command", status: OUT, null count, then the control word's low bits. */
  latchStatus(tick: number): void {
    const s = this.state;
    const nullCount = !s.counting || tick < s.startTick || s.next !== null;
    s.latchedStatus ??=
      (this.output(tick) ? 0x80 : 0) |
      (nullCount ? 0x40 : 0) |
      (s.access << 4) |
      (s.mode << 1) |
      (s.bcd ? 1 : 0);
  }

  /** "Gate": a level in modes 0, 2, 3 and 4, a rising edge in modes 1, 2, 3 and 5. */
  setGate(gate: boolean, tick: number): void {
    const s = this.state;
    if (gate === s.gate) return;
    this.sync(tick);
    const elapsed = this.#elapsed(tick);
    s.gate = gate;
    if (s.mode === 1 || s.mode === 5) {
      if (gate) this.#start(tick);
      return;
    }
    if (!s.counting) return;
    if (!gate) s.stoppedAfter = elapsed;
    else if (s.mode === 2 || s.mode === 3) this.#start(tick);
    else {
      s.startTick = tick - (s.stoppedAfter ?? 0);
      s.stoppedAfter = null;
    }
  }

  output(tick: number): boolean {
    const s = this.state;
    this.sync(tick);
    if (!s.counting) return s.mode !== 0;
    const elapsed = this.#elapsed(tick);
    switch (s.mode) {
      case 0:
      case 1:
        return elapsed >= s.started;
      case 2:
        return s.stoppedAfter !== null || elapsed % s.initial !== s.initial - 1;
      case 3:
        return s.stoppedAfter !== null || elapsed % s.initial < highTicks(s.initial);
      default:
        return elapsed !== s.started;
    }
  }

  /** The first tick after `tick` at which OUT rises, or undefined when it will not by itself. */
  nextRise(tick: number): number | undefined {
    const s = this.state;
    this.sync(tick);
    if (!s.counting || s.stoppedAfter !== null) return undefined;
    if (s.mode === 2 || s.mode === 3) {
      const elapsed = Math.max(0, tick - s.startTick);
      const next = s.startTick + (Math.floor(elapsed / s.initial) + 1) * s.initial;
      if (s.next === null || s.next.atTick === next) return next;
      // A new count takes over at the middle of the square wave and sets the length of its low half.
      return s.next.atTick + s.next.initial - highTicks(s.next.initial);
    }
    const rise = s.startTick + s.started + (s.mode >= 4 ? 1 : 0);
    return rise > tick ? rise : undefined;
  }

  /** Puts a waiting count to work whose time has come. */
  sync(tick: number): void {
    const s = this.state;
    if (s.next === null || !s.counting || s.stoppedAfter !== null) return;
    const { initial, atTick } = s.next;
    if (tick < atTick) return;
    const afterHighHalf = s.mode === 3 && atTick - s.startTick < s.initial;
    s.startTick = afterHighHalf ? atTick - highTicks(initial) : atTick;
    s.initial = initial;
    s.next = null;
  }

  #setInitial(written: number, tick: number): void {
    const s = this.state;
    const count = s.bcd ? fromBcd(written) : written;
    const initial = count === 0 ? (s.bcd ? 10000 : 0x10000) : count;
    if (s.mode === 1 || s.mode === 5) {
      s.initial = initial; // loaded by the next trigger; a one-shot under way keeps its end
      return;
    }
    if (s.counting && (s.mode === 2 || s.mode === 3) && s.stoppedAfter === null && tick >= s.startTick) {
      this.sync(tick);
      s.startTick += Math.floor((tick - s.startTick) / s.initial) * s.initial;
      const inHighHalf = s.mode === 3 && tick - s.startTick < highTicks(s.initial);
      s.next = { initial, atTick: s.startTick + (inHighHalf ? highTicks(s.initial) : s.initial) };
      return;
    }
    s.initial = initial;
    this.#start(tick);
    if (!s.gate) s.stoppedAfter = 0;
  }

  /** The count goes into the counter with the next clock pulse. */
  #start(tick: number): void {
    const s = this.state;
    s.counting = true;
    s.started = s.initial;
    s.startTick = tick + 1;
    s.stoppedAfter = null;
    s.next = null;
  }

  #elapsed(tick: number): number {
    return this.state.stoppedAfter ?? Math.max(0, tick - this.state.startTick);
  }

  #count(tick: number): number {
    const s = this.state;
    this.sync(tick);
    if (!s.counting) return s.initial;
    const elapsed = this.#elapsed(tick);
    const modulus = s.bcd ? 10000 : 0x10000;
    if (s.mode === 2) return s.initial - (elapsed % s.initial);
    if (s.mode === 3) {
      const phase = elapsed % s.initial;
      const high = highTicks(s.initial);
      return (s.initial & ~1) - 2 * (phase < high ? phase : phase - high);
    }
    return (((s.started - elapsed) % modulus) + modulus) % modulus;
  }

  #encodedCount(tick: number): number {
    const count = this.#count(tick);
    return this.state.bcd ? toBcd(count % 10000) : count & 0xffff;
  }
}

/** Mode 3: "for odd counts OUT will be high for (N + 1)/2 counts and low for (N - 1)/2". */
function highTicks(initial: number): number {
  return (initial + 1) >> 1;
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15);
}

function toBcd(value: number): number {
  const digit = (power: number): number => Math.floor(value / power) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
