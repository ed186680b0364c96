import { invariant } from "../../layout/invariant.ts";
import { ascii, littleEndian } from "./aml.ts";
import { dsdtBody } from "./dsdt.ts";
import { FADT_REVISION, fadtBody } from "./fadt.ts";
import { MADT_REVISION, madtBody } from "./madt.ts";
import type { AcpiPlatform, HpetWiring } from "./platform.ts";

/** ACPI tables at the addresses they were made for. */
export interface AcpiTables {
  readonly rsdpAddress: number;
  readonly tables: readonly {
    readonly signature: string;
    readonly address: number;
    readonly bytes: Uint8Array;
  }[];
}

const RSDP_BYTES = 36;
const RSDP_BYTES_OF_REVISION_0 = 20;
const FACS_BYTES = 64;
const DSDT_REVISION = 2; // integers have 64 bits
const HPET_REVISION = 1;

/**
 * Makes the tables of a platform, placed from `base`, which is a multiple of
 * 64 in 0xe0000..0xfffff: there the RSDP is looked for.
 *
 * Source: ACPI Specification, "ACPI Software Programming Model".
 */
export function buildAcpiTables(platform: AcpiPlatform, base: number, end: number): AcpiTables {
  const tables: { signature: string; address: number; bytes: Uint8Array }[] = [];
  let next = base + 64; // the RSDP comes first
  const place = (signature: string, bytes: Uint8Array): number => {
    const address = next;
    tables.push({ signature, address, bytes });
    next = Math.ceil((address + bytes.length) / 64) * 64;
    invariant(next <= end, "the ACPI tables fit in the firmware area");
    return address;
  };

  const facsAddress = place("FACS", facs());
  const dsdtAddress = place("DSDT", table("DSDT", DSDT_REVISION, dsdtBody(platform)));
  const listed = [
    place("FACP", table("FACP", FADT_REVISION, fadtBody(platform, facsAddress, dsdtAddress))),
    place("APIC", table("APIC", MADT_REVISION, madtBody(platform))),
  ];
  if (platform.hpet !== undefined)
    listed.push(place("HPET", table("HPET", HPET_REVISION, hpetBody(platform.hpet))));
  const rsdtAddress = place(
    "RSDT",
    table(
      "RSDT",
      1,
      listed.flatMap((address) => littleEndian(address, 4)),
    ),
  );
  const xsdtAddress = place(
    "XSDT",
    table(
      "XSDT",
      1,
      listed.flatMap((address) => littleEndian(address, 8)),
    ),
  );
  tables.push({ signature: "RSD PTR ", address: base, bytes: rsdp(rsdtAddress, xsdtAddress) });
  return { rsdpAddress: base, tables };
}

/** A table with its header and checksum. */
function table(signature: string, revision: number, body: ArrayLike<number>): Uint8Array {
  const header = [
    ...ascii(signature),
    ...littleEndian(36 + body.length, 4),
    revision,
    0, // checksum
    ...ascii("RNGFNC"),
    ...ascii("RINGFNCE"),
    ...littleEndian(1, 4),
    ...ascii("RNGF"),
    ...littleEndian(1, 4),
  ];
  const bytes = new Uint8Array(header.length + body.length);
  bytes.set(header);
  bytes.set(body, header.length);
  bytes[9] = checksum(bytes);
  return bytes;
}

function rsdp(rsdtAddress: number, xsdtAddress: number): Uint8Array {
  const bytes = new Uint8Array([
    ...ascii("RSD PTR "),
    0, // checksum of the first 20 bytes
    ...ascii("RNGFNC"),
    2, // revision
    ...littleEndian(rsdtAddress, 4),
    ...littleEndian(RSDP_BYTES, 4),
    ...littleEndian(xsdtAddress, 8),
    0, // checksum of all
    0,
    0,
    0,
  ]);
  bytes[8] = checksum(bytes.subarray(0, RSDP_BYTES_OF_REVISION_0));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** The FACS has neither a common header nor a checksum. */
function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  bytes.set([...ascii("FACS"), ...littleEndian(FACS_BYTES, 4)]);
  bytes[32] = 1; // version
  return bytes;
}

/** Source: IA-PC HPET Specification, "The ACPI 2.0 HPET Description Table". */
function hpetBody(hpet: HpetWiring): number[] {
  const memoryAddress = [0, 64, 0, 0, ...littleEndian(hpet.address, 8)];
  return [
    ...littleEndian(hpet.capabilities, 4),
    ...memoryAddress,
    0,
    ...littleEndian(hpet.minimumTick, 2),
    0,
  ];
}

/** What brings the sum of all bytes to 0. */
function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
