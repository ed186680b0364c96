/** Takes interrupts that a PCI function signals by a write to memory (MSI, MSI-X). */
export interface MessageInterrupts {
  /** `address` is below 2**53. What is not addressed to an APIC goes nowhere. */
  send(address: number, data: number): void;
}
