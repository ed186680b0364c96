/** What an interrupt message asks of the processors that take it (SDM Vol. 3A, "Interrupt Command Register"). */
export type DeliveryMode = "fixed" | "lowest-priority" | "smi" | "nmi" | "init" | "startup" | "external";

/** To every processor, whichever the destination mode and the width of its APIC ID. */
export const BROADCAST = 0xffffffff;

/** An interrupt on its way from an I/O APIC, a PCI device or a processor to processors. */
export interface InterruptMessage {
  readonly deliveryMode: DeliveryMode;
  /** 0..255; the start page of a startup message; without meaning for NMI, SMI, INIT and external. */
  readonly vector: number;
  /** Level-triggered: its end is broadcast to the I/O APICs. */
  readonly level: boolean;
  readonly destinationMode: "physical" | "logical";
  /** An APIC ID or a set of logical IDs, or `BROADCAST`. */
  readonly destination: number;
}

/** Carries interrupt messages between I/O APICs and local APICs. */
export interface InterruptFabric {
  /** Returns false when no processor took the message. */
  send(message: InterruptMessage): boolean;
  /** A message to every local APIC but the sender, as the shorthand of the interrupt command register wants. */
  sendToOthers(senderId: number, message: InterruptMessage): void;
  /** A processor finished a level-triggered interrupt. */
  endOfInterrupt(vector: number): void;
}

/** Delivery modes by their encoding in the ICR, the LVT and the redirection table; 3 is reserved. */
const DELIVERY_MODES: readonly (DeliveryMode | undefined)[] = [
  "fixed",
  "lowest-priority",
  "smi",
  undefined,
  "nmi",
  "init",
  "startup",
  "external",
];

/** Decodes bits 8..10 of `register`. */
export function deliveryModeOf(register: number): DeliveryMode | undefined {
  return DELIVERY_MODES[(register >>> 8) & 7];
}
