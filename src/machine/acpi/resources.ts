// Resource descriptors, of which a _CRS buffer consists.
// Source: ACPI Specification, "Resource Data Types for ACPI".
import { type Aml, buffer, littleEndian, name } from "./aml.ts";

/** An encoded resource descriptor. */
export type Resource = readonly number[];

/** _CRS: what a device uses now. */
export function currentResources(resources: readonly Resource[]): Aml {
  return name("_CRS", buffer([...resources.flat(), ...END_TAG]));
}

/** Ends a list of descriptors; a checksum of 0 stands for "not checked". */
const END_TAG: Resource = [0x79, 0x00];

/** Fixed I/O ports, 16-bit decoded. */
export function ioPorts(first: number, count: number): Resource {
  return [0x47, 0x01, ...littleEndian(first, 2), ...littleEndian(first, 2), 0x01, count];
}

/** An ISA interrupt: edge-triggered, active high, not shared. */
export function isaInterrupt(irq: number): Resource {
  return [0x22, ...littleEndian(1 << irq, 2)];
}

/** A fixed range of memory below 4 GiB. */
export function fixedMemory(address: number, sizeBytes: number): Resource {
  return [0x86, 0x09, 0x00, 0x01, ...littleEndian(address, 4), ...littleEndian(sizeBytes, 4)];
}

const MINIMUM_AND_MAXIMUM_FIXED = 0x0c; // positive decode, resource producer

/** Bus numbers that a host bridge hands on. */
export function busNumbers(first: number, last: number): Resource {
  return addressSpace(0x88, 2, 0x02, 0x00, first, last);
}

/** I/O ports that a host bridge hands on, ISA and non-ISA. */
export function ioWindow(first: number, last: number): Resource {
  return addressSpace(0x88, 2, 0x01, 0x03, first, last);
}

/** Memory below 4 GiB that a host bridge hands on: writable, not cacheable. */
export function memoryWindow(first: number, last: number): Resource {
  return addressSpace(0x87, 4, 0x00, 0x01, first, last);
}

function addressSpace(
  tag: number,
  width: number,
  kind: number,
  specificFlags: number,
  first: number,
  last: number,
): Resource {
  const fields = [0, first, last, 0, last - first + 1].flatMap((value) => littleEndian(value, width));
  const body = [kind, MINIMUM_AND_MAXIMUM_FIXED, specificFlags, ...fields];
  return [tag, ...littleEndian(body.length, 2), ...body];
}
