/** Six bytes. */
export type MacAddress = Uint8Array;

export const BROADCAST_MAC: MacAddress = new Uint8Array(6).fill(0xff);

/** Reads "52:54:00:12:34:56"; undefined for anything else, and for an address that no single station can have. */
export function parseMac(text: string): MacAddress | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const mac = Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
  return isMulticastMac(mac) || mac.every((byte) => byte === 0) ? undefined : mac;
}

export function formatMac(mac: MacAddress): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** True for multicast and broadcast addresses. */
export function isMulticastMac(mac: MacAddress): boolean {
  return (mac[0]! & 1) !== 0;
}

/** What a Map can have as its key. */
export function macKey(mac: MacAddress): string {
  return String.fromCharCode(mac[0]!, mac[1]!, mac[2]!, mac[3]!, mac[4]!, mac[5]!);
}
