import { type Aml, device, eisaId, integer, name, packageOf, scope } from "./aml.ts";
import type { AcpiPlatform } from "./platform.ts";
import {
  busNumbers,
  currentResources,
  fixedMemory,
  ioPorts,
  ioWindow,
  isaInterrupt,
  memoryWindow,
} from "./resources.ts";

const PCI_DEVICES = 32;
const PCI_PINS = 4;

/** The body of the DSDT: the devices that cannot be found by probing, and soft off. */
export function dsdtBody(platform: AcpiPlatform): Aml {
  const sleepType = platform.powerManagement.softOffSleepType;
  return [
    ...name("\\_S5", packageOf([integer(sleepType), integer(sleepType), integer(0), integer(0)])),
    ...scope("\\_SB", [
      pciRootBridge(platform),
      ...(platform.hpet === undefined ? [] : [hpet(platform.hpet.address)]),
    ]),
  ];
}

function pciRootBridge(platform: AcpiPlatform): Aml {
  const [first, last] = platform.pciMemoryWindow;
  return device("PCI0", [
    name("_HID", eisaId("PNP0A03")),
    name("_UID", integer(0)),
    currentResources([
      busNumbers(0x00, 0xff),
      ioPorts(0xcf8, 8),
      ioWindow(0x0000, 0x0cf7),
      ioWindow(0x0d00, 0xffff),
      memoryWindow(first, last),
    ]),
    interruptRouting(platform),
    isaBridge(platform),
  ]);
}

/**
 * The devices behind the ISA bridge. The ports of power management are not among them: they belong to a PCI function,
 * and Linux warns when two devices claim the same ports.
 */
function isaBridge(platform: AcpiPlatform): Aml {
  const { device: deviceNumber, function: functionNumber } = platform.isaBridge;
  return device("ISA", [
    name("_ADR", integer(deviceNumber * 0x10000 + functionNumber)),
    serialPort(),
    realTimeClock(),
    keyboard(),
    mouse(),
  ]);
}

/** _PRT: for each device and pin the I/O APIC input, with no link device in between. */
function interruptRouting(platform: AcpiPlatform): Aml {
  const entries: Aml[] = [];
  for (let number = 1; number < PCI_DEVICES; number++) {
    for (let pin = 0; pin < PCI_PINS; pin++) {
      const address = number * 0x10000 + 0xffff; // all functions of the device
      const interrupt = platform.pciInterrupt(number, pin);
      entries.push(packageOf([integer(address), integer(pin), integer(0), integer(interrupt)]));
    }
  }
  return name("_PRT", packageOf(entries));
}

function serialPort(): Aml {
  return device("COM1", [
    name("_HID", eisaId("PNP0501")),
    name("_UID", integer(1)),
    currentResources([ioPorts(0x3f8, 8), isaInterrupt(4)]),
  ]);
}

function realTimeClock(): Aml {
  return device("RTC", [
    name("_HID", eisaId("PNP0B00")),
    currentResources([ioPorts(0x70, 2), isaInterrupt(8)]),
  ]);
}

function keyboard(): Aml {
  return device("KBD", [
    name("_HID", eisaId("PNP0303")),
    currentResources([ioPorts(0x60, 1), ioPorts(0x64, 1), isaInterrupt(1)]),
  ]);
}

function mouse(): Aml {
  return device("MOU", [name("_HID", eisaId("PNP0F13")), currentResources([isaInterrupt(12)])]);
}

function hpet(address: number): Aml {
  return device("HPET", [name("_HID", eisaId("PNP0103")), currentResources([fixedMemory(address, 0x400)])]);
}
