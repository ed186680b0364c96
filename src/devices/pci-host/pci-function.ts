import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";

// Configuration header ("Configuration Space Header", type 0).
const COMMAND = 0x04;
const STATUS = 0x06;
const CACHE_LINE_SIZE = 0x0c;
const LATENCY_TIMER = 0x0d;
const HEADER_TYPE = 0x0e;
const FIRST_BAR = 0x10;
const SUBSYSTEM = 0x2c;
const CAPABILITIES_POINTER = 0x34;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;
const FIRST_CAPABILITY = 0x40;
const CONFIG_BYTES = 256;

const COMMAND_IO = 1 << 0;
const COMMAND_MEMORY = 1 << 1;
const COMMAND_BUS_MASTER = 1 << 2;
const COMMAND_INTERRUPT_DISABLE = 1 << 10;
/** Besides those: parity error response and SERR# enable, which are only stored. */
const COMMAND_WRITABLE = 0x0547;
const STATUS_INTERRUPT = 1 << 3;
const STATUS_CAPABILITIES = 1 << 4;
const MULTIFUNCTION = 0x80;

const BAR_IO = 0b0001;
const BAR_64_BIT = 0b0100;
const BAR_PREFETCHABLE = 0b1000;

/** What a base address register asks for. A 64-bit one takes two slots. */
export interface PciBar {
  readonly index: number;
  readonly kind: "io" | "memory" | "memory64";
  /** A power of two; at least 4 for I/O, 16 for memory */
  readonly sizeBytes: number;
  readonly prefetchable?: boolean;
  /** Called when the range appears, moves or goes away (undefined), by the BAR and the command register. */
  mapped(address: number | undefined): void;
}

export interface PciCapability {
  readonly id: number;
  /** What follows the id and the pointer to the next */
  readonly body: readonly number[];
  /** Which bits of `body` the guest may write; none if absent */
  readonly writable?: readonly number[];
}

export interface PciDescription {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revision?: number;
  /** Base class, subclass and programming interface, as 0xbbsspp */
  readonly classCode: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** 1 for INTA# to 4 for INTD#; 0 or absent: no interrupt pin */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  readonly bars?: readonly PciBar[];
  readonly capabilities?: readonly PciCapability[];
  /** Device-specific registers: offset, initial bytes and which of their bits the guest may write */
  readonly registers?: readonly { offset: number; bytes: readonly number[]; writable?: readonly number[] }[];
  /** Asked for each register that the guest reads, before the bytes kept here; undefined: those count. */
  readonly configRead?: (offset: number, bytes: AccessBytes) => number | undefined;
  /** Called after the guest has written to `offset .. offset + bytes - 1`. */
  readonly configWritten?: (offset: number, bytes: AccessBytes) => void;
}

/** Everything a snapshot must carry. */
export interface PciFunctionState {
  config: Uint8Array;
  /** The function asserts its interrupt, whether or not it is let through */
  interrupting: boolean;
}

/**
 * One function on the PCI bus: its configuration space and interrupt pin.
 *
 * Source: PCI Local Bus Specification 3.0, chapter 6, "Configuration Space".
 */
export class PciFunction {
  /** The function's end of its interrupt pin. */
  readonly interrupt: InterruptLine;
  readonly #description: PciDescription;
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #capabilityOffsets: number[] = [];
  readonly #mappings = new Map<number, number>();
  readonly #state: PciFunctionState;
  #pin: InterruptLine | undefined;

  /** With a `state`, ranges that were mapped are announced at once. */
  constructor(description: PciDescription, state?: PciFunctionState) {
    this.#description = description;
    const config = this.#layOut();
    this.#state = state ?? { config, interrupting: false };
    this.interrupt = {
      set: (asserted) => {
        this.#state.interrupting = asserted;
        this.#updateInterrupt();
      },
    };
    this.#updateMappings();
  }

