import { beforeEach, describe, expect, test } from "vitest";
import { APIC_BASE, COUNT_CODE_WRITE, COUNT_DEVICE_ACCESS } from "../../../src/layout/cpu-state.ts";
import { CODE_MAP, GUEST_RAM, SCRATCH } from "../../../src/layout/memory-map.ts";
import { type CoreMachine, RAM_BYTES } from "./core-machine.ts";
import { longModeMachine, mapPage, P, RW, setPrivilege, US } from "./long-mode-paging.ts";

// Linear pages 5 and 6 lie on frames 0x20 and 0x40; 7 on a device; 8 is absent; 9 is read-only; 10 holds code from byte 0x80 to 0xbf.
let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, 5, 0x20, P | RW);
  mapPage(machine, 6, 0x40, P | RW);
  mapPage(machine, 7, 0xe_0000, P | RW);
  mapPage(machine, 9, 0x50, P);
  mapPage(machine, 10, 0x60, P | RW);
  machine.setHost64(CODE_MAP + 0x60 * 8, 0b100n);
});

describe("accesses across pages", () => {
  test("a read assembles both parts", () => {
    machine.write32(0x20ffc, 0x4433_2211);
    machine.write32(0x40000, 0x8877_6655);
    expect(machine.core.readSlow(0x5ffcn, 8)).toBe(SCRATCH);
    expect(machine.host64(SCRATCH)).toBe(0x8877_6655_4433_2211n);
  });

  test("reads of 10 and 16 bytes", () => {
    machine.write64(0x20ff8, 0x0102_0304_0506_0708n);
    machine.write64(0x40000, 0x1112_1314_1516_1718n);
    expect(machine.core.readSlow(0x5ff8n, 16)).toBe(SCRATCH);
    expect(machine.host64(SCRATCH)).toBe(0x0102_0304_0506_0708n);
    expect(machine.host64(SCRATCH + 8)).toBe(0x1112_1314_1516_1718n);
    expect(machine.core.readSlow(0x5ff8n, 10)).toBe(SCRATCH);
  });

  test("a write splits", () => {
    expect(machine.core.writeSlow(0x5ffen, 4, 0x8877_6655n)).toBe(1);
    expect(machine.read16(0x20ffe)).toBe(0x6655);
    expect(machine.read16(0x40000)).toBe(0x8877);
  });

  test("writes of 16 and 10 bytes split", () => {
    expect(machine.core.writeSlow128(0x5ff4n, 0x1111_1111_2222_2222n, 0x3333_3333_4444_4444n)).toBe(1);
    expect(machine.read64(0x20ff4)).toBe(0x1111_1111_2222_2222n);
    expect(machine.read32(0x20ffc)).toBe(0x4444_4444);
    expect(machine.read32(0x40000)).toBe(0x3333_3333);
    expect(machine.core.writeSlow80(0x5ff8n, 0x5555_5555_6666_6666n, 0x7788n)).toBe(1);
    expect(machine.read64(0x20ff8)).toBe(0x5555_5555_6666_6666n);
    expect(machine.read32(0x40000)).toBe(0x3333_7788);
  });

  test("a write whose second page is absent writes nothing", () => {
    mapPage(machine, 6, 0, 0n);
    expect(machine.core.writeSlow(0x5ffen, 4, 0xffff_ffffn)).toBe(0);
    expect(machine.fault()).toBe("14(2) at 6000");
    expect(machine.read16(0x20ffe)).toBe(0);
  });

  test("a read faults at the first page first", () => {
    mapPage(machine, 5, 0, 0n);
    mapPage(machine, 6, 0, 0n);
    expect(machine.core.readSlow(0x5ffen, 4)).toBe(0);
    expect(machine.fault()).toBe("14(0) at 5ffe");
  });

  test("a read into the hole of the address space is #GP(0)", () => {
    expect(machine.core.readSlow(0x7fff_ffff_fffcn, 8)).toBe(0);
    // Though the part below the hole is not mapped.
    expect(machine.fault()).toBe("13(0)");
    machine.core.clearFault();
    mapPage(machine, 5, 0x20, P | RW);
    // The last page below the hole, mapped by the same tables.
    machine.write64(0x10_0000 + 255 * 8, machine.read64(0x10_0000));
    machine.write64(0x10_1000 + 511 * 8, machine.read64(0x10_1000));
    machine.write64(0x10_2000 + 511 * 8, machine.read64(0x10_2000));
    mapPage(machine, 511, 0x20, P | RW);
    expect(machine.core.readSlow(0x7fff_ffff_fffcn, 8)).toBe(0);
    expect(machine.fault()).toBe("13(0)");
  });
});

