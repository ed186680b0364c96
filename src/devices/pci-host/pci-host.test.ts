import { expect, test } from "vitest";
import { PortBus } from "../../bus/port-bus.ts";
import { createAcpiFunction, createHostBridge, createIsaBridge, PirqRouter } from "./chipset.ts";
import { PciFunction } from "./pci-function.ts";
import { PCI_ADDRESS_PORT, PCI_DATA_PORT, PciHost } from "./pci-host.ts";

/** A bus with the chipset, reached through ports. */
function pciBus() {
  const levels = [false, false, false, false];
  const pirqs = levels.map((_, index) => ({
    set: (on: boolean) => {
      levels[index] = on;
    },
  }));
  const host = new PciHost(pirqs);
  host.add(0, 0, createHostBridge());
  host.add(1, 0, createIsaBridge());
  host.add(1, 3, createAcpiFunction(0x600));
  const ports = new PortBus();
  ports.register(PCI_ADDRESS_PORT, 1, host.address, "pci address");
  ports.register(PCI_DATA_PORT, 4, host.data, "pci data");
  const select = (device: number, functionNumber: number, offset: number) =>
    ports.write(0xcf8, 4, 0x80000000 + (device << 11) + (functionNumber << 8) + (offset & 0xfc));
  const read = (device: number, functionNumber: number, offset: number, bytes: 1 | 2 | 4) => {
    select(device, functionNumber, offset);
    return ports.read(0xcfc + (offset & 3), bytes);
  };
  const write = (device: number, functionNumber: number, offset: number, bytes: 1 | 2 | 4, value: number) => {
    select(device, functionNumber, offset);
    ports.write(0xcfc + (offset & 3), bytes, value);
  };
  return { host, ports, levels, read, write };
}

/** A function with a 4 KiB memory BAR 0, a 64-bit BAR 2 and an I/O BAR 4 that logs its mappings. */
function testFunction() {
  const log: string[] = [];
  const mapped = (name: string) => (address: number | undefined) => {
    log.push(`${name} ${address?.toString(16)}`);
  };
  const pci = new PciFunction({
    vendorId: 0x1af4,
    deviceId: 0x1041,
    classCode: 0x020000,
    interruptPin: 1,
    bars: [
      { index: 0, kind: "memory", sizeBytes: 0x1000, mapped: mapped("memory") },
      { index: 2, kind: "memory64", sizeBytes: 0x4000, prefetchable: true, mapped: mapped("memory64") },
      { index: 4, kind: "io", sizeBytes: 0x20, mapped: mapped("io") },
    ],
    capabilities: [
      { id: 0x11, body: [0x02, 0x00, 1, 2, 3, 4, 5, 6, 7, 8], writable: [0x00, 0xc0] },
      { id: 0x09, body: [0x10] },
    ],
  });
  return { pci, log };
}

test("Linux's probe of mechanism #1 reads back the enable bit", () => {
  const { ports } = pciBus();
  ports.write(0xcf8, 4, 0x80000000);
  expect(ports.read(0xcf8, 4)).toBe(0x80000000);
});

test("the chipset is where it belongs, and its second device has several functions", () => {
  const { read } = pciBus();
  expect(read(0, 0, 0, 4)).toBe(0x12378086);
  expect(read(1, 0, 0, 4)).toBe(0x70008086);
  expect(read(1, 3, 0, 4)).toBe(0x71138086);
  expect(read(0, 0, 8, 4)).toBe(0x06000002);
  expect(read(1, 0, 0x0a, 2)).toBe(0x0601);
  expect(read(1, 0, 0x0e, 1)).toBe(0x80);
  expect(read(0, 0, 0x0e, 1)).toBe(0x00);
  expect(read(1, 3, 0x40, 4)).toBe(0x601);
});

test("absent functions read all ones", () => {
  const { read, ports } = pciBus();
  expect(read(2, 0, 0, 4)).toBe(0xffffffff);
  expect(read(1, 1, 0, 2)).toBe(0xffff);
  ports.write(0xcf8, 4, 0x80010000); // bus 1
  expect(ports.read(0xcfc, 4)).toBe(0xffffffff);
});

