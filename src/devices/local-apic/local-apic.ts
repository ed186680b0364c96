// Longer than 300 lines: the registers, what they cause and the acceptance of
// interrupts all work on one state.
import type { Clock } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { MmioDevice } from "../../bus/mmio-bus.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import { ApicTimer } from "./apic-timer.ts";
import { isDestination, x2apicLogicalId } from "./destination.ts";
import { decodeCommand } from "./interrupt-command.ts";
import { BROADCAST, type InterruptFabric, type InterruptMessage } from "./interrupt-message.ts";
import { LocalVectors } from "./local-vectors.ts";
import * as R from "./registers.ts";
import { type LocalApicState, resetRegisters } from "./state.ts";
import { addVector, hasVector, highestVector, removeVector } from "./vector-set.ts";

/** What the local APIC is handed. */
export interface LocalApicConnections {
  readonly clock: Clock;
  /** When the time-stamp counter shows `tsc`, in the clock's nanoseconds. */
  tscToNs(tsc: bigint): number;
  readonly fabric: InterruptFabric;
  /** The INTR signal to the processor. */
  onInterruptPending(pending: boolean): void;
  onNonMaskableInterrupt(): void;
  /** INIT arrived: the processor resets and waits for a startup message. */
  onInit(): void;
  /** A startup message arrived: execution begins at `page << 12`. */
  onStartup(page: number): void;
  /** The acknowledge cycle of the interrupt controller behind LINT0: a vector. */
  acknowledgeExternal(): number;
}

/** Version 0x14 with six LVT entries and no suppression of EOI broadcasts. */
const VERSION_VALUE = 0x00050014;

/**
 * The local APIC of one processor, in xAPIC and x2APIC mode.
 *
 * INTR is recomputed with every change, so an acknowledge cycle always finds
 * what it was raised for and the spurious vector is never delivered. Not
 * modelled: level-triggered LINT inputs in fixed mode (taken as edges), SMI,
 * thermal events (their LVT entry only stores), focus processor checking.
 *
 * Source: Intel SDM Vol. 3A, "Advanced Programmable Interrupt Controller (APIC)".
 */
export class LocalApic implements MmioDevice {
  readonly #to: LocalApicConnections;
  readonly #state: LocalApicState;
  readonly #vectors = new LocalVectors(() => this.#state.localVectors);
  #timer: ApicTimer;
  #interruptPending = false;

  constructor(connections: LocalApicConnections, state: LocalApicState) {
    this.#to = connections;
    this.#state = state;
    this.#timer = this.#newTimer();
    this.#updatePending();
  }

