import type { AcpiPlatform } from "./platform.ts";

export const FADT_REVISION = 3;
const FADT_BYTES = 244;
const HEADER_BYTES = 36;

// Flags (ACPI Specification, "Fixed ACPI Description Table Fixed Feature Flags").
const WBINVD = 1 << 0;
const PROC_C1 = 1 << 2;
const SLP_BUTTON = 1 << 5; // set: there is none among the fixed hardware
const TMR_VAL_EXT = 1 << 8;
const RESET_REG_SUP = 1 << 10;

// IA-PC boot architecture flags.
const LEGACY_DEVICES = 1 << 0;
const HAS_8042 = 1 << 1;
const VGA_NOT_PRESENT = 1 << 2;

const PROFILE_DESKTOP = 1;
/** A latency this long says that C2 and C3 do not exist. */
const NO_C_STATE = 0xffff;
/** Where the century lies in CMOS memory. */
const CENTURY_INDEX = 0x32;

const ADDRESS_SPACE_IO = 1;

/**
 * The FADT behind its header: the fixed hardware. The power button is there, the sleep button is not.
 *
 * Source: ACPI Specification, "Fixed ACPI Description Table (FADT)".
 */
export function fadtBody(platform: AcpiPlatform, facsAddress: number, dsdtAddress: number): Uint8Array {
  const pm = platform.powerManagement;
  const table = new Uint8Array(FADT_BYTES);
  const view = new DataView(table.buffer);
  const block = (at: number, extendedAt: number, lengthAt: number, port: number, bytes: number) => {
    view.setUint32(at, port, true);
    view.setUint8(lengthAt, bytes);
    genericAddress(view, extendedAt, port, bytes);
  };
  view.setUint32(36, facsAddress, true);
  view.setUint32(40, dsdtAddress, true);
  view.setUint8(45, PROFILE_DESKTOP);
  view.setUint16(46, pm.sciInterrupt, true);
  if (pm.smiCommand !== undefined) {
    view.setUint32(48, pm.smiCommand.port, true);
    view.setUint8(52, pm.smiCommand.enable);
    view.setUint8(53, pm.smiCommand.disable);
  }
  block(56, 148, 88, pm.eventPort, 4);
  block(64, 172, 89, pm.controlPort, 2);
  block(76, 208, 91, pm.timerPort, 4);
  if (pm.generalEvents !== undefined) block(80, 220, 92, pm.generalEvents.port, pm.generalEvents.bytes);
  view.setUint16(96, NO_C_STATE, true);
  view.setUint16(98, NO_C_STATE, true);
  view.setUint8(108, CENTURY_INDEX);
  view.setUint16(109, LEGACY_DEVICES | HAS_8042 | VGA_NOT_PRESENT, true);
  const timerFlag = pm.timerBits === 32 ? TMR_VAL_EXT : 0;
  view.setUint32(112, WBINVD | PROC_C1 | SLP_BUTTON | RESET_REG_SUP | timerFlag, true);
  genericAddress(view, 116, platform.reset.port, 1);
  view.setUint8(128, platform.reset.value);
  view.setBigUint64(140, BigInt(dsdtAddress), true);
  return table.subarray(HEADER_BYTES);
}

/** A Generic Address Structure for a block of I/O ports. */
function genericAddress(view: DataView, at: number, port: number, bytes: number): void {
  view.setUint8(at, ADDRESS_SPACE_IO);
  view.setUint8(at + 1, bytes * 8);
  view.setUint8(at + 3, accessSize(bytes));
  view.setBigUint64(at + 4, BigInt(port), true);
}

/** Event and general event blocks consist of two registers, each accessed by itself: 16-bit at the widest. */
function accessSize(bytes: number): number {
  return bytes === 1 ? 1 : 2;
}
