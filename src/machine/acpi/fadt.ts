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

// Access size of a Generic Address Structure. Event blocks are two registers of half their
// width; the timer must be read whole.
const ACCESS_BYTE = 1;
const ACCESS_WORD = 2;
const ACCESS_DWORD = 3;
type AccessSize = typeof ACCESS_BYTE | typeof ACCESS_WORD | typeof ACCESS_DWORD;

/** Where the FADT tells of one block: its 32-bit address, its length, its X_ field. */
interface BlockOffsets {
  readonly address: number;
  readonly length: number;
  readonly extended: number;
}

/**
 * The FADT behind its header: the fixed hardware. The power button is there, the sleep button is not.
 *
 * Source: ACPI Specification, "Fixed ACPI Description Table (FADT)".
 */
export function fadtBody(platform: AcpiPlatform, facsAddress: number, dsdtAddress: number): Uint8Array {
  const pm = platform.powerManagement;
  const table = new Uint8Array(FADT_BYTES);
  const view = new DataView(table.buffer);
  const block = (at: BlockOffsets, port: number, bytes: number, access: AccessSize) => {
    view.setUint32(at.address, port, true);
    view.setUint8(at.length, bytes);
    genericAddress(view, at.extended, port, bytes, access);
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
  block({ address: 56, length: 88, extended: 148 }, pm.eventPort, 4, ACCESS_WORD);
  block({ address: 64, length: 89, extended: 172 }, pm.controlPort, 2, ACCESS_WORD);
  block({ address: 76, length: 91, extended: 208 }, pm.timerPort, 4, ACCESS_DWORD);
  if (pm.generalEvents !== undefined) {
    const { port, bytes } = pm.generalEvents;
    block({ address: 80, length: 92, extended: 220 }, port, bytes, ACCESS_BYTE);
  }
  view.setUint16(96, NO_C_STATE, true);
  view.setUint16(98, NO_C_STATE, true);
  view.setUint8(108, CENTURY_INDEX);
  view.setUint16(109, LEGACY_DEVICES | HAS_8042 | VGA_NOT_PRESENT, true);
  const timerFlag = pm.timerBits === 32 ? TMR_VAL_EXT : 0;
  view.setUint32(112, WBINVD | PROC_C1 | SLP_BUTTON | RESET_REG_SUP | timerFlag, true);
  genericAddress(view, 116, platform.reset.port, 1, ACCESS_BYTE);
  view.setUint8(128, platform.reset.value);
  view.setBigUint64(140, BigInt(dsdtAddress), true);
  return table.subarray(HEADER_BYTES);
}

/** A Generic Address Structure for a block of I/O ports. */
function genericAddress(view: DataView, at: number, port: number, bytes: number, access: AccessSize): void {
  view.setUint8(at, ADDRESS_SPACE_IO);
  view.setUint8(at + 1, bytes * 8);
  view.setUint8(at + 3, access);
  view.setBigUint64(at + 4, BigInt(port), true);
}
