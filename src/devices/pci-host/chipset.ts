// The functions of a 440FX and PIIX chipset that a guest expects to find.
// They identify themselves and keep what firmware and kernels write.
// Sources: Intel 82441FX (PMC), 82371SB (PIIX3) and 82371AB (PIIX4) datasheets.

import type { InterruptLine } from "../../bus/interrupt-line.ts";
import { SharedInterruptLine } from "../../bus/interrupt-line.ts";
import { PciFunction, type PciFunctionState } from "./pci-function.ts";

const INTEL = 0x8086;
/** Subsystem identity of virtual machines' chipsets, as guests know it. */
const SUBSYSTEM = { subsystemVendorId: 0x1af4, subsystemId: 0x1100 } as const;

/** Device and function numbers on bus 0. */
export const HOST_BRIDGE_SLOT = { device: 0, function: 0 } as const;
export const ISA_BRIDGE_SLOT = { device: 1, function: 0 } as const;
export const ACPI_FUNCTION_SLOT = { device: 1, function: 3 } as const;

/** PAM0 to PAM6: whether 0xc0000..0xfffff is shadow RAM or ROM ("Programmable Attribute Map"). */
export const PAM_OFFSET = 0x59;
export const PAM_BYTES = 7;
const SMRAM_OFFSET = 0x72;

/** 00:00.0. `pamChanged` gets PAM0 to PAM6. */
export function createHostBridge(
  pamChanged?: (pam: readonly number[]) => void,
  state?: PciFunctionState,
): PciFunction {
  const bridge: PciFunction = new PciFunction(
    {
      vendorId: INTEL,
      deviceId: 0x1237,
      revision: 0x02,
      classCode: 0x060000,
      ...SUBSYSTEM,
      registers: [
        {
          offset: PAM_OFFSET,
          bytes: new Array<number>(PAM_BYTES).fill(0),
          writable: new Array<number>(PAM_BYTES).fill(0x33),
        },
        { offset: SMRAM_OFFSET, bytes: [0x02], writable: [0x78] },
      ],
      configWritten: (offset, bytes) => {
        if (offset + bytes <= PAM_OFFSET || offset >= PAM_OFFSET + PAM_BYTES) return;
        pamChanged?.(
          Array.from({ length: PAM_BYTES }, (_, index) => bridge.readConfig(PAM_OFFSET + index, 1)),
        );
      },
    },
    state,
  );
  return bridge;
}

/** PIRQRC[A:D] of the ISA bridge ("PIRQRC[A:D]: PIRQx Route Control Registers"). */
const PIRQ_ROUTE_OFFSET = 0x60;
const ROUTE_DISABLED = 0x80;
/** Interrupts to which a PIRQ can be routed: 3 to 7, 9 to 12, 14, 15. */
const ROUTABLE = 0b1101_1110_1111_1000;

/** Routes the four PIRQ lines to ISA interrupts as the ISA bridge's registers say. */
export class PirqRouter {
  /** PIRQA# to PIRQD#, for PciHost. */
  readonly pirqs: readonly InterruptLine[];
  readonly #sources: readonly (readonly InterruptLine[])[];
  readonly #levels = [false, false, false, false];
  readonly #routes = [ROUTE_DISABLED, ROUTE_DISABLED, ROUTE_DISABLED, ROUTE_DISABLED];

  /** `isaInterrupts` are the 16 ISA lines; those not routable are never driven. */
  constructor(isaInterrupts: readonly InterruptLine[]) {
    const shared = isaInterrupts.map((line) => new SharedInterruptLine(line));
    this.#sources = this.#levels.map(() => shared.map((line) => line.source()));
    this.pirqs = this.#levels.map((_, index) => ({
      set: (asserted: boolean) => this.#drive(index, asserted),
    }));
  }

  /** For the ISA bridge: takes over PIRQRC[A:D]. */
  route(registers: readonly number[]): void {
    for (const [index, register] of registers.entries()) {
      const level = this.#levels[index] ?? false;
      this.#drive(index, false);
      this.#routes[index] = register;
      this.#drive(index, level);
    }
  }

  #drive(index: number, asserted: boolean): void {
    this.#levels[index] = asserted;
    const route = this.#routes[index] ?? ROUTE_DISABLED;
    if ((route & ROUTE_DISABLED) !== 0 || (ROUTABLE & (1 << (route & 15))) === 0) return;
    this.#sources[index]?.[route & 15]?.set(asserted);
  }
}

/** 00:01.0. */
export function createIsaBridge(router?: PirqRouter, state?: PciFunctionState): PciFunction {
  const readRoutes = (): number[] =>
    [0, 1, 2, 3].map((index) => bridge.readConfig(PIRQ_ROUTE_OFFSET + index, 1));
  const bridge: PciFunction = new PciFunction(
    {
      vendorId: INTEL,
      deviceId: 0x7000,
      classCode: 0x060100,
      ...SUBSYSTEM,
      registers: [
        { offset: 0x4c, bytes: [0x4d, 0x00, 0x03, 0x00], writable: [0x7f, 0, 0xff, 0x01] }, // IORT, XBCS
        {
          offset: PIRQ_ROUTE_OFFSET,
          bytes: [ROUTE_DISABLED, ROUTE_DISABLED, ROUTE_DISABLED, ROUTE_DISABLED],
          writable: [0x8f, 0x8f, 0x8f, 0x8f],
        },
        { offset: 0x69, bytes: [0x02], writable: [0xfe] }, // TOM
      ],
      configWritten: (offset, bytes) => {
        if (offset < PIRQ_ROUTE_OFFSET + 4 && offset + bytes > PIRQ_ROUTE_OFFSET) router?.route(readRoutes());
      },
    },
    state,
  );
  router?.route(readRoutes());
  return bridge;
}

/** PMBA: base of the power management ports ("Power Management Base Address"); PMREGMISC enables them. */
const PMBA_OFFSET = 0x40;
const PMREGMISC_OFFSET = 0x80;

/**
 * 00:01.3. The power management ports start out enabled at `portBase`, as
 * firmware leaves them; `portsMoved` gets their base, or undefined when they are off.
 */
export function createAcpiFunction(
  portBase: number,
  portsMoved?: (portBase: number | undefined) => void,
  state?: PciFunctionState,
): PciFunction {
  const acpi: PciFunction = new PciFunction(
    {
      vendorId: INTEL,
      deviceId: 0x7113,
      revision: 0x03,
      classCode: 0x068000,
      ...SUBSYSTEM,
      interruptPin: 1,
      registers: [
        { offset: PMBA_OFFSET, bytes: [(portBase & 0xc0) | 1, portBase >> 8, 0, 0], writable: [0xc0, 0xff] },
        { offset: PMREGMISC_OFFSET, bytes: [0x01], writable: [0x01] },
      ],
      configWritten: (offset, bytes) => {
        const touches = (first: number, size: number): boolean =>
          offset < first + size && offset + bytes > first;
        if (touches(PMBA_OFFSET, 4) || touches(PMREGMISC_OFFSET, 1)) portsMoved?.(powerPortBase(acpi));
      },
    },
    state,
  );
  // SCI's line; PIIX4 has it hardwired ("Interrupt Line Register").
  if (state === undefined) acpi.setConfig(0x3c, [9]);
  return acpi;
}

/** Where the ACPI function has its power management ports; undefined when they are off. */
export function powerPortBase(acpi: PciFunction): number | undefined {
  const enabled = (acpi.readConfig(PMREGMISC_OFFSET, 1) & 1) !== 0;
  return enabled ? acpi.readConfig(PMBA_OFFSET, 2) & 0xffc0 : undefined;
}
