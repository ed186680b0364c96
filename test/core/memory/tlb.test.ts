import { beforeEach, describe, expect, test } from "vitest";
import { COUNT_PAGE_WALK, CR0 } from "../../../src/layout/cpu-state.ts";
import {
  CODE_MAP,
  TLB_BANK_SUPERVISOR_AC,
  TLB_FILL_LIST,
  TLB_WRITE,
} from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "./core-machine.ts";
import {
  CR0_PAGING,
  G,
  longModeMachine,
  mapPage,
  P,
  PD,
  PDPT,
  PML4,
  PS,
  PT,
  RW,
  setPrivilege,
  US,
} from "./long-mode-paging.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  machine.write64(0x20000, 0x20n);
  machine.write64(0x21000, 0x21n);
  mapPage(machine, 5, 0x20, P | RW | US);
});

describe("coherence", () => {
  test("a changed entry is not seen before an invalidation", () => {
    expect(machine.core.readLinear64(0x5000n)).toBe(0x20n);
    mapPage(machine, 5, 0x21, P | RW | US);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x20n);
    machine.core.invalidatePage(0x5123n);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x21n);
  });

  test("INVLPG reaches every bank, reads and writes", () => {
    machine.core.writeLinear8(0x5008n, 0n);
    setPrivilege(machine, 3);
    machine.core.readLinear64(0x5000n);
    mapPage(machine, 5, 0x21, P | RW | US);
    machine.core.invalidatePage(0x5000n);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x21n);
    setPrivilege(machine, 0);
    machine.core.writeLinear8(0x5008n, 0x77n);
    expect(machine.read8(0x21008)).toBe(0x77);
  });

  test("INVLPG leaves other pages alone", () => {
    mapPage(machine, 6, 0x22, P | RW);
    machine.core.readLinear64(0x5000n);
    machine.core.readLinear64(0x6000n);
    machine.core.invalidatePage(0x5000n);
    machine.core.readLinear64(0x6000n);
    expect(machine.get64(COUNT_PAGE_WALK)).toBe(2n);
  });

  test("a CR3 write with PGE forgets pages that are not global, and keeps global ones", () => {
    mapPage(machine, 6, 0x20, P | RW | G);
    machine.core.readLinear64(0x5000n);
    machine.core.readLinear64(0x6000n);
    mapPage(machine, 5, 0x21, P | RW);
    mapPage(machine, 6, 0x21, P | RW | G);
    machine.core.flushTlb(1);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x21n);
    expect(machine.core.readLinear64(0x6000n)).toBe(0x20n);
    machine.core.flushTlb(0);
    expect(machine.core.readLinear64(0x6000n)).toBe(0x21n);
  });

  test("INVLPG forgets global pages", () => {
    mapPage(machine, 6, 0x20, P | RW | G);
    machine.core.readLinear64(0x6000n);
    mapPage(machine, 6, 0x21, P | RW | G);
    machine.core.invalidatePage(0x6000n);
    expect(machine.core.readLinear64(0x6000n)).toBe(0x21n);
  });

  test("INVLPG anywhere in a 2 MiB page forgets all of it", () => {
    machine.write64(PD + 8, P | RW | PS);
    machine.write64(0x43_3000, 0x43n);
    machine.write64(0x03_3000, 0x03n);
    expect(machine.core.readLinear64(0x23_3000n)).toBe(0x03n);
    machine.write64(PD + 8, 0x40_0000n | P | RW | PS);
    machine.core.invalidatePage(0x20_0000n);
    expect(machine.core.readLinear64(0x23_3000n)).toBe(0x43n);
  });

  test("INVLPG in a 2 MiB page leaves its neighbours alone", () => {
    machine.write64(PD + 300 * 8, P | RW | PS);
    machine.write64(PD + 301 * 8, P | RW | PS);
    machine.core.readLinear8(0x2580_0000n);
    machine.core.readLinear8(0x25a0_0000n);
    machine.write64(PD + 300 * 8, 0n);
    machine.write64(PD + 301 * 8, 0n);
    machine.core.invalidatePage(0x2580_1000n);
    machine.core.readLinear8(0x25a0_0000n);
    expect(machine.fault()).toBe("none");
    machine.core.readLinear8(0x2580_0000n);
    expect(machine.fault()).toBe("14(0) at 25800000");
  });

  test("INVLPG anywhere in a 1 GiB page forgets all of it", () => {
    machine.write64(PDPT + 8, P | RW | PS);
    machine.core.readLinear64(0x4012_3000n);
    machine.write64(PDPT + 8, 0n);
    machine.core.invalidatePage(0x7fff_f000n);
    machine.core.readLinear64(0x4012_3000n);
    expect(machine.fault()).toBe("14(0) at 40123000");
  });

  test("an entry that was local and became global is flushed with the global ones only", () => {
    machine.core.readLinear64(0x5000n);
    mapPage(machine, 5, 0x21, P | RW | G);
    machine.core.invalidatePage(0x5000n);
    machine.core.readLinear64(0x5000n);
    mapPage(machine, 5, 0x20, P | RW | G);
    machine.core.flushTlb(1);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x21n);
    machine.core.flushTlb(0);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x20n);
  });

  test("addresses of one index replace each other", () => {
    // The page number modulo 4096: 0x5000 and 0x1005000 both have index 5. One page table maps both.
    machine.write64(PD + 8 * 8, BigInt(PT) | P | RW);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x20n);
    expect(machine.core.readLinear64(0x100_5000n)).toBe(0x20n);
    expect(machine.core.readLinear64(0x5000n)).toBe(0x20n);
    expect(machine.get64(COUNT_PAGE_WALK)).toBe(3n);
  });
});

