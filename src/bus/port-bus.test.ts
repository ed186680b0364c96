import { expect, test } from "vitest";
import { MmioBus } from "./mmio-bus.ts";
import { type AccessBytes, PortBus } from "./port-bus.ts";

/** Logs accesses and reads as its offsets: byte n of its range holds n. */
function recorder(maxPortBytes: AccessBytes) {
  const log: string[] = [];
  return {
    log,
    maxPortBytes,
    readPort: (offset: number, bytes: AccessBytes) => {
      log.push(`read ${offset} ${bytes}`);
      return bytes === 1 ? offset : bytes === 2 ? offset | ((offset + 1) << 8) : 0x03020100;
    },
    writePort: (offset: number, bytes: AccessBytes, value: number) => {
      log.push(`write ${offset} ${bytes} ${value.toString(16)}`);
    },
  };
}

test("a wide access to a byte device is split, lowest port first", () => {
  const bus = new PortBus();
  const device = recorder(1);
  bus.register(0x60, 4, device, "bytes");
  expect(bus.read(0x60, 4)).toBe(0x03020100);
  bus.write(0x60, 2, 0xbeef);
  expect(device.log).toEqual([
    "read 0 1",
    "read 1 1",
    "read 2 1",
    "read 3 1",
    "write 0 1 ef",
    "write 1 1 be",
  ]);
});

test("a four-byte access to a two-byte device becomes two", () => {
  const bus = new PortBus();
  const device = recorder(2);
  bus.register(0x1f0, 8, device, "disk");
  expect(bus.read(0x1f0, 4)).toBe(0x03020100);
  expect(device.log).toEqual(["read 0 2", "read 2 2"]);
});

test("an access goes whole to the device of its first port", () => {
  const bus = new PortBus();
  const address = recorder(4);
  const reset = recorder(1);
  bus.register(0xcf8, 1, address, "address");
  bus.register(0xcf9, 1, reset, "reset");
  bus.write(0xcf8, 4, 0x80000000);
  bus.write(0xcf9, 1, 6);
  expect(address.log).toEqual(["write 0 4 80000000"]);
  expect(reset.log).toEqual(["write 0 1 6"]);
});

test("unclaimed ports read all ones and are counted", () => {
  const bus = new PortBus();
  expect(bus.read(0x80, 1)).toBe(0xff);
  expect(bus.read(0x80, 4)).toBe(0xffffffff);
  bus.write(0x80, 1, 0);
  expect(bus.unclaimed.get(0x80)).toBe(3);
});

test("overlapping fixed ranges are refused by name; a guest's range yields to them", () => {
  const bus = new PortBus();
  bus.register(0x60, 1, recorder(1), "keyboard");
  expect(() => bus.register(0x5f, 2, recorder(1), "other")).toThrow("port 0x60 of other belongs to keyboard");
  const movable = recorder(1);
  const registration = bus.registerBehind(0x5f, 2, movable, "bar");
  bus.read(0x60, 1);
  expect(movable.log).toEqual([]);
  bus.read(0x5f, 1);
  expect(movable.log).toEqual(["read 0 1"]);
  registration.remove();
  expect(bus.read(0x5f, 1)).toBe(0xff);
});

test("accesses are counted for each device", () => {
  const bus = new PortBus();
  bus.register(0x60, 4, recorder(4), "device");
  bus.read(0x60, 1);
  bus.write(0x61, 1, 0);
  bus.write(0x62, 2, 0);
  expect(bus.accessCounts).toEqual([{ name: "device", first: 0x60, last: 0x63, reads: 1, writes: 2 }]);
});

test("the MMIO bus finds devices by range and splits accesses that leave one", () => {
  const bus = new MmioBus();
  const log: string[] = [];
  const device = {
    readMemory: (offset: number, bytes: AccessBytes) => {
      log.push(`read ${offset} ${bytes}`);
      return 0x11;
    },
    writeMemory() {},
  };
  bus.register(0xfed00000, 0x400, device, "timer");
  expect(bus.read(0xfed003fe, 4)).toBe(0xffff1111);
  expect(log).toEqual(["read 1022 1", "read 1023 1"]);
  expect(bus.read(0xfed00400, 4)).toBe(0xffffffff);
  expect(bus.unclaimed.get(0xfed00000)).toBe(3);
  expect(() => bus.register(0xfed00000, 4, device, "twin")).toThrow("twin at 0xfed00000 overlaps timer");
});
