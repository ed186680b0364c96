import * as pm from "../devices/acpi-pm/acpi-pm.ts";
import { HPET_BASE, HPET_BLOCK_ID } from "../devices/hpet/hpet.ts";
import { IO_APIC_ADDRESS } from "../devices/io-apic/io-apic.ts";
import { LOCAL_APIC_ADDRESS } from "../devices/local-apic/state.ts";
import { ISA_BRIDGE_SLOT } from "../devices/pci-host/chipset.ts";
import { RESET_CONTROL_PORT, RESET_CONTROL_RESET } from "../devices/system-control/system-control.ts";
import { GUEST_RAM_LIMIT } from "../layout/memory-map.ts";
import type { AcpiPlatform } from "./acpi/platform.ts";
import { pciInterrupt, TIMER_IO_APIC_INPUT } from "./interrupt-wiring.ts";

/** Different from all local APIC IDs, as old kernels want it. */
export const IO_APIC_ID = 15;
/** The wider timer overflows every 20 minutes instead of every 4.7 seconds. */
export const PM_TIMER_BITS = 32;

/** What the ACPI tables say of the board, which `board.ts` wires with the same constants. */
export const acpiPlatform: AcpiPlatform = {
  processors: 1,
  localApicAddress: LOCAL_APIC_ADDRESS,
  ioApicAddress: IO_APIC_ADDRESS,
  ioApicId: IO_APIC_ID,
  interruptOverrides: [
    { irq: 0, globalInterrupt: TIMER_IO_APIC_INPUT, levelTriggered: false },
    { irq: pm.SCI_IRQ, globalInterrupt: pm.SCI_IRQ, levelTriggered: true },
  ],
  powerManagement: {
    sciInterrupt: pm.SCI_IRQ,
    eventPort: pm.PM1A_EVENT_PORT,
    controlPort: pm.PM1A_CONTROL_PORT,
    timerPort: pm.PM_TIMER_PORT,
    timerBits: PM_TIMER_BITS,
    generalEvents: { port: pm.GPE0_PORT, bytes: pm.GPE0_BYTES },
    smiCommand: { port: pm.SMI_COMMAND_PORT, enable: pm.ACPI_ENABLE, disable: pm.ACPI_DISABLE },
    softOffSleepType: pm.SLEEP_TYPE_S5,
  },
  hpet: { address: HPET_BASE, capabilities: HPET_BLOCK_ID, minimumTick: 128 },
  pciMemoryWindow: [GUEST_RAM_LIMIT, IO_APIC_ADDRESS - 1],
  pciInterrupt,
  isaBridge: ISA_BRIDGE_SLOT,
  reset: { port: RESET_CONTROL_PORT, value: RESET_CONTROL_RESET },
};
