import type { KernelMessage } from "./kernel-log.ts";

/** A reason why a boot under QEMU and one here say different things. */
export interface DifferenceClass {
  readonly title: string;
  readonly explanation: string;
  /** Messages that QEMU's boot alone may have; matched against the text with its figures. */
  readonly qemu?: readonly RegExp[];
  /** Messages that a boot here alone may have. A warning is never excused. */
  readonly here?: readonly RegExp[];
}

/** In the order in which a boot meets them. */
export const DIFFERENCES: readonly DifferenceClass[] = [
  {
    title: "Memory map and firmware",
    explanation: `QEMU starts SeaBIOS, which keeps the top of RAM for its tables and the top of 4 GiB for its ROM, and leaves tables
of SMBIOS (DMI) and of Intel's MultiProcessor Specification. Here the kernel is put into memory directly: all RAM below the PCI hole
is usable, only 0xe0000-0xfffff is reserved, for the ACPI tables. The MultiProcessor table would repeat what the ACPI tables say.
There is no DMI table yet; nothing in a kernel depends on it, and the message is informational.`,
    qemu: [
      /^BIOS-e820:/,
      /^SMBIOS .* present/,
      /^DMI: QEMU/,
      /^found SMP MP-table/,
      /pages in unavailable ranges$/,
      /^e820: reserve RAM buffer/,
    ],
    here: [/^DMI not present or invalid\.$/],
  },
  {
    title: "ACPI tables",
    explanation: `Both give FADT, DSDT, MADT and HPET. QEMU's are of ACPI 1.0 behind an RSDT; ours are of ACPI 2.0 behind an XSDT, which
has 64-bit addresses. QEMU adds WAET, which tells Windows about emulated timers. QEMU has sleep states S3 and S4 (and so an RTC that wakes
from S4); here there is S5, soft off, and nothing to wake from. QEMU's general-purpose events announce hot-plugged processors and cards;
here there is nothing to plug.`,
    qemu: [
      /^ACPI: (RSDP|RSDT|FACP|DSDT|APIC|HPET|WAET) 0x/,
      /^ACPI: Reserving WAET table/,
      /^ACPI: PM: \(supports S0 S3 S4 S5\)$/,
      /^ACPI: Enabled 2 GPEs/,
      /RTC can wake from S4$/,
    ],
    here: [/^ACPI: (RSDP|XSDT|FACP|DSDT|APIC|HPET) 0x/, /^ACPI: PM: \(supports S0 S5\)$/],
  },
  {
    title: "Interrupt routing",
    explanation: `QEMU routes PCI interrupts through four link devices to ISA interrupts 5, 10 and 11, which it declares as level-triggered
overrides. Our tables give each slot and pin its I/O APIC input directly, as on later boards, so there are neither link devices nor those
overrides.`,
    qemu: [
      /^ACPI: INT_SRC_OVR \(bus 0 bus_irq \d+ global_irq \d+ high level\)$/,
      /^ACPI: PCI: Interrupt link LNK/,
    ],
    here: [/^ACPI: INT_SRC_OVR \(bus 0 bus_irq \d+ global_irq \d+ (low|high) level\)$/],
  },
  {
    title: "Time",
    explanation: `Our processor tells its TSC's frequency in CPUID (leaf 0x15), so the kernel calibrates nothing and uses the counter at
once, with the APIC's deadline timer. Under QEMU it measures the TSC against PIT, HPET and PM timer; how often it fails or retries
depends on the load of the host (so do ticks that QEMU's RTC or PIT loses), and the APIC timer needs a calibration of its own.`,
    qemu: [
      /^tsc: (Fast TSC|Unable to calibrate|using (HPET|PMTIMER)|Refined TSC|PIT calibration|Marking TSC)/,
      /^hpet: Lost \d+ RTC interrupts$/,
      /^APIC (calibration not consistent|delta adjusted)/,
      /^hpet: 3 channels of 0 reserved for per-cpu timers$/,
      /^clocksource: /,
      /^\.\.MP-BIOS bug: 8254 timer not connected to IO-APIC$/,
      /^\.{3,}( ?trying to set up timer| ?\(found apic| ?works)/,
    ],
    here: [/^TSC deadline timer available$/],
  },
  {
    title: "The processor",
    explanation: `QEMU's qemu64 is an AMD processor without XSAVE, RDRAND and 1 GiB pages; ours is an Intel one with them, and of a model that
Meltdown and Spectre do not affect, so the kernel needs no mitigations (AMD's idle routine and its search for an AGP aperture are for AMD
too). With RDRAND the random generator is ready at once; under QEMU it is ready later, after the log has been read. x2APIC is offered, but
Linux uses it only with interrupt remapping or under a hypervisor it knows. Neither has performance counters that Linux can use, nor
frequency scaling: intel_pstate looks, because of the vendor, and says so.`,
    qemu: [
      /^AGP: /,
      /^process: using AMD E400 aware idle routine$/,
      /^Spectre V[12] : /,
      /^x86\/fpu: x87 FPU will use FXSAVE$/,
      /^smpboot: CPU0: AMD QEMU Virtual CPU/,
      /^Performance Events: PMU not available due to virtualization/,
    ],
    here: [
      /^Using GB pages for direct mapping$/,
      /^HugeTLB: .*1\.00 GiB/,
      /^random: crng init done$/,
      /^x2apic: IRQ remapping doesn't support X2APIC mode$/,
      /^x86\/fpu: (Supporting XSAVE feature 0x00[12]|Enabled xstate features 0x3)/,
      /^smpboot: CPU0: Intel Ringfence virtual processor/,
      /^Performance Events: unsupported p6 CPU model 54 no PMU driver/,
      /^intel_pstate: CPU model not supported$/,
    ],
  },
  {
    title: "Devices that QEMU's board has and this one does not",
    explanation: `A VGA card (and with it a frame buffer console, in the installer's kernel), an IDE controller, an SMBus controller, a floppy
controller, and hot-plug slots on the PCI bus. The PCI bus has windows for them: below 3 GiB and above 4 GiB too, where ours has one, from
3 GiB.`,
    qemu: [
      /^Console: (colour VGA|switching to colour)/,
      /^acpiphp: Slot/,
      /^pci 0000:00:0[12]\.\d: /,
      /^pci_bus 0000:00: (root bus resource|resource \d+) \[mem /,
      /^pnp 00:0\d: \[dma 2\]/,
      /^ACPI: bus type drm_connector registered$/,
      /vgaarb|vga|\bdrm\b|bochs|fbcon|\bfb0\b/i,
      /^(scsi|ata|ata_piix|libata|Floppy|FDC|piix4_smbus|parport|ppdev|lp)\b/,
    ],
    here: [/^Console: colour dummy device/],
  },
];

/** The first class that explains why `side` alone has the message. */
export function classOf({ text }: KernelMessage, side: "qemu" | "here"): DifferenceClass | undefined {
  return DIFFERENCES.find((candidate) => candidate[side]?.some((pattern) => pattern.test(text)));
}
