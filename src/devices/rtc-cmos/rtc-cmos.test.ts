import { expect, test } from "vitest";
import { ManualClock } from "../../bus/manual-clock.ts";
import { RtcCmos } from "./rtc-cmos.ts";

/** An RTC at the given time, the wall clock moving with the clock. */
function rtcAt(iso: string) {
  const clock = new ManualClock();
  const base = Date.parse(iso);
  const line = { level: false, rises: 0 };
  const irq = {
    set(on: boolean) {
      if (on && !line.level) line.rises++;
      line.level = on;
    },
  };
  const unixTimeMs = () => base + clock.nowNs() / 1e6;
  const rtc = new RtcCmos(clock, unixTimeMs, irq);
  const read = (index: number) => {
    rtc.writePort(0, 1, index);
    return rtc.readPort(1, 1);
  };
  const write = (index: number, value: number) => {
    rtc.writePort(0, 1, index);
    rtc.writePort(1, 1, value);
  };
  return { clock, line, rtc, read, write, unixTimeMs };
}

test("the calendar reads in BCD and 24-hour form", () => {
  const { read } = rtcAt("2026-11-22T21:58:37Z");
  expect([0x32, 9, 8, 7, 4, 2, 0].map(read)).toEqual([0x20, 0x26, 0x11, 0x22, 0x21, 0x58, 0x37]);
  expect(read(6)).toBe(1); // Sunday
  expect(read(0x0d)).toBe(0x80);
});

test("binary and 12-hour form", () => {
  const { read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(0x0b, 0x04); // binary, 12 hours
  expect([9, 4, 2].map(read)).toEqual([26, 0x80 | 9, 58]);
  const midnight = rtcAt("2026-01-01T00:00:00Z");
  midnight.write(0x0b, 0x00);
  expect(midnight.read(4)).toBe(0x12);
});

test("a time set as Linux does it runs on from there, the first second ending half a second later", () => {
  const { clock, read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(0x0b, 0x82); // SET
  write(0x0a, 0x70); // divider in reset
  for (const [index, value] of [
    [9, 0x99],
    [8, 0x12],
    [7, 0x31],
    [4, 0x23],
    [2, 0x59],
    [0, 0x59],
  ] as const) {
    write(index, value);
  }
  clock.advance(5_000_000_000);
  expect(read(0)).toBe(0x59);
  write(0x0b, 0x02);
  write(0x0a, 0x26);
  clock.advance(499_000_000);
  expect([9, 0].map(read)).toEqual([0x99, 0x59]);
  clock.advance(1_000_000);
  expect([0x32, 9, 8, 7, 4, 2, 0].map(read)).toEqual([0x21, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]);
});

test("clearing SET keeps the place within the second", () => {
  const { clock, read, write } = rtcAt("2026-11-22T21:58:37.750Z");
  write(0x0b, 0x82);
  write(0, 0x10);
  write(0x0b, 0x02);
  clock.advance(249_000_000);
  expect(read(0)).toBe(0x10);
  clock.advance(1_000_000);
  expect(read(0)).toBe(0x11);
});

test("UIP is set shortly before the second ends", () => {
  const { clock, read } = rtcAt("2026-11-22T21:58:37Z");
  clock.advance(997_000_000);
  expect(read(0x0a)).toBe(0x26);
  clock.advance(1_500_000);
  expect(read(0x0a)).toBe(0xa6);
  clock.advance(1_500_000);
  expect(read(0x0a)).toBe(0x26);
});

test("the update interrupt comes each second; reading C lowers the line", () => {
  const { clock, line, read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(0x0b, 0x12); // UIE
  clock.advance(999_999_999);
  expect(line.level).toBe(false);
  clock.advance(1);
  expect(line.level).toBe(true);
  expect(read(0x0c) & 0x90).toBe(0x90);
  expect(line.level).toBe(false);
  expect(read(0x0c)).toBe(0);
  clock.advance(1_000_000_000);
  expect(line.rises).toBe(2);
});

test("the periodic interrupt runs at the selected rate", () => {
  const { clock, line, read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(0x0b, 0x42); // PIE, rate 6: 1024 Hz
  for (let i = 0; i < 3; i++) {
    clock.advance(976_563);
    expect(read(0x0c)).toBe(0xc0);
  }
  expect(line.rises).toBe(3);
});

test("flags appear without their interrupts, and without a timer", () => {
  const { clock, line, read } = rtcAt("2026-11-22T21:58:37Z");
  expect(clock.nextDeadlineNs()).toBe(undefined);
  clock.advance(1_000_000_000);
  expect(read(0x0c)).toBe(0x50);
  expect(line.rises).toBe(0);
});

test("the alarm matches its three registers, 0xc0 and above matching anything", () => {
  const { clock, line, read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(1, 0x40);
  write(3, 0xff);
  write(5, 0xff);
  write(0x0b, 0x22); // AIE
  clock.advance(2_000_000_000);
  expect(line.level).toBe(false);
  clock.advance(1_000_000_000);
  expect(line.level).toBe(true);
  expect(read(0x0c) & 0xa0).toBe(0xa0);
  clock.advance(60_000_000_000);
  expect(line.rises).toBe(2);
});

test("CMOS memory keeps its bytes and the NMI mask bit does not change the index", () => {
  const { rtc, read, write } = rtcAt("2026-11-22T21:58:37Z");
  write(0x80 | 0x40, 0xab);
  expect(read(0x40)).toBe(0xab);
  rtc.setByte(0x34, 0x12);
  expect(read(0x34)).toBe(0x12);
});

test("a restored RTC keeps the time that the guest set", () => {
  const { rtc, write, unixTimeMs } = rtcAt("2026-11-22T21:58:37Z");
  write(4, 0x03);
  const restored = new RtcCmos(new ManualClock(), unixTimeMs, { set() {} }, rtc.state);
  restored.writePort(0, 1, 4);
  expect(restored.readPort(1, 1)).toBe(0x03);
});
