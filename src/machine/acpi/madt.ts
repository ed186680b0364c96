import { littleEndian } from "./aml.ts";
import type { AcpiPlatform } from "./platform.ts";

export const MADT_REVISION = 3;

const PCAT_COMPAT = 1; // the machine also has a pair of 8259s
const ENABLED = 1;
const ISA_BUS = 0;
const ACTIVE_HIGH_LEVEL = 0x000d;
const AS_THE_BUS_SAYS = 0x0000;
const ALL_PROCESSORS = 0xff;
const LINT1 = 1;

/**
 * The MADT behind its header: local APICs, the I/O APIC and how ISA interrupts reach it.
 *
 * Source: ACPI Specification, "Multiple APIC Description Table (MADT)".
 */
export function madtBody(platform: AcpiPlatform): number[] {
  const entry = (kind: number, body: readonly number[]) => [kind, body.length + 2, ...body];
  const processors = Array.from({ length: platform.processors }, (_, id) =>
    entry(0, [id, id, ...littleEndian(ENABLED, 4)]),
  );
  const overrides = platform.interruptOverrides.map(({ irq, globalInterrupt, levelTriggered }) => {
    const flags = levelTriggered ? ACTIVE_HIGH_LEVEL : AS_THE_BUS_SAYS;
    return entry(2, [ISA_BUS, irq, ...littleEndian(globalInterrupt, 4), ...littleEndian(flags, 2)]);
  });
  return [
    ...littleEndian(platform.localApicAddress, 4),
    ...littleEndian(PCAT_COMPAT, 4),
    ...processors.flat(),
    ...entry(1, [platform.ioApicId, 0, ...littleEndian(platform.ioApicAddress, 4), ...littleEndian(0, 4)]),
    ...overrides.flat(),
    ...entry(4, [ALL_PROCESSORS, ...littleEndian(AS_THE_BUS_SAYS, 2), LINT1]),
  ];
}