  get state(): PciFunctionState {
    return cloneState(this.#state);
  }

  /** What the guest reads. */
  readConfig(offset: number, bytes: AccessBytes): number {
    return this.#description.configRead?.(offset, bytes) ?? this.stored(offset, bytes);
  }

  /** The bytes kept in configuration space, whatever the guest would read. */
  stored(offset: number, bytes: AccessBytes): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += (this.#state.config[offset + i] ?? 0xff) * 2 ** (8 * i);
    return value;
  }

  writeConfig(offset: number, bytes: AccessBytes, value: number): void {
    const { config } = this.#state;
    for (let i = 0; i < bytes; i++) {
      const mask = this.#writable[offset + i] ?? 0;
      config[offset + i] = ((config[offset + i] ?? 0) & ~mask) | ((value >>> (8 * i)) & mask);
    }
    if (offset < CAPABILITIES_POINTER) {
      this.#updateMappings();
      this.#updateInterrupt();
    }
    this.#description.configWritten?.(offset, bytes);
  }

  /** Changes configuration bytes that the guest may only read. */
  setConfig(offset: number, values: readonly number[]): void {
    this.#state.config.set(values, offset);
  }

  /** Where capability number `index` of the description begins. */
  capabilityOffset(index: number): number {
    const offset = this.#capabilityOffsets[index];
    if (offset === undefined) throw new RangeError(`the function has no capability number ${index}`);
    return offset;
  }

  /** For firmware: the memory ranges that want addresses. */
  get memoryBars(): readonly PciBar[] {
    return (this.#description.bars ?? []).filter((bar) => bar.kind !== "io");
  }

  /** For firmware: gives a memory range its address and switches memory decoding on. */
  placeMemoryBar(bar: PciBar, address: number): void {
    const offset = FIRST_BAR + 4 * bar.index;
    this.writeConfig(offset, 4, address % 2 ** 32);
    if (bar.kind === "memory64") this.writeConfig(offset + 4, 4, Math.floor(address / 2 ** 32));
    this.writeConfig(COMMAND, 2, this.stored(COMMAND, 2) | COMMAND_MEMORY);
  }

  /** 1 for INTA# to 4 for INTD#, 0 for none. */
  get interruptPin(): number {
    return this.#description.interruptPin ?? 0;
  }

  /** The guest lets the function read and write memory. */
  get busMaster(): boolean {
    return (this.stored(COMMAND, 2) & COMMAND_BUS_MASTER) !== 0;
  }

  /** For the bus: wires the interrupt pin. */
  connect(pin: InterruptLine): void {
    this.#pin = pin;
    this.#updateInterrupt();
  }

  /** For the bus: shows in the header that the device has further functions. */
  setMultifunction(): void {
    this.#state.config[HEADER_TYPE] = (this.#state.config[HEADER_TYPE] ?? 0) | MULTIFUNCTION;
  }

  /** Builds the initial configuration space and the masks of what is writable. */
  #layOut(): Uint8Array {
    const d = this.#description;
    const config = new Uint8Array(CONFIG_BYTES);
    const view = new DataView(config.buffer);
    const masks = new DataView(this.#writable.buffer);
    view.setUint16(0x00, d.vendorId, true);
    view.setUint16(0x02, d.deviceId, true);
    view.setUint32(0x08, ((d.classCode << 8) | (d.revision ?? 0)) >>> 0, true);
    view.setUint16(SUBSYSTEM, d.subsystemVendorId ?? 0, true);
    view.setUint16(SUBSYSTEM + 2, d.subsystemId ?? 0, true);
    config[INTERRUPT_PIN] = d.interruptPin ?? 0;
    masks.setUint16(COMMAND, COMMAND_WRITABLE, true);
    this.#writable.fill(0xff, CACHE_LINE_SIZE, LATENCY_TIMER + 1);
    this.#writable[INTERRUPT_LINE] = 0xff;
    for (const bar of d.bars ?? []) this.#layOutBar(bar, view, masks);
    for (const { offset, bytes, writable } of d.registers ?? []) {
      config.set(bytes, offset);
      this.#writable.set(writable ?? [], offset);
    }
    this.#layOutCapabilities(config);
    return config;
  }

  /** "Base Addresses": the low bits tell the kind, and address bits below the size are fixed at 0. */
  #layOutBar(bar: PciBar, view: DataView, masks: DataView): void {
    const smallest = bar.kind === "io" ? 4 : 16;
    if (bar.sizeBytes < smallest || !Number.isInteger(Math.log2(bar.sizeBytes))) {
      throw new RangeError(
        `BAR ${bar.index} has ${bar.sizeBytes} bytes, want a power of two from ${smallest}`,
      );
    }
    const offset = FIRST_BAR + 4 * bar.index;
    const kind = bar.kind === "io" ? BAR_IO : bar.kind === "memory64" ? BAR_64_BIT : 0;
    view.setUint32(offset, kind | (bar.prefetchable === true ? BAR_PREFETCHABLE : 0), true);
    const mask = (1n << 64n) - BigInt(bar.sizeBytes);
    masks.setUint32(offset, Number(mask & 0xffffffffn), true);
    if (bar.kind === "memory64") masks.setUint32(offset + 4, Number(mask >> 32n), true);
  }

  /** "Capabilities List": each starts at a multiple of 4 and points to the next. */
  #layOutCapabilities(config: Uint8Array): void {
    let link = CAPABILITIES_POINTER;
    let offset = FIRST_CAPABILITY;
    for (const { id, body, writable } of this.#description.capabilities ?? []) {
      if (offset + 2 + body.length > CONFIG_BYTES)
        throw new RangeError("capabilities exceed configuration space");
      config[STATUS] = (config[STATUS] ?? 0) | STATUS_CAPABILITIES;
      config[link] = offset;
      config.set([id, 0, ...body], offset);
      this.#writable.set(writable ?? [], offset + 2);
      this.#capabilityOffsets.push(offset);
      link = offset + 1;
      offset = (offset + 2 + body.length + 3) & ~3;
    }
  }

