import { BROADCAST, type InterruptMessage } from "./interrupt-message.ts";

/** What a local APIC is addressed by. */
export interface Addressed {
  readonly id: number;
  readonly x2apic: boolean;
  /** LDR and DFR as xAPIC mode has them. */
  readonly logicalDestination: number;
  readonly destinationFormat: number;
}

/** Whether a message is for this APIC (SDM Vol. 3A, "Determining IPI Destination"). */
export function isDestination(apic: Addressed, message: InterruptMessage): boolean {
  const { destination } = message;
  if (destination === BROADCAST) return true;
  if (apic.x2apic) {
    if (message.destinationMode === "physical") return destination === apic.id;
    const own = x2apicLogicalId(apic.id);
    return destination >>> 16 === own >>> 16 && (destination & own & 0xffff) !== 0;
  }
  if (message.destinationMode === "physical") return destination === (apic.id & 0xff);
  const own = apic.logicalDestination >>> 24;
  const isFlat = apic.destinationFormat >>> 28 === 0xf;
  if (isFlat) return (destination & own) !== 0;
  return destination >>> 4 === own >>> 4 && (destination & own & 0xf) !== 0;
}

/** LDR in x2APIC mode: the cluster, and one bit of 16 in it. */
export function x2apicLogicalId(id: number): number {
  return (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0;
}
