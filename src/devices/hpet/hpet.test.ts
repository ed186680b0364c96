import { expect, test } from "vitest";
import { ManualClock } from "../../bus/manual-clock.ts";
import { Hpet } from "./hpet.ts";

/** An HPET whose lines log their rises and falls. */
function hpetOnClock() {
  const clock = new ManualClock();
  const log: string[] = [];
  const line = (name: string) => ({
    set: (on: boolean) => {
      log.push(`${name} ${on ? "up" : "down"}`);
    },
  });
  const interrupts = Array.from({ length: 24 }, (_, input) => line(`input ${input}`));
  const legacy = {
    irq0: line("irq0"),
    irq8: line("irq8"),
    replaced: (on: boolean) => {
      log.push(`replaced ${on}`);
    },
  };
  const hpet = new Hpet(clock, interrupts, legacy);
  const read = (offset: number) => hpet.readMemory(offset, 4);
  const write = (offset: number, value: number) => hpet.writeMemory(offset, 4, value);
  return { clock, hpet, log, read, write };
}

test("the capabilities tell three timers, 64 bits, legacy routing and 100 MHz", () => {
  const { hpet, read } = hpetOnClock();
  expect(read(0x000)).toBe(0x8086a201);
  expect(read(0x004)).toBe(10_000_000);
  expect(read(0x100)).toBe(0x30);
  expect(read(0x104)).toBe(0x00f00000);
  expect(hpet.readMemory(0x002, 2)).toBe(0x8086);
});

test("the counter runs when enabled, stops when disabled, and is set while stopped", () => {
  const { clock, read, write } = hpetOnClock();
  clock.advance(1000);
  expect(read(0x0f0)).toBe(0);
  write(0x010, 1);
  clock.advance(1000);
  expect(read(0x0f0)).toBe(100);
  write(0x0f0, 7); // ignored: running
  expect(read(0x0f0)).toBe(100);
  write(0x010, 0);
  clock.advance(1000);
  expect(read(0x0f0)).toBe(100);
  write(0x0f0, 7);
  write(0x0f4, 9);
  expect([read(0x0f0), read(0x0f4)]).toEqual([7, 9]);
});

test("a 64-bit read in two halves does not see the carry between them", () => {
  const { clock, read, write } = hpetOnClock();
  write(0x0f0, 0xffffffff);
  write(0x010, 1);
  expect(read(0x0f0)).toBe(0xffffffff);
  clock.advance(10);
  expect(read(0x0f4)).toBe(0);
  expect(read(0x0f4)).toBe(1);
});

test("a one-shot timer pulses its line once at the comparator", () => {
  const { clock, log, write } = hpetOnClock();
  write(0x120, 0x04 | (21 << 9)); // timer 1: edge, enabled, input 21
  write(0x128, 500);
  write(0x12c, 0);
  write(0x010, 1);
  log.length = 0;
  clock.advance(4990);
  expect(log).toEqual([]);
  clock.advance(10);
  expect(log).toEqual(["input 21 up", "input 21 down"]);
  clock.advance(1_000_000);
  expect(log.length).toBe(2);
});

test("Linux's periodic mode: VAL_SET makes the first write the comparator, the second is the period", () => {
  const { clock, log, read, write } = hpetOnClock();
  write(0x010, 3); // enabled, legacy replacement
  expect(log).toEqual(["replaced true"]);
  write(0x100, 0x14c); // enabled, periodic, VAL_SET, 32 bits
  write(0x108, 1000);
  write(0x108, 100);
  log.length = 0;
  clock.advance(10_000);
  expect(log).toEqual(["irq0 up", "irq0 down"]);
  expect(read(0x108)).toBe(1100);
  clock.advance(3_000);
  expect(log.length).toBe(8);
});

test("a level-triggered timer holds its line until its status bit is cleared", () => {
  const { clock, log, read, write } = hpetOnClock();
  write(0x140, 0x06 | (22 << 9)); // timer 2: level, enabled
  write(0x148, 50);
  write(0x14c, 0);
  write(0x010, 1);
  log.length = 0;
  clock.advance(500);
  expect(log).toEqual(["input 22 up"]);
  expect(read(0x020)).toBe(0b100);
  write(0x020, 0b100);
  expect(log.at(-1)).toBe("input 22 down");
  expect(read(0x020)).toBe(0);
});

test("a comparator that the counter has passed waits for the next turn", () => {
  const { clock, log, write } = hpetOnClock();
  write(0x010, 1);
  clock.advance(1000);
  write(0x100, 0x104 | (20 << 9)); // 32 bits
  write(0x108, 99); // the counter is at 100
  log.length = 0;
  clock.advance(1_000_000_000);
  expect(log).toEqual([]);
  clock.advance(42_000_000_000); // 2**32 ticks take 42.9 s
  expect(log).toEqual(["input 20 up", "input 20 down"]);
});

test("after a stall a periodic timer makes up for the periods it missed and keeps its phase", () => {
  const { clock, log, read, write } = hpetOnClock();
  write(0x010, 1);
  write(0x100, 0x14c | (20 << 9));
  write(0x108, 100);
  write(0x108, 100);
  log.length = 0;
  clock.stall(10_550);
  for (let i = 0; i < 20; i++) clock.runDue();
  expect(log.length).toBe(20); // ten pulses
  expect(read(0x108)).toBe(1100);
});

test("a restored HPET fires when the saved one would have", () => {
  const { clock, hpet, write } = hpetOnClock();
  write(0x010, 1);
  write(0x100, 0x104 | (20 << 9));
  write(0x108, 100);
  const restoredClock = new ManualClock();
  new Hpet(restoredClock, [], undefined, hpet.state);
  expect(restoredClock.nextDeadlineNs()).toBe(1000);
  expect(clock.nextDeadlineNs()).toBe(1000);
});

test("a periodic timer goes on after the host has stood still in the middle of its interrupt", () => {
  const inner = new ManualClock();
  let interrupts = 0;
  let stalledNs = 0;
  let stallNs = 0;
  const clock = {
    nowNs: () => {
      stalledNs += stallNs;
      return inner.nowNs() + stalledNs;
    },
    schedule: (atNs: number, callback: () => void) => inner.schedule(atNs - stalledNs, callback),
  };
  const line = { set: (on: boolean) => (interrupts += on ? 1 : 0) };
  const none = { set: () => {} };
  const hpet = new Hpet(clock, [], { irq0: line, irq8: none, replaced: () => {} });
  hpet.writeMemory(0x100, 4, 0x14c); // interrupts on, periodic, comparator to be set, 32 bits
  hpet.writeMemory(0x108, 4, 400_000); // every 4 ms
  hpet.writeMemory(0x010, 4, 3);
  stallNs = 10_000_000; // between two looks at the clock
  inner.advance(4_000_000);
  stallNs = 0;
  const before = interrupts;
  inner.advance(20_000_000);
  expect(before).toBeGreaterThan(0);
  expect(interrupts - before).toBeGreaterThanOrEqual(5);
});
