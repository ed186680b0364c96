import { expect, test } from "vitest";
import { ManualClock } from "../../bus/manual-clock.ts";
import { Uart16550 } from "./uart16550.ts";

/** A UART with OUT2 set, so that its interrupt is let through. */
function uartOnLine() {
  const clock = new ManualClock();
  const levels: boolean[] = [];
  const sent: number[] = [];
  const uart = new Uart16550({ set: (on) => levels.push(on) }, { write: (byte) => sent.push(byte) }, clock);
  uart.writePort(4, 1, 0x08); // MCR: OUT2
  return { clock, levels, sent, uart };
}

test("Linux's probe finds a 16550A: IER keeps four bits, loopback shows in MSR, IIR shows FIFOs", () => {
  const { uart } = uartOnLine();
  uart.writePort(1, 1, 0xff);
  expect(uart.readPort(1, 1)).toBe(0x0f);
  uart.writePort(1, 1, 0);
  uart.writePort(4, 1, 0x1a); // LOOP, OUT2, RTS
  expect(uart.readPort(6, 1) & 0xf0).toBe(0x90); // DCD, CTS
  uart.writePort(2, 1, 0x01);
  expect(uart.readPort(2, 1)).toBe(0xc1);
  uart.writePort(7, 1, 0x5a);
  expect(uart.readPort(7, 1)).toBe(0x5a);
});

test("Linux's THRE test: enabling the interrupt anew raises it anew", () => {
  const { uart, levels } = uartOnLine();
  uart.writePort(1, 1, 0b10);
  expect(uart.readPort(2, 1)).toBe(0b0010);
  uart.writePort(1, 1, 0);
  uart.writePort(1, 1, 0b10);
  expect(levels.at(-1)).toBe(true);
  expect(uart.readPort(2, 1)).toBe(0b0010);
  expect(uart.readPort(2, 1)).toBe(0b0001);
  expect(levels.at(-1)).toBe(false);
});

test("each transmitted byte makes a new edge of the THR-empty interrupt", () => {
  const { uart, levels, sent } = uartOnLine();
  uart.writePort(1, 1, 0b10);
  uart.readPort(2, 1);
  levels.length = 0;
  uart.writePort(0, 1, 0x41);
  uart.writePort(0, 1, 0x42);
  expect(sent).toEqual([0x41, 0x42]);
  expect(levels).toEqual([false, true, false, true]);
  expect(uart.readPort(5, 1)).toBe(0x60);
});

test("the divisor latch hides behind DLAB", () => {
  const { uart, sent } = uartOnLine();
  uart.writePort(3, 1, 0x83);
  uart.writePort(0, 1, 0x01);
  uart.writePort(1, 1, 0x02);
  expect([uart.readPort(0, 1), uart.readPort(1, 1)]).toEqual([0x01, 0x02]);
  expect(sent).toEqual([]);
});

test("the FIFO interrupts at its trigger level", () => {
  const { uart, levels } = uartOnLine();
  uart.writePort(2, 1, 0x41); // FIFOs on, trigger 4
  uart.writePort(1, 1, 0b01);
  uart.receive(1);
  uart.receive(2);
  uart.receive(3);
  expect(levels.at(-1)).toBe(false);
  uart.receive(4);
  expect(levels.at(-1)).toBe(true);
  expect(uart.readPort(2, 1)).toBe(0xc4);
  uart.readPort(0, 1);
  expect(levels.at(-1)).toBe(false);
});

test("fewer bytes than the trigger interrupt after four character times", () => {
  const { clock, uart, levels } = uartOnLine();
  uart.writePort(3, 1, 0x83);
  uart.writePort(0, 1, 1); // 115200 baud
  uart.writePort(3, 1, 0x03); // 8N1: 10 bits
  uart.writePort(2, 1, 0xc1); // trigger 14
  uart.writePort(1, 1, 0b01);
  uart.receive(0x41);
  clock.advance(347_000);
  expect(levels.at(-1)).toBe(false);
  clock.advance(300);
  expect(levels.at(-1)).toBe(true);
  expect(uart.readPort(2, 1)).toBe(0xcc);
  expect(uart.readPort(0, 1)).toBe(0x41);
  expect(uart.readPort(2, 1)).toBe(0xc1);
});

test("a full receiver refuses bytes and says when there is room again", () => {
  const { uart } = uartOnLine();
  let calls = 0;
  uart.onRoom = () => calls++;
  expect(uart.receive(0x41)).toBe(true);
  expect(uart.room).toBe(0);
  expect(uart.receive(0x42)).toBe(false);
  expect(calls).toBe(0);
  expect(uart.readPort(0, 1)).toBe(0x41);
  expect(calls).toBe(1);
});

test("line status outranks received data, which outranks THR empty, which outranks modem status", () => {
  const { uart } = uartOnLine();
  uart.writePort(1, 1, 0x0f);
  uart.receiveBreak();
  uart.setModemInputs({ cts: false, dsr: true, ri: false, dcd: true });
  expect(uart.readPort(2, 1)).toBe(0b0110);
  expect(uart.readPort(5, 1)).toBe(0x71); // break, data ready
  expect(uart.readPort(2, 1)).toBe(0b0100);
  uart.readPort(0, 1);
  expect(uart.readPort(2, 1)).toBe(0b0010);
  expect(uart.readPort(2, 1)).toBe(0b0000);
  expect(uart.readPort(6, 1)).toBe(0xa1); // CTS fell
  expect(uart.readPort(2, 1)).toBe(0b0001);
});

test("loopback sends what is transmitted back to the receiver, and an overrun is told", () => {
  const { uart, sent, levels } = uartOnLine();
  uart.writePort(4, 1, 0x18);
  uart.writePort(3, 1, 0x03);
  uart.writePort(0, 1, 0x55);
  uart.writePort(0, 1, 0x66);
  expect(sent).toEqual([]);
  expect(uart.readPort(5, 1)).toBe(0x63);
  expect(uart.readPort(0, 1)).toBe(0x55);
  expect(levels.at(-1)).toBe(false);
});

test("OUT2 gates the interrupt", () => {
  const { uart, levels } = uartOnLine();
  uart.writePort(4, 1, 0);
  uart.writePort(1, 1, 0b10);
  expect(levels.at(-1)).toBe(false);
  uart.writePort(4, 1, 0x08);
  expect(levels.at(-1)).toBe(true);
});

test("a restored UART continues where the saved one stopped", () => {
  const { uart, clock } = uartOnLine();
  uart.receive(0x41);
  const restored = new Uart16550({ set() {} }, { write() {} }, clock, uart.state);
  expect(restored.readPort(0, 1)).toBe(0x41);
});
