import type { PciFunction } from "../devices/pci-host/pci-function.ts";
import { pciInterrupt } from "./interrupt-wiring.ts";

/** The upper part of the window that the ACPI tables announce, above all RAM and below the I/O APIC. */
const FIRST_ADDRESS = 0xe0000000;
const INTERRUPT_LINE = 0x3c;

/** Gives PCI functions what firmware gives them: addresses for their memory ranges, and their interrupt's number. */
export class PciWindow {
  #next = FIRST_ADDRESS;

  place(pciFunction: PciFunction, device: number): void {
    for (const bar of pciFunction.memoryBars) {
      const address = Math.ceil(this.#next / bar.sizeBytes) * bar.sizeBytes;
      pciFunction.placeMemoryBar(bar, address);
      this.#next = address + bar.sizeBytes;
    }
    const pin = pciFunction.interruptPin;
    if (pin > 0) pciFunction.setConfig(INTERRUPT_LINE, [pciInterrupt(device, pin - 1)]);
  }
}