describe("device accesses", () => {
  test("go out in aligned pieces of 1, 2 and 4 bytes", () => {
    machine.deviceValue = (address) => address & 0xff;
    expect(machine.core.readSlow(0x7001n, 8)).toBe(SCRATCH);
    expect(machine.deviceLog).toEqual([
      "read e0000001 1",
      "read e0000002 2",
      "read e0000004 4",
      "read e0000008 1",
    ]);
    expect(machine.host64(SCRATCH)).toBe(0x08_0000_0004_0002_01n);
    expect(machine.get64(COUNT_DEVICE_ACCESS)).toBe(4n);
  });

  test("writes carry their values", () => {
    machine.core.writeSlow(0x7002n, 4, 0xaabb_ccddn);
    machine.core.writeSlow(0x7010n, 8, 0x1122_3344_5566_7788n);
    expect(machine.deviceLog).toEqual([
      "write e0000002 2 ccdd",
      "write e0000004 2 aabb",
      "write e0000010 4 55667788",
      "write e0000014 4 11223344",
    ]);
  });

  test("are never cached", () => {
    machine.core.readSlow(0x7000n, 4);
    machine.core.readSlow(0x7000n, 4);
    machine.core.writeSlow(0x7000n, 4, 1n);
    expect(machine.deviceLog).toEqual(["read e0000000 4", "read e0000000 4", "write e0000000 4 1"]);
    expect(machine.core.hostForRead(0x7000n)).toBe(0);
    expect(machine.core.hostForWrite(0x7000n)).toBe(0);
    expect(machine.fault()).toBe("none");
  });

  test("a write across RAM and a device reaches both", () => {
    machine.core.writeSlow(0x6ffen, 4, 0x4433_2211n);
    expect(machine.read16(0x40ffe)).toBe(0x2211);
    expect(machine.deviceLog).toEqual(["write e0000000 2 4433"]);
  });

  test("above 4 GiB nothing answers", () => {
    mapPage(machine, 7, 0x10_0000, P | RW);
    expect(machine.core.readLinear32(0x7000n)).toBe(0xffff_ffffn);
    machine.core.writeLinear32(0x7000n, 1n);
    expect(machine.deviceLog).toEqual([]);
  });

  test("the local APIC's page wins over RAM", () => {
    machine.set64(APIC_BASE, 0x20000n);
    machine.core.readLinear32(0x5020n);
    expect(machine.deviceLog).toEqual(["read 20020 4"]);
  });

  test("the end of RAM is where devices begin", () => {
    mapPage(machine, 7, RAM_BYTES >> 12, P | RW);
    machine.core.readLinear8(0x7000n);
    expect(machine.deviceLog).toEqual(["read 800000 1"]);
  });
});