test("writing all ones to a BAR tells its size", () => {
  const { pci } = testFunction();
  for (const offset of [0x10, 0x14, 0x18, 0x1c, 0x20]) pci.writeConfig(offset, 4, 0xffffffff);
  expect(pci.readConfig(0x10, 4)).toBe(0xfffff000);
  expect(pci.readConfig(0x14, 4)).toBe(0);
  expect(pci.readConfig(0x18, 4)).toBe(0xffffc00c);
  expect(pci.readConfig(0x1c, 4)).toBe(0xffffffff);
  expect(pci.readConfig(0x20, 4)).toBe(0xffffffe1);
});

test("ranges are mapped when the command register lets them, and move with the BAR", () => {
  const { pci, log } = testFunction();
  pci.writeConfig(0x10, 4, 0xfebf0000);
  pci.writeConfig(0x18, 4, 0x00000000);
  pci.writeConfig(0x1c, 4, 0x00000010);
  pci.writeConfig(0x20, 4, 0xc000);
  expect(log).toEqual([]);
  pci.writeConfig(4, 2, 0x0003);
  expect(log).toEqual(["memory febf0000", "memory64 1000000000", "io c000"]);
  log.length = 0;
  pci.writeConfig(0x10, 4, 0xffffffff); // finding out the size while decoding
  pci.writeConfig(0x10, 4, 0xfebe0000);
  pci.writeConfig(4, 2, 0x0002);
  expect(log).toEqual(["memory undefined", "memory febe0000", "io undefined"]);
});

test("capabilities are linked, and only their writable bits change", () => {
  const { pci } = testFunction();
  expect(pci.readConfig(6, 2) & 0x10).toBe(0x10);
  expect(pci.readConfig(0x34, 1)).toBe(0x40);
  expect(pci.readConfig(0x40, 4)).toBe(0x00024c11);
  expect(pci.readConfig(0x4c, 4)).toBe(0x00100009);
  expect(pci.capabilityOffset(1)).toBe(0x4c);
  pci.writeConfig(0x40, 4, 0xffffffff);
  expect(pci.readConfig(0x40, 4)).toBe(0xc0024c11);
});

test("an interrupt pin shares its PIRQ line, shows in the status and can be disabled", () => {
  const { host, levels, write, read } = pciBus();
  const { pci } = testFunction();
  host.add(3, 0, pci);
  pci.interrupt.set(true);
  expect(levels).toEqual([false, false, true, false]); // device 3, INTA#
  expect(read(3, 0, 6, 2) & 8).toBe(8);
  write(3, 0, 4, 2, 0x0400);
  expect(levels).toEqual([false, false, false, false]);
});

test("PIRQ routing registers choose the ISA interrupt", () => {
  const isa = new Array<boolean>(16).fill(false);
  const router = new PirqRouter(
    isa.map((_, irq) => ({
      set: (on: boolean) => {
        isa[irq] = on;
      },
    })),
  );
  const bridge = createIsaBridge(router);
  router.pirqs[1]?.set(true);
  expect(isa.indexOf(true)).toBe(-1);
  bridge.writeConfig(0x61, 1, 10);
  expect(isa.indexOf(true)).toBe(10);
  bridge.writeConfig(0x60, 4, 0x0b0b0b0b);
  expect(isa.indexOf(true)).toBe(11);
  bridge.writeConfig(0x61, 1, 0x80);
  expect(isa.indexOf(true)).toBe(-1);
});

test("PAM writes are reported", () => {
  const seen: (readonly number[])[] = [];
  const bridge = createHostBridge((pam) => seen.push(pam));
  bridge.writeConfig(0x59, 1, 0x30);
  expect(seen).toEqual([[0x30, 0, 0, 0, 0, 0, 0]]);
});

test("a restored function announces its ranges", () => {
  const saved = testFunction().pci;
  saved.writeConfig(0x20, 4, 0xc000);
  saved.writeConfig(4, 2, 1);
  const addresses: (number | undefined)[] = [];
  const bars = [
    {
      index: 4,
      kind: "io",
      sizeBytes: 0x20,
      mapped: (a: number | undefined) => {
        addresses.push(a);
      },
    },
  ] as const;
  new PciFunction({ vendorId: 0x1af4, deviceId: 0x1041, classCode: 0x020000, bars }, saved.state);
  expect(addresses).toEqual([0xc000]);
});
