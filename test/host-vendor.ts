import { readFileSync } from "node:fs";

/**
 * Who made the host's processor, as CPUID leaf 0 says: "AuthenticAMD", "GenuineIntel"; "" where Linux does not tell.
 * Tests that compare with the processor ask it here.
 */
export const HOST_VENDOR = readVendor();

function readVendor(): string {
  try {
    return /^vendor_id\s*:\s*(\S+)/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}
