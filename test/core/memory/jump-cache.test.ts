import { beforeEach, describe, expect, test } from "vitest";
import { MODE_KEY, SEG_CS } from "../../../src/layout/cpu-state.ts";
import {
  JUMP_CACHE,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_RECORD,
  LINK_SLOT_BYTES,
  LINK_SLOTS,
} from "../../../src/layout/memory-map.ts";
import { CoreMachine } from "./core-machine.ts";
import {
  G,
  KERNEL,
  longModeMachine,
  mapKernelPage,
  mapPage,
  P,
  PD,
  PS,
  RW,
  setPrivilege,
  US,
} from "./long-mode-paging.ts";

// Page 5 is the user's code; kernel page 1 is global, kernel page 2 is not.
let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, 5, 0x20, P | RW | US);
  mapKernelPage(machine, 1, 0x30, P | RW | G);
  mapKernelPage(machine, 2, 0x31, P | RW);
});

function supervisorKey(): bigint {
  setPrivilege(machine, 0);
  return machine.get64(MODE_KEY);
}

function userKey(): bigint {
  setPrivilege(machine, 3);
  return machine.get64(MODE_KEY);
}

function executeAsUser(va: bigint): void {
  setPrivilege(machine, 3);
  machine.core.translateExecute(va);
}

function executeAsSupervisor(va: bigint): void {
  setPrivilege(machine, 0);
  machine.core.translateExecute(va);
}

describe("the mode key", () => {
  test("holds paging, code size, CPL in bits 62 to 58, and nothing below bit 48", () => {
    expect(supervisorKey() >> 58n).toBe(0b11100n);
    expect(userKey() >> 58n).toBe(0b11111n);
    machine.setSegment(SEG_CS, 0x23, 0n, 0xffff_ffff, 0xc0fb);
    expect(userKey() >> 58n).toBe(0b11011n);
    expect(userKey() & 0xffff_ffff_ffffn).toBe(0n);
  });

  test("has a clear top bit after RESET and is not 0", () => {
    const fresh = new CoreMachine();
    expect(fresh.get64(MODE_KEY) >> 58n).toBe(0b00100n);
  });
});

describe("a CR3 write", () => {
  test("with PGE ends the user's generation, not the supervisor's", () => {
    const before = [userKey(), supervisorKey()];
    machine.core.flushTlb(1);
    expect(userKey()).not.toBe(before[0]);
    expect(supervisorKey()).toBe(before[1]);
  });

  test("with PGE keeps the supervisor's when only global code ran", () => {
    executeAsSupervisor(KERNEL + 0x1000n);
    const before = supervisorKey();
    machine.core.flushTlb(1);
    expect(supervisorKey()).toBe(before);
  });

  test("with PGE ends the supervisor's once when code that is not global ran", () => {
    executeAsSupervisor(KERNEL + 0x2000n);
    const before = supervisorKey();
    machine.core.flushTlb(1);
    const after = supervisorKey();
    expect(after).not.toBe(before);
    machine.core.flushTlb(1);
    expect(supervisorKey()).toBe(after);
  });

  test("a hit of the TLB is noted like a walk", () => {
    machine.core.readLinear8(KERNEL + 0x2000n);
    executeAsSupervisor(KERNEL + 0x2000n);
    const before = supervisorKey();
    machine.core.flushTlb(1);
    expect(supervisorKey()).not.toBe(before);
  });

  test("without PGE ends both", () => {
    const before = [userKey(), supervisorKey()];
    machine.core.flushTlb(0);
    expect(userKey()).not.toBe(before[0]);
    expect(supervisorKey()).not.toBe(before[1]);
  });
});

