// CPUID and RDRAND, whose answers come from the machine.
// SDM 2 "CPUID—CPU Identification", "RDRAND—Read Random Number".
import { STATUS_OK } from "../../layout/cpu-state";
import { cpuid, random } from "../host";

/** CPUID: the host reads EAX and ECX of the state and writes all four registers there. */
export function identify(): i32 {
  cpuid();
  return STATUS_OK;
}

/** RDRAND: 16, 32 or 64 random bits, zero-extended. Never fails: the caller sets CF and clears the other status flags. */
export function rdrand(bits: i32): i64 {
  const value = random();
  return bits == 64 ? value : value & ((<i64>1 << <i64>bits) - 1);
}