  get state(): LocalApicState {
    return cloneState(this.#state);
  }

  get id(): number {
    return this.#state.id;
  }

  /** IA32_APIC_BASE. */
  get apicBase(): number {
    return this.#state.apicBase;
  }

  get enabled(): boolean {
    return (this.#state.apicBase & R.APIC_BASE_ENABLED) !== 0;
  }

  get x2apic(): boolean {
    return (this.#state.apicBase & R.APIC_BASE_X2APIC) !== 0;
  }

  /** Base of the register page, or -1 when no page is decoded (disabled, or x2APIC mode). */
  get pageAddress(): number {
    return this.enabled && !this.x2apic ? (this.#state.apicBase & 0xfffff000) >>> 0 : -1;
  }

  get timer(): ApicTimer {
    return this.#timer;
  }

  /** LINT0: on a PC the INTR output of the 8259 pair. */
  readonly lint0: InterruptLine = { set: (asserted) => this.#setLint0(asserted) };

  /** LINT1: on a PC the NMI signal. */
  readonly lint1: InterruptLine = { set: (asserted) => this.#setLint1(asserted) };

  /**
   * Moves to the mode `base` asks for and returns whether that is a legal
   * transition (SDM Vol. 3A, "x2APIC State Transitions"). An illegal one
   * changes nothing. The caller has checked the reserved bits.
   */
  setApicBase(base: number): boolean {
    const enable = (base & R.APIC_BASE_ENABLED) !== 0;
    const extend = (base & R.APIC_BASE_X2APIC) !== 0;
    if (extend && !enable) return false;
    if (extend && !this.enabled) return false;
    if (this.x2apic && enable && !extend) return false;
    const wasEnabled = this.enabled;
    this.#state.apicBase = base >>> 0;
    if (wasEnabled && !enable) this.#resetRegisters();
    this.#updatePending();
    return true;
  }

  /** INIT: registers as after power-up; the ID and IA32_APIC_BASE stay. */
  init(): void {
    this.#resetRegisters();
    this.#updatePending();
  }

  /** Leaves what firmware leaves behind: the 8259 pair reaches the processor through LINT0, NMI through LINT1. */
  enterVirtualWireMode(): void {
    this.writeRegister(R.SVR, R.SVR_ENABLED | 0xff);
    this.writeRegister(R.LVT_LINT0, 0x700);
    this.writeRegister(R.LVT_LINT1, 0x400);
  }

  // The processor's side.

  /** The vector that the next acknowledge cycle would deliver from IRR, or -1. External interrupts do not show here. */
  pendingVector(): number {
    if (!this.enabled) return -1;
    const vector = highestVector(this.#state.requested);
    return vector >= 0 && vector >> 4 > this.processorPriority >> 4 ? vector : -1;
  }

  /** Moves the highest deliverable vector into service and returns it; -1 when there is none. */
  acknowledge(): number {
    const s = this.#state;
    if (this.#externalPending) {
      s.externalRequested = false;
      const vector = this.#to.acknowledgeExternal();
      this.#updatePending();
      return vector;
    }
    const vector = this.pendingVector();
    if (vector >= 0) {
      removeVector(s.requested, vector);
      addVector(s.inService, vector);
    }
    this.#updatePending();
    return vector;
  }

  /** CR8: the upper half of TPR. */
  get taskPriorityClass(): number {
    return this.#state.taskPriority >> 4;
  }

  set taskPriorityClass(priority: number) {
    this.#state.taskPriority = (priority & 15) << 4;
    this.#updatePending();
  }

  /** PPR. */
  get processorPriority(): number {
    const task = this.#state.taskPriority;
    const serviced = Math.max(0, highestVector(this.#state.inService));
    return task >> 4 >= serviced >> 4 ? task : serviced & 0xf0;
  }

  // The fabric's side.

  isAddressedBy(message: InterruptMessage): boolean {
    const { id, logicalDestination, destinationFormat } = this.#state;
    const addressed = { id, x2apic: this.x2apic, logicalDestination, destinationFormat };
    return this.enabled && isDestination(addressed, message);
  }

  accept(message: InterruptMessage): void {
    switch (message.deliveryMode) {
      case "fixed":
      case "lowest-priority":
        this.#request(message.vector, message.level);
        break;
      case "nmi":
        this.#to.onNonMaskableInterrupt();
        break;
      case "external":
        this.#state.externalRequested = true;
        this.#updatePending();
        break;
      case "init":
        this.init();
        this.#to.onInit();
        break;
      case "startup":
        this.#to.onStartup(message.vector);
        break;
      case "smi":
        break;
    }
  }

  // Registers.

  readMemory(offset: number, bytes: AccessBytes): number {
    // Only aligned 32-bit accesses are defined; the bytes of the 16-byte slot behind them read as 0.
    if ((offset & 0xf) + bytes > 4) return 0;
    const value = this.readRegister(offset & 0xff0) >>> ((offset & 3) * 8);
    return bytes === 4 ? value : value & ((1 << (bytes * 8)) - 1);
  }

  writeMemory(offset: number, bytes: AccessBytes, value: number): void {
    if (bytes !== 4 || (offset & 0xf) !== 0) return;
    if (offset === R.ID || offset === R.SELF_IPI) return;
    this.writeRegister(offset, value);
  }

  /** Reads the register at `offset`, a multiple of 16. One that does not exist reads as 0 and sets an error. */
  readRegister(offset: number): number {
    const s = this.#state;
    if (offset >= R.ISR && offset < R.TMR) return s.inService[(offset - R.ISR) >> 4] ?? 0;
    if (offset >= R.TMR && offset < R.IRR) return s.triggerMode[(offset - R.TMR) >> 4] ?? 0;
    if (offset >= R.IRR && offset < R.ESR) return s.requested[(offset - R.IRR) >> 4] ?? 0;
    if (this.#vectors.has(offset)) return this.#vectors.read(offset);
    switch (offset) {
      case R.ID:
        return this.x2apic ? s.id : (s.id << 24) >>> 0;
      case R.VERSION:
        return VERSION_VALUE;
      case R.TPR:
        return s.taskPriority;
      case R.APR:
      case R.PPR:
        return this.processorPriority;
      case R.EOI:
      case R.RRD:
        return 0;
      case R.LDR:
        return this.x2apic ? x2apicLogicalId(s.id) : s.logicalDestination;
      case R.DFR:
        return s.destinationFormat;
      case R.SVR:
        return s.spuriousVector;
      case R.ESR:
        return s.errorStatus;
      case R.ICR_LOW:
        return s.interruptCommandLow;
      case R.ICR_HIGH:
        return s.interruptCommandHigh;
      case R.INITIAL_COUNT:
        return this.#timer.initialCount;
      case R.CURRENT_COUNT:
        return this.#timer.currentCount;
      case R.DIVIDE_CONFIGURATION:
        return this.#timer.divideConfiguration;
      default:
        this.#error(R.ESR_ILLEGAL_REGISTER);
        return 0;
    }
  }

  /** Writes the register at `offset`, a multiple of 16. Read-only registers ignore it. */
  writeRegister(offset: number, value: number): void {
    const s = this.#state;
    if (this.#vectors.has(offset)) {
      this.#writeLocalVector(offset, value);
      return;
    }
    switch (offset) {
      case R.TPR:
        s.taskPriority = value & 0xff;
        break;
      case R.EOI:
        this.#endOfInterrupt();
        break;
      case R.LDR:
        s.logicalDestination = (value & 0xff000000) >>> 0;
        break;
      case R.DFR:
        s.destinationFormat = (value | 0x0fffffff) >>> 0;
        break;
      case R.SVR:
        s.spuriousVector = value & 0x3ff;
        if ((value & R.SVR_ENABLED) === 0) this.#vectors.maskAll();
        break;
      case R.ESR:
        s.errorStatus = s.errorsSince;
        s.errorsSince = 0;
        break;
      case R.ICR_LOW:
        this.sendCommand(value, this.x2apic ? s.interruptCommandHigh : s.interruptCommandHigh >>> 24);
        break;
      case R.ICR_HIGH:
        s.interruptCommandHigh = (value & 0xff000000) >>> 0;
        break;
      case R.INITIAL_COUNT:
        this.#timer.setInitialCount(value >>> 0);
        break;
      case R.DIVIDE_CONFIGURATION:
        this.#timer.setDivideConfiguration(value);
        break;
      case R.SELF_IPI:
        this.#sendFixedToSelf(value & 0xff);
        break;
      case R.VERSION:
      case R.APR:
      case R.PPR:
      case R.RRD:
      case R.CURRENT_COUNT:
        break;
      default:
        if (offset < R.ISR || offset >= R.ESR) this.#error(R.ESR_ILLEGAL_REGISTER);
        break;
    }
    this.#updatePending();
  }

  /** The x2APIC's ICR: `destination` is all of its upper half. */
  writeCommand64(low: number, destination: number): void {
    this.#state.interruptCommandHigh = destination >>> 0;
    this.sendCommand(low, destination >>> 0);
  }

  /** Sends what the interrupt command register asks for. `destination` counts without a shorthand only. */
  sendCommand(low: number, destination: number): void {
    const s = this.#state;
    s.interruptCommandLow = low & R.ICR_WRITABLE;
    const command = decodeCommand(low, destination, this.x2apic ? BROADCAST : 0xff);
    if (command === "nothing") return;
    if (command === "illegal vector") {
      this.#error(R.ESR_SEND_ILLEGAL_VECTOR);
      return;
    }
    const { message, recipients } = command;
    if (recipients === "self") this.accept(message);
    else if (recipients === "others") this.#to.fabric.sendToOthers(s.id, message);
    else this.#to.fabric.send(message);
  }

  get #softwareEnabled(): boolean {
    return (this.#state.spuriousVector & R.SVR_ENABLED) !== 0;
  }

  /** With the APIC disabled LINT0 is the processor's INTR pin. */
  get #externalPending(): boolean {
    const s = this.#state;
    if (s.externalRequested) return true;
    if (!s.lint0) return false;
    return !this.enabled || this.#vectors.passesExternal;
  }

  /** A performance counter asks for its interrupt, which masks its own entry. */
  performanceEvent(): void {
    if (!this.enabled) return;
    this.#localEvent(R.LVT_PERFORMANCE);
    this.#vectors.mask(R.LVT_PERFORMANCE);
  }

  #setLint0(asserted: boolean): void {
    const s = this.#state;
    if (asserted === s.lint0) return;
    s.lint0 = asserted;
    if (asserted && this.enabled) this.#localEvent(R.LVT_LINT0);
    this.#updatePending();
  }

  #setLint1(asserted: boolean): void {
    const s = this.#state;
    if (asserted === s.lint1) return;
    s.lint1 = asserted;
    if (!asserted) return;
    if (this.enabled) this.#localEvent(R.LVT_LINT1);
    else this.#to.onNonMaskableInterrupt();
  }

  /** An edge at the source of a local vector. ExtINT is a level and shows in `#externalPending`. */
  #localEvent(offset: number): void {
    const event = this.#vectors.event(offset);
    if (event.kind === "interrupt") this.#request(event.vector, false);
    else if (event.kind === "nmi") this.#to.onNonMaskableInterrupt();
  }

  #request(vector: number, level: boolean): void {
    const s = this.#state;
    if (vector < 16) {
      this.#error(R.ESR_RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    if (!this.enabled || !this.#softwareEnabled) return;
    addVector(s.requested, vector);
    if (level) addVector(s.triggerMode, vector);
    else removeVector(s.triggerMode, vector);
    this.#updatePending();
  }

  #sendFixedToSelf(vector: number): void {
    if (vector < 16) this.#error(R.ESR_SEND_ILLEGAL_VECTOR);
    else this.#request(vector, false);
  }

  #endOfInterrupt(): void {
    const s = this.#state;
    const vector = highestVector(s.inService);
    if (vector < 0) return;
    removeVector(s.inService, vector);
    if (hasVector(s.triggerMode, vector)) this.#to.fabric.endOfInterrupt(vector);
  }

  #writeLocalVector(offset: number, value: number): void {
    this.#vectors.write(offset, value, this.#softwareEnabled);
    if (offset === R.LVT_TIMER) {
      const mode = value & R.LVT_TIMER_MODE;
      if (mode === R.LVT_TIMER_TSC_DEADLINE) this.#timer.setMode("tsc-deadline");
      else this.#timer.setMode(mode === R.LVT_TIMER_PERIODIC ? "periodic" : "one-shot");
    }
    this.#updatePending();
  }

  /** The error interrupt is raised when a bit becomes set that was not. */
  #error(bit: number): void {
    const s = this.#state;
    if ((s.errorsSince & bit) !== 0) return;
    s.errorsSince |= bit;
    // An illegal vector in the error LVT itself would otherwise report itself.
    if ((this.#vectors.read(R.LVT_ERROR) & 0xff) >= 16) this.#localEvent(R.LVT_ERROR);
  }

  #resetRegisters(): void {
    this.#timer.stop();
    Object.assign(this.#state, resetRegisters());
    this.#timer = this.#newTimer();
  }

  #newTimer(): ApicTimer {
    const { clock } = this.#to;
    const tscToNs = (tsc: bigint) => this.#to.tscToNs(tsc);
    return new ApicTimer(clock, tscToNs, () => this.#localEvent(R.LVT_TIMER), this.#state.timer);
  }

  #updatePending(): void {
    const pending = this.#externalPending || this.pendingVector() >= 0;
    if (pending === this.#interruptPending) return;
    this.#interruptPending = pending;
    this.#to.onInterruptPending(pending);
  }
}
