import { expect, test } from "vitest";
import { ManualClock } from "../../bus/manual-clock.ts";
import { timeOfTickNs } from "../../bus/tick-time.ts";
import { PIT_HZ, Pit8254 } from "./pit8254.ts";

/** A PIT with the time in ticks and the rises of IRQ 0 counted. */
function pitOnClock() {
  const clock = new ManualClock();
  const seen = { level: false, rises: 0 };
  const irq0 = {
    set(on: boolean) {
      if (on && !seen.level) seen.rises++;
      seen.level = on;
    },
  };
  const pit = new Pit8254(clock, irq0);
  const toTick = (tick: number) => clock.advance(timeOfTickNs(tick, PIT_HZ) - clock.nowNs());
  const write = (offset: number, ...values: number[]) => {
    for (const value of values) pit.counters.writePort(offset, 1, value);
  };
  const read = (offset: number) => pit.counters.readPort(offset, 1);
  return { clock, pit, seen, toTick, write, read };
}

test("mode 2 interrupts every N ticks", () => {
  const { seen, toTick, write } = pitOnClock();
  write(3, 0x34);
  write(0, 1000 & 0xff, 1000 >> 8);
  seen.rises = 0;
  toTick(1000);
  expect(seen.rises).toBe(0);
  toTick(1001); // the count is loaded by the first pulse after the write
  expect(seen.rises).toBe(1);
  toTick(10_001);
  expect(seen.rises).toBe(10);
});

test("mode 2 counts from N down to 1", () => {
  const { toTick, write, read } = pitOnClock();
  write(3, 0x34);
  write(0, 10, 0);
  toTick(1);
  expect([read(0), read(0)]).toEqual([10, 0]);
  toTick(10);
  expect([read(0), read(0)]).toEqual([1, 0]);
  toTick(11);
  expect([read(0), read(0)]).toEqual([10, 0]);
});

test("a new count in mode 2 takes over at the end of the period", () => {
  const { seen, toTick, write } = pitOnClock();
  write(3, 0x34);
  write(0, 100, 0);
  seen.rises = 0;
  toTick(51);
  write(0, 10, 0);
  toTick(100);
  expect(seen.rises).toBe(0);
  toTick(101);
  expect(seen.rises).toBe(1);
  toTick(111);
  expect(seen.rises).toBe(2);
});

test("mode 3 is high for the first half and counts down by two", () => {
  const { seen, toTick, write, read } = pitOnClock();
  write(3, 0x16); // low byte only
  write(0, 10);
  toTick(1 + 4);
  expect(read(0)).toBe(2);
  write(3, 0xe2); // read back: status of counter 0
  expect(read(0)).toBe(0x96);
  toTick(1 + 5);
  expect(read(0)).toBe(10);
  write(3, 0xe2);
  expect(read(0)).toBe(0x16);
  seen.rises = 0;
  toTick(1 + 30);
  expect(seen.rises).toBe(3);
});

test("mode 0 raises OUT once, after N ticks, and the count runs on below zero", () => {
  const { seen, toTick, write, read } = pitOnClock();
  write(3, 0x30);
  write(0, 5, 0);
  expect(seen.level).toBe(false);
  toTick(6);
  expect(seen).toEqual({ level: true, rises: 1 });
  toTick(8);
  expect([read(0), read(0)]).toEqual([0xfe, 0xff]);
});

test("mode 4, Linux's one-shot, strobes once for each count written", () => {
  const { seen, toTick, write } = pitOnClock();
  write(3, 0x38);
  seen.rises = 0;
  seen.level = true;
  write(0, 100, 0);
  toTick(102);
  expect(seen.rises).toBe(1);
  toTick(1000);
  expect(seen.rises).toBe(1);
  write(0, 100, 0);
  toTick(1102);
  expect(seen.rises).toBe(2);
});

test("Linux's TSC calibration sees OUT 2 rise after the gate is opened and a count is written", () => {
  const { pit, toTick, write, read } = pitOnClock();
  pit.controlB.writePort(0, 1, 0x01); // gate on, speaker off
  write(3, 0xb0);
  write(2, 0xff, 0xff);
  expect(pit.controlB.readPort(0, 1) & 0x20).toBe(0);
  toTick(1 + 0x1ff);
  expect([read(2), read(2)]).toEqual([0x00, 0xfe]);
  toTick(1 + 0xffff);
  expect(pit.controlB.readPort(0, 1) & 0x21).toBe(0x21);
});

test("a closed gate stops mode 0 and lets it go on", () => {
  const { pit, toTick, write, read } = pitOnClock();
  pit.controlB.writePort(0, 1, 1);
  write(3, 0x90); // counter 2, low byte, mode 0
  write(2, 200);
  toTick(51);
  pit.controlB.writePort(0, 1, 0);
  toTick(1000);
  expect(read(2)).toBe(150);
  pit.controlB.writePort(0, 1, 1);
  toTick(1010);
  expect(read(2)).toBe(140);
});

test("mode 1 goes low for N ticks at each rise of the gate", () => {
  const { pit, toTick, write } = pitOnClock();
  write(3, 0x92); // counter 2, low byte, mode 1
  write(2, 20);
  expect(pit.controlB.readPort(0, 1) & 0x20).toBe(0x20);
  pit.controlB.writePort(0, 1, 1);
  toTick(20);
  expect(pit.controlB.readPort(0, 1) & 0x20).toBe(0);
  toTick(21);
  expect(pit.controlB.readPort(0, 1) & 0x20).toBe(0x20);
});

test("a latched count stays until both bytes are read", () => {
  const { toTick, write, read } = pitOnClock();
  write(3, 0x34);
  write(0, 0, 0); // 65536
  toTick(1 + 0x10);
  write(3, 0x00); // latch counter 0
  toTick(1000);
  expect([read(0), read(0)]).toEqual([0xf0, 0xff]);
  expect([read(0), read(0)]).not.toEqual([0xf0, 0xff]);
});

test("BCD counts from 1000 to 0999", () => {
  const { toTick, write, read } = pitOnClock();
  write(3, 0x31); // mode 0, BCD
  write(0, 0x00, 0x10);
  toTick(2);
  expect([read(0), read(0)]).toEqual([0x99, 0x09]);
});

test("periods missed in a stall are made up for one by one, those of the last quarter second", () => {
  const { clock, seen, write } = pitOnClock();
  write(3, 0x34);
  write(0, 11932 & 0xff, 11932 >> 8); // 100 Hz
  seen.rises = 0;
  clock.stall(101_000_000);
  for (let i = 0; i < 20; i++) clock.runDue();
  expect(seen.rises).toBe(10);
  seen.rises = 0;
  clock.stall(10_000_000_000);
  for (let i = 0; i < 100; i++) clock.runDue();
  expect(seen.rises).toBe(26);
});

test("without a listener nothing is scheduled", () => {
  const clock = new ManualClock();
  const pit = new Pit8254(clock, undefined);
  pit.counters.writePort(3, 1, 0x14);
  pit.counters.writePort(0, 1, 100);
  expect(clock.nextDeadlineNs()).toBe(undefined);
});

test("a restored PIT interrupts at the time the saved one would have", () => {
  const { clock, pit, write } = pitOnClock();
  write(3, 0x34);
  write(0, 100, 0);
  const restoredClock = new ManualClock();
  new Pit8254(restoredClock, { set() {} }, pit.state);
  expect(restoredClock.nextDeadlineNs()).toBe(clock.nextDeadlineNs());
});
