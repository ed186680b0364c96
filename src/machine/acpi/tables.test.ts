import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AcpiPlatform } from "./platform.ts";
import { buildAcpiTables } from "./tables.ts";

const platform: AcpiPlatform = {
  processors: 2,
  localApicAddress: 0xfee00000,
  ioApicAddress: 0xfec00000,
  ioApicId: 2,
  interruptOverrides: [
    { irq: 0, globalInterrupt: 2, levelTriggered: false },
    { irq: 9, globalInterrupt: 9, levelTriggered: true },
  ],
  powerManagement: {
    sciInterrupt: 9,
    eventPort: 0x600,
    controlPort: 0x604,
    timerPort: 0x608,
    timerBits: 32,
    generalEvents: { port: 0x620, bytes: 8 },
    smiCommand: { port: 0xb2, enable: 0xa0, disable: 0xa1 },
    softOffSleepType: 5,
  },
  hpet: { address: 0xfed00000, capabilities: 0x8086a201, minimumTick: 128 },
  pciMemoryWindow: [0xc0000000, 0xfebfffff],
  pciInterrupt: (device, pin) => 10 + ((device + pin) & 1),
  isaBridge: { device: 1, function: 0 },
  reset: { port: 0xcf9, value: 6 },
};

const { rsdpAddress, tables } = buildAcpiTables(platform, 0xe0000, 0x100000);
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) & 0xff;

function tableOf(signature: string) {
  const table = tables.find((candidate) => candidate.signature === signature);
  if (table === undefined) throw new Error(`no table ${signature}`);
  return { ...table, view: new DataView(table.bytes.buffer, table.bytes.byteOffset) };
}

test("the RSDP leads to the XSDT, and that to tables with valid checksums", () => {
  const rsdp = tableOf("RSD PTR ");
  expect(rsdp.address).toBe(rsdpAddress);
  expect(sum(rsdp.bytes.subarray(0, 20))).toBe(0);
  expect(sum(rsdp.bytes)).toBe(0);
  const xsdt = tableOf("XSDT");
  expect(rsdp.view.getBigUint64(24, true)).toBe(BigInt(xsdt.address));
  const listed = [36, 44, 52].map((at) => Number(xsdt.view.getBigUint64(at, true)));
  expect(listed.map((address) => tables.find((table) => table.address === address)?.signature)).toEqual([
    "FACP",
    "APIC",
    "HPET",
  ]);
  for (const table of tables.filter(({ signature }) => signature !== "FACS"))
    expect(sum(table.bytes)).toBe(0);
});

test("the FADT names the DSDT, the FACS and the fixed hardware twice alike", () => {
  const { view } = tableOf("FACP");
  expect(view.getUint32(40, true)).toBe(tableOf("DSDT").address);
  expect(view.getBigUint64(140, true)).toBe(BigInt(tableOf("DSDT").address));
  expect(view.getUint32(36, true)).toBe(tableOf("FACS").address);
  expect(tableOf("FACS").address % 64).toBe(0);
  expect(view.getUint32(64, true)).toBe(0x604);
  expect(view.getBigUint64(172 + 4, true)).toBe(0x604n);
});

test("the HPET table gives its address", () => {
  const { view, bytes } = tableOf("HPET");
  expect(bytes.length).toBe(56);
  expect(view.getUint32(36, true)).toBe(0x8086a201);
  expect(view.getBigUint64(44, true)).toBe(0xfed00000n);
});

const probe = spawnSync("iasl", ["-v"]);
const iaslIsAbsent = probe.error !== undefined && "code" in probe.error && probe.error.code === "ENOENT";

/** Disassembles a table with iasl and returns the text. */
function disassembled(signature: string): string {
  const folder = mkdtempSync(join(tmpdir(), "acpi-"));
  try {
    writeFileSync(join(folder, "table.aml"), tableOf(signature).bytes);
    const options = { cwd: folder, encoding: "utf8", stdio: "pipe" } as const;
    execFileSync("iasl", ["-d", "table.aml"], options);
    const text = readFileSync(join(folder, "table.dsl"), "utf8");
    const compiled = spawnSync("iasl", ["-p", "again", "table.dsl"], options);
    const said = `${compiled.stdout}${compiled.stderr}`;
    if (!/ 0 Errors/.test(said)) throw new Error(said);
    return text;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Nothing else judges the tables from outside.
for (const [signature, words] of [
  ["FACP", ["Reset Register Supported (V2) : 1", "SCI Interrupt : 0009", "Power Button (V1) : 0"]],
  ["APIC", ["Processor Local APIC", "Source : 09", "Trigger Mode : 3"]],
  ["HPET", ["00000000FED00000"]],
  ["FACS", ["Version : 01"]],
  ["XSDT", []],
  ["RSDT", []],
  [
    "DSDT",
    [
      'EisaId ("PNP0A03")',
      'EisaId ("PNP0501")',
      "0x03F8",
      "_PRT",
      "IRQNoFlags ()",
      "_S5, Package (0x04)",
      "0xFEBFFFFF,         // Range Maximum",
    ],
  ],
] as const) {
  test(`iasl reads ${signature} and compiles what it read without an error`, ({ skip }) => {
    skip(iaslIsAbsent, "iasl is not installed (Debian: acpica-tools)");
    const text = disassembled(signature);
    expect(text).not.toMatch(/\*\*\*\*|Incorrect|Invalid/);
    for (const word of words) expect(text).toContain(word);
  });
}
