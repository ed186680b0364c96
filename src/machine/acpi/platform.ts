/** The wiring of a machine, as far as its ACPI tables tell of it. */
export interface AcpiPlatform {
  /** Their local APIC IDs count from 0. */
  readonly processors: number;
  readonly localApicAddress: number;
  readonly ioApicAddress: number;
  readonly ioApicId: number;
  /** ISA interrupts that arrive at another I/O APIC input or are not edge-triggered and active high. */
  readonly interruptOverrides: readonly InterruptOverride[];
  readonly powerManagement: PowerManagementBlocks;
  /** Absent: no HPET. */
  readonly hpet: HpetWiring | undefined;
  /** Physical addresses for PCI devices, first and last. */
  readonly pciMemoryWindow: readonly [first: number, last: number];
  /** The interrupt of pin INTA#..INTD# (0..3) of a PCI device number. */
  pciInterrupt(device: number, pin: number): number;
  /** The PCI function behind which the ISA devices are. */
  readonly isaBridge: { readonly device: number; readonly function: number };
  /** Where a byte written resets the machine. */
  readonly reset: { readonly port: number; readonly value: number };
}

export interface InterruptOverride {
  readonly irq: number;
  readonly globalInterrupt: number;
  readonly levelTriggered: boolean;
}

/** The fixed hardware of ACPI, all in I/O ports. */
export interface PowerManagementBlocks {
  readonly sciInterrupt: number;
  readonly eventPort: number; // PM1a_EVT_BLK: status and enable
  readonly controlPort: number; // PM1a_CNT_BLK
  readonly timerPort: number; // PM_TMR_BLK
  readonly timerBits: 24 | 32;
  /** GPE0_BLK; absent when the chip has none. */
  readonly generalEvents: { readonly port: number; readonly bytes: number } | undefined;
  /** Where software asks for ACPI mode; absent when the machine is always in it. */
  readonly smiCommand:
    | { readonly port: number; readonly enable: number; readonly disable: number }
    | undefined;
  /** SLP_TYP for S5, soft off. */
  readonly softOffSleepType: number;
}

export interface HpetWiring {
  readonly address: number;
  /** Low 32 bits of the general capabilities register. */
  readonly capabilities: number;
  readonly minimumTick: number;
}
