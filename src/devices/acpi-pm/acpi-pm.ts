import type { Clock, Timer } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { ticksAt, timeOfTickNs } from "../../bus/tick-time.ts";

// What the ACPI tables say of this device. Offsets are those of a PIIX4's
// power management ports; the base is where firmware puts them.
//
//   0x600  PM1a_STS, PM1a_EN    PM1a event block, 4 bytes
//   0x604  PM1a_CNT             PM1a control block, 2 bytes
//   0x608  PM_TMR               power management timer, 4 bytes
//   0x60c  GPE0_STS, GPE0_EN    general-purpose event block 0, 4 bytes
export const PM_BASE_PORT = 0x600;
export const PM_PORT_COUNT = 16;
export const PM1A_EVENT_PORT = 0x600;
export const PM1_EVENT_BYTES = 4;
export const PM1A_CONTROL_PORT = 0x604;
export const PM1_CONTROL_BYTES = 2;
export const PM_TIMER_PORT = 0x608;
export const PM_TIMER_BYTES = 4;
export const GPE0_PORT = 0x60c;
export const GPE0_BYTES = 4;

/** SMI command port (two ports; the second is a scratch byte), and what to write there. */
export const SMI_COMMAND_PORT = 0xb2;
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;

/** ISA interrupt of the SCI; level-triggered, active high at the I/O APIC. */
export const SCI_IRQ = 9;
/** SLP_TYP for \_S5, soft off (82371AB PIIX4, "PMCNTRL", SUS_TYP). */
export const SLEEP_TYPE_S5 = 0;
export const PM_TIMER_HZ = 3_579_545;

// Offsets of the 16-bit registers from the base.
const PM1_STS = 0x0;
const PM1_EN = 0x2;
const PM1_CNT = 0x4;
const PM_TMR = 0x8;
const GPE0_STS = 0xc;
const GPE0_EN = 0xe;

// "PM1 Status Registers Fixed Hardware Feature Status Bits"
const TMR_STS = 1 << 0;
const PWRBTN_STS = 1 << 8;
const WAK_STS = 1 << 15;
const PM1_STS_CLEARABLE = 0x8f31;
/** TMR, GBL, PWRBTN, SLPBTN and RTC enable. */
const PM1_EN_WRITABLE = 0x0721;
// "PM1 Control Registers Fixed Hardware Feature Control Bits"
const SCI_EN = 1 << 0;
const GBL_RLS = 1 << 2;
const SLP_TYP_SHIFT = 10;
const SLP_EN = 1 << 13;

/** Everything a snapshot must carry. */
export interface AcpiPmState {
  pm1Status: number;
  pm1Enable: number;
  pm1Control: number;
  gpe0Status: number;
  gpe0Enable: number;
  /** Changes of the timer's top bit that TMR_STS accounts for, since power-on */
  timerToggles: number;
  /** Last byte written to the SMI command port, and the scratch byte after it */
  smiCommand: number;
  smiData: number;
}

export const resetState = (): AcpiPmState => ({
  pm1Status: 0,
  pm1Enable: 0,
  pm1Control: 0,
  gpe0Status: 0,
  gpe0Enable: 0,
  timerToggles: 0,
  smiCommand: 0,
  smiData: 0,
});

export interface AcpiPmOptions {
  /** 24 if absent; the FADT's TMR_VAL_EXT says 32. */
  readonly timerBits?: 24 | 32;
}

/**
 * ACPI fixed hardware: event, control and timer registers, and the SMI command
 * port's two commands that turn ACPI mode on and off. Sleep states other than S5 are not modelled.
 *
 * Source: ACPI Specification 6.5, "ACPI Hardware Specification".
 */
export class AcpiPm {
  readonly registers: PortDevice;
  readonly smiCommand: PortDevice;
  readonly #clock: Clock;
  readonly #sci: InterruptLine;
  readonly #powerOff: () => void;
  readonly #timerBits: number;
  readonly #state: AcpiPmState;
  #timer: Timer | undefined;

