import { allOnes } from "../../bus/access-count.ts";
import { type InterruptLine, SharedInterruptLine } from "../../bus/interrupt-line.ts";
import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import type { PciFunction } from "./pci-function.ts";

/**
 * Configuration address, one port: the register is four bytes wide, and narrower
 * accesses to the ports after it belong to others (the reset control register).
 */
export const PCI_ADDRESS_PORT = 0xcf8;
/** Configuration data, four ports. */
export const PCI_DATA_PORT = 0xcfc;

const ENABLE = 0x80000000;
const ADDRESS_WRITABLE = 0x80fffffc;
const DEVICES = 32;
const FUNCTIONS = 8;

/** Everything a snapshot must carry. Functions have states of their own. */
export interface PciHostState {
  /** The configuration address register */
  address: number;
}

export const resetState = (): PciHostState => ({ address: 0 });

/** Index of the PIRQ line (0 for A) of a device's pin (1 for INTA#), as 440FX boards wire them; for _PRT. */
export function pirqOf(device: number, pin: number): number {
  return (device - 1 + pin - 1) & 3;
}

/**
 * PCI bus 0 behind configuration mechanism #1. What is not there reads all ones.
 *
 * Source: PCI Local Bus Specification 3.0, section "Software Generation of
 * Configuration Transactions".
 */
export class PciHost {
  readonly address: PortDevice;
  readonly data: PortDevice;
  readonly #functions = new Map<number, PciFunction>();
  readonly #pirqs: readonly SharedInterruptLine[];
  readonly #state: PciHostState;

  /** `pirqs` are the four lines PIRQA# to PIRQD#. */
  constructor(pirqs: readonly InterruptLine[], state: PciHostState = resetState()) {
    if (pirqs.length !== 4) throw new RangeError(`PCI needs four interrupt lines, got ${pirqs.length}`);
    this.#pirqs = pirqs.map((line) => new SharedInterruptLine(line));
    this.#state = state;
    this.address = {
      readPort: (_offset, bytes) => (bytes === 4 ? this.#state.address : allOnes(bytes)),
      writePort: (_offset, bytes, value) => {
        if (bytes === 4) this.#state.address = (value & ADDRESS_WRITABLE) >>> 0;
      },
    };
    this.data = {
      readPort: (offset, bytes) => this.#readData(offset, bytes),
      writePort: (offset, bytes, value) => {
        this.#selected?.writeConfig((this.#state.address & 0xfc) + offset, bytes, value);
      },
    };
  }

  get state(): PciHostState {
    return cloneState(this.#state);
  }

  /** Puts a function on the bus and wires its interrupt pin. */
  add(device: number, functionNumber: number, pciFunction: PciFunction): void {
    if (!(device >= 0 && device < DEVICES && functionNumber >= 0 && functionNumber < FUNCTIONS)) {
      throw new RangeError(`no PCI function ${device}.${functionNumber}: devices are 0..31, functions 0..7`);
    }
    const key = device * FUNCTIONS + functionNumber;
    if (this.#functions.has(key)) throw new RangeError(`PCI function ${device}.${functionNumber} is taken`);
    this.#functions.set(key, pciFunction);
    const first = this.#functions.get(device * FUNCTIONS);
    const others = [...this.#functions.keys()].some((other) => other !== key && other >> 3 === device);
    if (functionNumber > 0 || others) first?.setMultifunction();
    if (pciFunction.interruptPin === 0) return;
    const line = this.#pirqs[pirqOf(device, pciFunction.interruptPin)];
    if (line !== undefined) pciFunction.connect(line.source());
  }

  get #selected(): PciFunction | undefined {
    const { address } = this.#state;
    const bus = (address >>> 16) & 0xff;
    if ((address & ENABLE) === 0 || bus !== 0) return undefined;
    return this.#functions.get((address >>> 8) & 0xff);
  }

  #readData(offset: number, bytes: AccessBytes): number {
    return this.#selected?.readConfig((this.#state.address & 0xfc) + offset, bytes) ?? allOnes(bytes);
  }
}
