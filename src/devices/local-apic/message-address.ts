import { BROADCAST, deliveryModeOf, type InterruptMessage } from "./interrupt-message.ts";

const MESSAGE_WINDOW = 0xfee00000;
const MESSAGE_WINDOW_BYTES = 0x100000;

/**
 * The interrupt that a PCI function's write of `data` to `address` means;
 * undefined for another address or a reserved delivery mode.
 *
 * Source: Intel SDM Vol. 3A, "Message Signalled Interrupts": "Message Address
 * Register Format" and "Message Data Register Format".
 */
export function decodeMessage(address: number, data: number): InterruptMessage | undefined {
  if (address < MESSAGE_WINDOW || address >= MESSAGE_WINDOW + MESSAGE_WINDOW_BYTES) return undefined;
  const deliveryMode = deliveryModeOf(data);
  if (deliveryMode === undefined || deliveryMode === "startup") return undefined;
  const destination = (address >>> 12) & 0xff;
  return {
    deliveryMode,
    vector: data & 0xff,
    level: false,
    destinationMode: (address & 4) === 0 ? "physical" : "logical",
    destination: destination === 0xff ? BROADCAST : destination,
  };
}
