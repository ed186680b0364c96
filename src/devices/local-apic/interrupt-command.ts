import { BROADCAST, deliveryModeOf, type InterruptMessage } from "./interrupt-message.ts";
import * as R from "./registers.ts";

/** Whom an interrupt command is for. */
export type Recipients = "destination" | "self" | "all" | "others";

export interface InterruptCommand {
  readonly message: InterruptMessage;
  readonly recipients: Recipients;
}

/** By the destination shorthand, bits 18 and 19. */
const SHORTHANDS: readonly Recipients[] = ["destination", "self", "all", "others"];

/**
 * What the lower half of the interrupt command register asks for (SDM Vol. 3A, "Interrupt Command Register (ICR)").
 *
 * @param destination Counts without a shorthand only.
 * @param toAll The destination that means everybody: 0xff, in x2APIC mode `BROADCAST`.
 */
export function decodeCommand(
  low: number,
  destination: number,
  toAll: number,
): InterruptCommand | "nothing" | "illegal vector" {
  const deliveryMode = deliveryModeOf(low);
  if (deliveryMode === undefined || deliveryMode === "external") return "nothing";
  // INIT de-assert only re-synchronised arbitration IDs of processors long gone.
  if (deliveryMode === "init" && (low & R.ICR_LEVEL) !== 0 && (low & R.ICR_ASSERT) === 0) return "nothing";
  const vector = low & 0xff;
  const usesVector = deliveryMode === "fixed" || deliveryMode === "lowest-priority";
  if (usesVector && vector < 16) return "illegal vector";
  const recipients = SHORTHANDS[(low >>> 18) & 3] as Recipients;
  const isForEverybody = recipients === "all" || destination === toAll;
  const message: InterruptMessage = {
    deliveryMode,
    vector,
    level: false,
    destinationMode: (low & R.ICR_LOGICAL) !== 0 ? "logical" : "physical",
    destination: isForEverybody ? BROADCAST : destination,
  };
  return { message, recipients };
}