describe("fill list", () => {
  test("an entry that is emptied and filled again stands in it once", () => {
    for (let times = 0; times < 1000; times++) {
      machine.core.readLinear64(0x5000n);
      machine.core.invalidatePage(0x5000n);
    }
    expect(machine.host32(TLB_FILL_LIST)).toBe(1);
    expect(machine.host32(TLB_FILL_LIST + 4)).toBe(TLB_BANK_SUPERVISOR_AC + 0x50);
  });

  test("is empty after a flush, and so are the tables", () => {
    machine.core.readLinear64(0x5000n);
    machine.core.writeLinear64(0x5000n, 1n);
    machine.core.flushTlb(0);
    expect(machine.host32(TLB_FILL_LIST)).toBe(0);
    expect(machine.host64(TLB_BANK_SUPERVISOR_AC + 0x50)).toBe(0x4000n);
    expect(machine.host64(TLB_BANK_SUPERVISOR_AC + TLB_WRITE + 0x50)).toBe(0x4000n);
  });
});

test("an empty entry holds a tag that no address of its index has", () => {
  expect(machine.host64(TLB_BANK_SUPERVISOR_AC)).toBe(0x1000n);
  expect(machine.host64(TLB_BANK_SUPERVISOR_AC + 16)).toBe(0n);
  expect(machine.host64(TLB_BANK_SUPERVISOR_AC + 16 * 4095)).toBe(0xffe000n);
});

test("user and supervisor entries are apart", () => {
  mapPage(machine, 5, 0x20, P | RW);
  machine.core.readLinear64(0x5000n);
  setPrivilege(machine, 3);
  machine.core.readLinear64(0x5000n);
  expect(machine.fault()).toBe("14(5) at 5000");
});

test("without paging, addresses are physical ones", () => {
  machine.write64(PML4, 0n);
  machine.set64(CR0, CR0_PAGING & 0x11n);
  machine.core.flushTlb(0);
  expect(machine.core.readLinear64(0x2_1000n)).toBe(0x21n);
});

describe("pages with decoded code", () => {
  /** The page at physical 0x20000 holds code in its first 64 bytes, or no more. */
  const setCode = (bits: bigint) => machine.setHost64(CODE_MAP + 0x20 * 8, bits);
  const WRITE_ENTRY = TLB_BANK_SUPERVISOR_AC + TLB_WRITE + 0x50;

  test("a traced store walks the page tables once, and is told to the decoder each time", () => {
    setCode(1n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    machine.core.writeSlow(0x5001n, 1, 2n);
    expect(machine.codeWrites).toEqual(["20 0 0", "20 1 1"]);
    expect(machine.get64(COUNT_PAGE_WALK)).toBe(1n);
    expect(machine.read16(0x20000)).toBe(0x0201);
  });

  test("no address has the tag of a traced entry's index", () => {
    setCode(1n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    expect(machine.host64(WRITE_ENTRY)).toBe(0x4000n);
  });

  test("a store after the last code has gone makes the entry an ordinary one", () => {
    setCode(1n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    setCode(0n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    expect(machine.host64(WRITE_ENTRY)).toBe(0x5000n);
    expect(machine.get64(COUNT_PAGE_WALK)).toBe(1n);
  });

  test("INVLPG and flushes forget traced entries", () => {
    setCode(1n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    mapPage(machine, 5, 0x21, P | RW);
    machine.core.invalidatePage(0x5000n);
    machine.core.writeSlow(0x5008n, 1, 7n);
    expect(machine.read8(0x21008)).toBe(7);
    setCode(1n);
    mapPage(machine, 5, 0x20, P | RW);
    machine.core.flushTlb(0);
    machine.core.writeSlow(0x5010n, 1, 8n);
    expect(machine.read8(0x20010)).toBe(8);
  });

  test("protecting a page reaches every entry that maps it, again and again", () => {
    mapPage(machine, 6, 0x20, P | RW);
    for (let times = 0; times < 3; times++) {
      setCode(0n);
      machine.core.writeSlow(0x5000n, 1, 1n);
      machine.core.writeSlow(0x6000n, 1, 1n);
      setCode(1n);
      machine.core.protectCodePage(0x20);
      machine.core.writeLinear8(0x5000n, 1n);
      machine.core.writeLinear8(0x6001n, 1n);
      expect(machine.codeWrites.splice(0)).toEqual(["20 0 0", "20 1 1"]);
    }
  });

  test("protecting a page whose entry was emptied or maps another page harms nobody", () => {
    machine.core.writeSlow(0x5000n, 1, 1n);
    machine.core.invalidatePage(0x5000n);
    machine.core.protectCodePage(0x20);
    expect(machine.host64(WRITE_ENTRY)).toBe(0x4000n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    mapPage(machine, 5, 0x21, P | RW);
    machine.core.invalidatePage(0x5000n);
    machine.core.writeSlow(0x5000n, 1, 1n);
    machine.core.protectCodePage(0x20);
    expect(machine.host64(WRITE_ENTRY)).toBe(0x5000n);
  });
});
