// Call gates. SDM 3A "Call Gates", "Stack Switching", "Call Gates" of IA-32e mode.
import { STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { targetAttributes, fetchTarget } from "./code-target";
import { fetchUpperHalf, fetched, fetchedHigh, raiseSelector } from "./descriptor-tables";
import {
  ATTRIBUTE_DB,
  ATTRIBUTE_L,
  ATTRIBUTE_P,
  TYPE_CALL_GATE,
  TYPE_CALL_GATE16,
  descriptorAttributes,
  privilegeOf,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP } from "./faults";
import { currentPrivilege, isLongMode } from "./mode";

/** The gate that was opened: selector and offset of its target, its operand size, and how many parameters it copies. */
export let gateSelector: i32 = 0;
export let gateOffset: u64 = 0;
export let gateBits: i32 = 0;
export let gateParameters: i32 = 0;

/** Whether the fetched system descriptor is a call gate of the running mode. */
export function isCallGate(): bool {
  const type = systemTypeOf(descriptorAttributes(fetched));
  return type == TYPE_CALL_GATE || (type == TYPE_CALL_GATE16 && !isLongMode());
}

/** Checks the fetched call gate and fetches the code segment behind it. */
export function openCallGate(selector: i32): i32 {
  const gate = fetched;
  const attributes = descriptorAttributes(gate);
  if (max(currentPrivilege(), selector & 3) > privilegeOf(attributes)) return raiseSelector(VECTOR_GP, selector);
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);

  gateSelector = <i32>(gate >> 16) & 0xffff;
  gateParameters = <i32>(gate >> 32) & 31;
  if (isLongMode()) {
    if (!fetchUpperHalf(selector, VECTOR_GP)) return STATUS_FAULT;
    // The type field of the upper half must be 0.
    if (fetchedHigh & 0x1f0000000000) return raiseSelector(VECTOR_GP, selector);
    gateBits = 64;
    gateOffset = (gate & 0xffff) | ((gate >> 32) & 0xffff0000) | (fetchedHigh << 32);
  } else if (systemTypeOf(attributes) == TYPE_CALL_GATE) {
    gateBits = 32;
    gateOffset = (gate & 0xffff) | ((gate >> 32) & 0xffff0000);
  } else {
    gateBits = 16;
    gateOffset = gate & 0xffff;
  }

  const status = fetchTarget(gateSelector);
  if (status != STATUS_OK) return status;
  if (privilegeOf(targetAttributes) > currentPrivilege()) return raiseSelector(VECTOR_GP, gateSelector);
  if (isLongMode() && (targetAttributes & (ATTRIBUTE_L | ATTRIBUTE_DB)) != ATTRIBUTE_L) {
    return raiseSelector(VECTOR_GP, gateSelector);
  }
  return STATUS_OK;
}
