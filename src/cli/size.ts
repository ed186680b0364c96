import { UsageError } from "./usage-error.ts";

const UNIT_BYTES: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

export const MINIMUM_MEMORY_BYTES = 32 * 2 ** 20;
export const MAXIMUM_MEMORY_BYTES = 3 * 2 ** 30;

/** Reads a size of guest memory: a number with a unit, such as 512M or 1.5G. */
export function parseMemorySize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG])(?:i?B)?$/i.exec(text.trim());
  if (match === null) {
    throw new UsageError(`--memory ${text}: expected a number with a unit, from 32M to 3G, such as 512M`);
  }
  const sizeBytes = Number(match[1]) * (UNIT_BYTES[(match[2] ?? "").toUpperCase()] ?? 0);
  if (sizeBytes < MINIMUM_MEMORY_BYTES || sizeBytes > MAXIMUM_MEMORY_BYTES) {
    throw new UsageError(`--memory ${text}: a guest can have from 32M to 3G`);
  }
  if (sizeBytes % 4096 !== 0) throw new UsageError(`--memory ${text}: not a whole number of pages of 4K`);
  return sizeBytes;
}

/** Reads how much memory a guest is to give up: 0, or a number with a unit. */
export function parseBalloonSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG])(?:i?B)?$/i.exec(text.trim());
  const sizeBytes = Number(match?.[1]) * (UNIT_BYTES[(match?.[2] ?? "").toUpperCase()] ?? 0);
  if (text.trim() === "0") return 0;
  if (sizeBytes >= 0 && sizeBytes <= MAXIMUM_MEMORY_BYTES) return Math.floor(sizeBytes);
  throw new UsageError(`${text}: expected 0, or a number with a unit up to 3G, such as 256M`);
}
