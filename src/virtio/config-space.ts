import type { AccessBytes } from "../bus/port-bus.ts";

/** Reads a little-endian value out of a device's configuration space; 0 behind its end. */
export function readConfigBytes(config: Uint8Array, offset: number, bytes: AccessBytes): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value += (config[offset + i] ?? 0) * 2 ** (8 * i);
  return value;
}