describe("writes to code", () => {
  test("are told to the decoder after the bytes are written", () => {
    machine.core.writeSlow(0xa0b0n, 4, 0x1234_5678n);
    expect(machine.codeWrites).toEqual(["60 b0 b3"]);
    expect(machine.read32(0x600b0)).toBe(0x1234_5678);
    expect(machine.get64(COUNT_CODE_WRITE)).toBe(1n);
  });

  test("beside the code on its page are plain, and take the slow path again", () => {
    machine.core.writeSlow(0xa07cn, 4, 1n);
    machine.core.writeSlow(0xa0c0n, 4, 2n);
    expect(machine.read32(0x6007c)).toBe(1);
    expect(machine.read32(0x600c0)).toBe(2);
    expect(machine.codeWrites).toEqual([]);
    machine.core.writeLinear32(0xa080n, 3n);
    expect(machine.codeWrites).toEqual(["60 80 83"]);
  });

  test("that touch two chunks count if one is code", () => {
    machine.core.writeSlow(0xa07en, 4, 1n);
    expect(machine.codeWrites).toEqual(["60 7e 81"]);
  });

  test("whoever writes at the page's host address leaves the next store to the slow path", () => {
    expect(machine.core.hostForWrite(0xa000n)).toBe(GUEST_RAM + 0x60000);
    expect(machine.core.hostForRead(0xa000n)).toBe(GUEST_RAM + 0x60000);
    machine.core.writeLinear32(0xa080n, 3n);
    expect(machine.codeWrites).toEqual(["60 80 83"]);
  });

  test("a page that becomes code loses its write entries", () => {
    machine.core.writeLinear8(0x5000n, 1n);
    setPrivilege(machine, 3);
    mapPage(machine, 6, 0x20, P | RW | US);
    machine.core.flushTlb(1);
    setPrivilege(machine, 0);
    machine.core.writeLinear8(0x5000n, 1n);
    machine.core.writeLinear8(0x6000n, 1n);
    machine.setHost64(CODE_MAP + 0x20 * 8, 1n);
    machine.core.protectCodePage(0x20);
    machine.core.writeLinear8(0x5000n, 2n);
    machine.core.writeLinear8(0x6001n, 3n);
    expect(machine.codeWrites).toEqual(["20 0 0", "20 1 1"]);
  });

  test("physical writes are traced too", () => {
    machine.core.writePhysical64(0x60078n, 1n);
    machine.core.writePhysical32(0x6007en, 1n);
    expect(machine.codeWrites).toEqual(["60 7e 81"]);
  });
});

describe("read-modify-write", () => {
  test("in plain RAM is one host address, and needs no commit", () => {
    expect(machine.core.modifySlow(0x5010n, 8)).toBe(GUEST_RAM + 0x20010);
    expect(machine.core.commitWrite()).toBe(1);
  });

  test("across pages goes through SCRATCH", () => {
    machine.write16(0x20ffe, 0x2211);
    machine.write16(0x40000, 0x4433);
    expect(machine.core.modifySlow(0x5ffen, 4)).toBe(SCRATCH);
    expect(machine.host32(SCRATCH)).toBe(0x4433_2211);
    machine.setHost32(SCRATCH, 0x4433_2212);
    expect(machine.core.commitWrite()).toBe(1);
    expect(machine.read16(0x20ffe)).toBe(0x2212);
  });

  test("16 bytes across pages", () => {
    expect(machine.core.modifySlow(0x5ff8n, 16)).toBe(SCRATCH);
    machine.setHost64(SCRATCH, 1n);
    machine.setHost64(SCRATCH + 8, 2n);
    expect(machine.core.commitWrite()).toBe(1);
    expect(machine.read64(0x20ff8)).toBe(1n);
    expect(machine.read64(0x40000)).toBe(2n);
  });

  test("of a device reads, then writes", () => {
    machine.deviceValue = () => 0x10;
    expect(machine.core.modifySlow(0x7004n, 4)).toBe(SCRATCH);
    machine.setHost32(SCRATCH, machine.host32(SCRATCH) | 1);
    machine.core.commitWrite();
    expect(machine.deviceLog).toEqual(["read e0000004 4", "write e0000004 4 11"]);
  });

  test("of code is told to the decoder", () => {
    expect(machine.core.modifySlow(0xa080n, 1)).toBe(SCRATCH);
    machine.setHost32(SCRATCH, 0x90);
    machine.core.commitWrite();
    expect(machine.codeWrites).toEqual(["60 80 80"]);
    expect(machine.read8(0x60080)).toBe(0x90);
  });

  test("faults as a write, before anything is read", () => {
    expect(machine.core.modifySlow(0x9000n, 4)).toBe(0);
    expect(machine.fault()).toBe("14(3) at 9000");
  });
});

describe("prepareWrite", () => {
  test("accepts 512 bytes on two writable pages", () => {
    expect(machine.core.prepareWrite(0x5f00n, 512)).toBe(1);
    expect(machine.read64(0x20f00)).toBe(0n);
  });

  test("refuses when the second page is not writable", () => {
    mapPage(machine, 6, 0x40, P);
    expect(machine.core.prepareWrite(0x5f00n, 512)).toBe(0);
    expect(machine.fault()).toBe("14(3) at 6000");
  });
});