  /** Tells the BARs' owners what has changed; ranges that go away first, to make room for others. */
  #updateMappings(): void {
    const bars = this.#description.bars ?? [];
    const changed = bars
      .map((bar) => ({ bar, address: this.#mappedAddress(bar) }))
      .filter(({ bar, address }) => address !== this.#mappings.get(bar.index));
    const gone = changed.filter(({ address }) => address === undefined);
    const present = changed.filter(({ address }) => address !== undefined);
    for (const { bar, address } of [...gone, ...present]) {
      if (address === undefined) this.#mappings.delete(bar.index);
      else this.#mappings.set(bar.index, address);
      bar.mapped(address);
    }
  }

  /** Address 0, and the all ones of a guest that finds out the size, count as not mapped. */
  #mappedAddress(bar: PciBar): number | undefined {
    const command = this.stored(COMMAND, 2);
    if ((command & (bar.kind === "io" ? COMMAND_IO : COMMAND_MEMORY)) === 0) return undefined;
    const offset = FIRST_BAR + 4 * bar.index;
    const low = this.stored(offset, 4);
    const high = bar.kind === "memory64" ? this.stored(offset + 4, 4) : 0;
    const address = high * 2 ** 32 + low - (low & (bar.kind === "io" ? 3 : 15));
    const limit = bar.kind === "io" ? 0x10000 : bar.kind === "memory" ? 2 ** 32 : 2 ** 52;
    return address === 0 || address + bar.sizeBytes >= limit ? undefined : address;
  }

  #updateInterrupt(): void {
    const { config, interrupting } = this.#state;
    const status = config[STATUS] ?? 0;
    config[STATUS] = interrupting ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT;
    this.#pin?.set(interrupting && (this.stored(COMMAND, 2) & COMMAND_INTERRUPT_DISABLE) === 0);
  }
}