describe("INVLPG", () => {
  test("of a page that only the user executed ends the user's generation", () => {
    executeAsUser(0x5000n);
    const before = [userKey(), supervisorKey()];
    machine.core.invalidatePage(0x5000n);
    expect(userKey()).not.toBe(before[0]);
    expect(supervisorKey()).toBe(before[1]);
  });

  test("tells pages apart all over the address space", () => {
    mapPage(machine, 500, 0x20, P | RW | US);
    machine.write64(PD + 300 * 8, P | RW | US | PS);
    executeAsUser(0x1f_4000n);
    const first = userKey();
    machine.core.invalidatePage(0x1f_5000n);
    expect(userKey()).toBe(first);
    machine.core.invalidatePage(0x1f_4000n);
    expect(userKey()).not.toBe(first);
    executeAsUser(0x2580_0000n);
    const second = userKey();
    machine.core.invalidatePage(0x25a0_0000n);
    expect(userKey()).toBe(second);
    machine.core.invalidatePage(0x2581_0000n);
    expect(userKey()).not.toBe(second);
  });

  test("of a page that nobody executed ends none", () => {
    executeAsUser(0x5000n);
    const before = [userKey(), supervisorKey()];
    machine.core.invalidatePage(0x6000n);
    expect([userKey(), supervisorKey()]).toEqual(before);
  });

  test("elsewhere in an executed large page ends the generation", () => {
    machine.write64(PD + 8, P | RW | US | PS);
    executeAsUser(0x20_1000n);
    const before = userKey();
    machine.core.invalidatePage(0x3f_f000n);
    expect(userKey()).not.toBe(before);
  });

  test("of a supervisor's page ends the supervisor's generation", () => {
    executeAsSupervisor(KERNEL + 0x1000n);
    const before = [userKey(), supervisorKey()];
    machine.core.invalidatePage(KERNEL + 0x1000n);
    expect(userKey()).toBe(before[0]);
    expect(supervisorKey()).not.toBe(before[1]);
  });
});

describe("when the user's generations are used up", () => {
  const LAST_OF_USER = 1023;
  /** The machine's start has used generation 0. */
  const useUp = (): void => {
    for (let generation = 2; generation <= LAST_OF_USER; generation++) machine.core.flushTlb(1);
  };

  test("entries and slots of programs are voided, and their places and counts stay", () => {
    const first = userKey();
    const tag = 0x40_1234n ^ userKey();
    for (const at of [JUMP_CACHE, LINK_SLOTS]) machine.setHost64(at, tag);
    machine.setHost64(JUMP_CACHE + JUMP_RECORD, (77n << 32n) | 0x20n);
    useUp();
    expect(machine.host64(JUMP_CACHE)).toBe(tag);
    expect(userKey() - first).toBe(1022n << 48n);
    machine.core.flushTlb(1);
    for (const at of [JUMP_CACHE, LINK_SLOTS])
      expect(machine.host64(at) & 0xffff_ffff_ffff_ffffn).toBe(0xffff_0000_0040_1234n);
    expect(machine.host64(JUMP_CACHE + JUMP_RECORD) >> 32n).toBe(77n);
    expect(first - userKey()).toBe(1n << 48n);
  });

  test("those of the supervisor stay, in either half of the address space", () => {
    const tags = [KERNEL ^ supervisorKey(), 0x40_1000n ^ supervisorKey()];
    for (const [n, tag] of tags.entries()) {
      machine.setHost64(JUMP_CACHE + n * JUMP_CACHE_ENTRY_BYTES, tag);
      machine.setHost64(LINK_SLOTS + n * LINK_SLOT_BYTES, tag);
    }
    const before = tags.map((_, n) => machine.host64(JUMP_CACHE + n * JUMP_CACHE_ENTRY_BYTES));
    useUp();
    machine.core.flushTlb(1);
    expect(tags.map((_, n) => machine.host64(JUMP_CACHE + n * JUMP_CACHE_ENTRY_BYTES))).toEqual(before);
    expect(tags.map((_, n) => machine.host64(LINK_SLOTS + n * LINK_SLOT_BYTES))).toEqual(before);
  });
});
