import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { AccessCount } from "../../src/bus/access-count.ts";
import { LOCAL_APIC_ADDRESS } from "../../src/devices/local-apic/state.ts";
import { Board } from "../../src/machine/board.ts";

const DEVICES = path.join(import.meta.dirname, "..", "..", "src", "devices");

/** The class that stands for each folder of src/devices, and the files that have more to say. */
const CLASSES: Readonly<Record<string, readonly (readonly [file: string, declaration: string])[]>> = {
  "acpi-pm": [["acpi-pm.ts", "class AcpiPm"]],
  "debug-exit": [["debug-exit.ts", "class DebugExit"]],
  "debug-port": [["debug-port.ts", "class DebugPort"]],
  hpet: [["hpet.ts", "class Hpet"]],
  i8042: [
    ["i8042.ts", "class I8042"],
    ["ps2-keyboard.ts", "class Ps2Keyboard"],
    ["ps2-mouse.ts", "class Ps2Mouse"],
  ],
  "io-apic": [["io-apic.ts", "class IoApic"]],
  "local-apic": [
    ["local-apic.ts", "class LocalApic"],
    ["apic-timer.ts", "class ApicTimer"],
    ["interrupt-fabric.ts", "class ApicFabric"],
  ],
  "pci-host": [
    ["pci-host.ts", "class PciHost"],
    ["pci-function.ts", "class PciFunction"],
    ["msi-x.ts", "class MsiX"],
  ],
  pic8259: [["pic8259.ts", "class Pic8259"]],
  pit8254: [["pit8254.ts", "class Pit8254"]],
  "rtc-cmos": [["rtc-cmos.ts", "class RtcCmos"]],
  "system-control": [["system-control.ts", "class SystemControl"]],
  uart16550: [["uart16550.ts", "class Uart16550"]],
};

export interface DeviceRow {
  /** From src/devices, such as "hpet/hpet.ts". */
  readonly file: string;
  readonly className: string;
  /** The class's documentation, in one line. */
  readonly description: string;
}

/** Every device with what its class's comment says of it. Throws for a folder without a row or a class without a comment. */
export function deviceRows(): readonly DeviceRow[] {
  const folders = readdirSync(DEVICES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  return folders.flatMap((folder) => {
    const classes = CLASSES[folder];
    if (classes === undefined)
      throw new Error(`src/devices/${folder} has no row in tools/support/devices.ts`);
    return classes.map(([file, declaration]): DeviceRow => {
      const text = readFileSync(path.join(DEVICES, folder, file), "utf8");
      return {
        file: `${folder}/${file}`,
        className: declaration.replace("class ", ""),
        description: commentBefore(text, `export ${declaration}`, `${folder}/${file}`),
      };
    });
  });
}

function commentBefore(text: string, declaration: string, file: string): string {
  const at = text.search(new RegExp(`^${declaration}\\b`, "m"));
  const end = text.lastIndexOf("*/", at);
  const start = text.lastIndexOf("/**", at);
  if (at < 0 || start < 0 || text.slice(end + 2, at).trim() !== "") {
    throw new Error(`src/devices/${file}: ${declaration} has no comment before it`);
  }
  return text
    .slice(start + 3, end)
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trim())
    .filter((line) => line !== "")
    .join(" ");
}

/** Who answers at which port and physical address, by the board itself. */
export function boardRanges(): { ports: readonly AccessCount[]; addresses: readonly AccessCount[] } {
  const board = new Board({
    nowNs: () => 0,
    unixTimeMs: () => 0,
    serialOutput: { write() {} },
    debugExitPort: undefined,
    onTimerScheduled() {},
    onInterruptPending() {},
    onNonMaskableInterrupt() {},
    onA20() {},
    onReset() {},
    onPowerOff() {},
    onDebugExit() {},
  });
  const { ports, addresses } = board.accessStatistics();
  const localApic = { name: "local APIC", first: LOCAL_APIC_ADDRESS, last: LOCAL_APIC_ADDRESS + 0xfff };
  const inOrder = (a: { first: number }, b: { first: number }) => a.first - b.first;
  return {
    ports: [...ports].sort(inOrder),
    addresses: [...addresses, { ...localApic, reads: 0, writes: 0 }].sort(inOrder),
  };
}