  /** `powerOff` is called when the guest enters S5. */
  constructor(
    clock: Clock,
    sci: InterruptLine,
    powerOff: () => void,
    options: AcpiPmOptions = {},
    state: AcpiPmState = resetState(),
  ) {
    this.#clock = clock;
    this.#sci = sci;
    this.#powerOff = powerOff;
    this.#timerBits = options.timerBits ?? 24;
    this.#state = state;
    this.registers = {
      readPort: (offset, bytes) => this.#read(offset, bytes),
      writePort: (offset, bytes, value) => this.#write(offset, bytes, value),
    };
    this.smiCommand = {
      maxPortBytes: 1,
      readPort: (offset) => (offset === 0 ? this.#state.smiCommand : this.#state.smiData),
      writePort: (offset, _bytes, value) => this.#writeSmi(offset, value),
    };
    this.#update();
  }

  get state(): AcpiPmState {
    return cloneState(this.#state);
  }

  /** The user presses the power button; a guest in ACPI mode takes it for a request to shut down. */
  press(): void {
    this.#state.pm1Status |= PWRBTN_STS;
    this.#update();
  }

  /** Raises general-purpose event 0..15. */
  raiseGeneralPurposeEvent(event: number): void {
    if (!(event >= 0 && event < 16)) throw new RangeError(`GPE0 has events 0..15, not ${event}`);
    this.#state.gpe0Status |= 1 << event;
    this.#update();
  }

  /** "Power Management Timer": the count, in its low 24 or all 32 bits. */
  get #timerValue(): number {
    return this.#ticks % 2 ** this.#timerBits;
  }

  get #ticks(): number {
    return ticksAt(this.#clock.nowNs(), PM_TIMER_HZ);
  }

  /** How often the timer's top bit has changed since power-on; each change sets TMR_STS. */
  get #timerToggles(): number {
    return Math.floor(this.#ticks / 2 ** (this.#timerBits - 1));
  }

  #read(offset: number, bytes: AccessBytes): number {
    const first = offset & ~3;
    const value =
      first === PM_TMR
        ? this.#timerValue
        : this.#readRegister(first) + this.#readRegister(first + 2) * 0x10000;
    const shifted = Math.floor(value / 2 ** (8 * (offset & 3)));
    return bytes === 4 ? shifted : shifted % 2 ** (8 * bytes);
  }

  #readRegister(offset: number): number {
    const s = this.#state;
    switch (offset) {
      case PM1_STS:
        this.#accountTimer();
        return s.pm1Status;
      case PM1_EN:
        return s.pm1Enable;
      case PM1_CNT:
        return s.pm1Control;
      case GPE0_STS:
        return s.gpe0Status;
      case GPE0_EN:
        return s.gpe0Enable;
      default:
        return 0;
    }
  }

  #write(offset: number, bytes: AccessBytes, value: number): void {
    for (let done = 0; done < bytes; ) {
      const register = (offset + done) & ~1;
      const high = ((offset + done) & 1) !== 0;
      if (high || bytes === 1) {
        this.#writeRegister(
          register,
          ((value >>> (8 * done)) & 0xff) << (high ? 8 : 0),
          high ? 0xff00 : 0x00ff,
        );
        done += 1;
      } else {
        this.#writeRegister(register, (value >>> (8 * done)) & 0xffff, 0xffff);
        done += 2;
      }
    }
    this.#update();
  }

  /** `lanes` are the bits that the access reaches. Status bits are cleared by writing 1. */
  #writeRegister(offset: number, value: number, lanes: number): void {
    const s = this.#state;
    switch (offset) {
      case PM1_STS:
        this.#accountTimer();
        s.pm1Status &= ~(value & PM1_STS_CLEARABLE);
        break;
      case PM1_EN:
        s.pm1Enable = ((s.pm1Enable & ~lanes) | value) & PM1_EN_WRITABLE;
        break;
      case PM1_CNT:
        this.#writeControl((s.pm1Control & ~lanes) | value);
        break;
      case GPE0_STS:
        s.gpe0Status &= ~value;
        break;
      case GPE0_EN:
        s.gpe0Enable = (s.gpe0Enable & ~lanes) | value;
        break;
      default:
        break;
    }
  }

  /** SLP_EN and GBL_RLS are write-only. */
  #writeControl(value: number): void {
    this.#state.pm1Control = value & ~(SLP_EN | GBL_RLS);
    if ((value & SLP_EN) !== 0 && ((value >> SLP_TYP_SHIFT) & 7) === SLEEP_TYPE_S5) this.#powerOff();
    else if ((value & SLP_EN) !== 0) this.#state.pm1Status |= WAK_STS; // wakes at once
  }

  #writeSmi(offset: number, value: number): void {
    const s = this.#state;
    if (offset !== 0) {
      s.smiData = value;
      return;
    }
    s.smiCommand = value;
    if (value === ACPI_ENABLE) s.pm1Control |= SCI_EN;
    else if (value === ACPI_DISABLE) s.pm1Control &= ~SCI_EN;
    this.#update();
  }

  #accountTimer(): void {
    const toggles = this.#timerToggles;
    if (toggles > this.#state.timerToggles) this.#state.pm1Status |= TMR_STS;
    this.#state.timerToggles = toggles;
  }

  /** Drives the SCI, and waits for the timer's overflow only if it would interrupt. */
  #update(): void {
    const s = this.#state;
    this.#accountTimer();
    const pm1 = s.pm1Status & s.pm1Enable;
    const pending = pm1 !== 0 || (s.gpe0Status & s.gpe0Enable) !== 0;
    this.#sci.set((s.pm1Control & SCI_EN) !== 0 && pending);
    this.#timer?.cancel();
    this.#timer = undefined;
    if ((s.pm1Enable & ~s.pm1Status & TMR_STS) === 0) return;
    const nextTick = (s.timerToggles + 1) * 2 ** (this.#timerBits - 1);
    this.#timer = this.#clock.schedule(timeOfTickNs(nextTick, PM_TIMER_HZ), () => this.#update());
  }
}
