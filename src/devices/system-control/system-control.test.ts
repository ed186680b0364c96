import { expect, test } from "vitest";
import { SystemControl } from "./system-control.ts";

function control() {
  const events: string[] = [];
  const device = new SystemControl({
    resetSystem: (hard) => events.push(hard ? "hard reset" : "INIT"),
    setA20: (on) => events.push(`A20 ${on}`),
  });
  return { device, events };
}

test("port 0x92 switches A20 only when it changes", () => {
  const { device, events } = control();
  expect(device.portA.readPort(0, 1)).toBe(0x02);
  device.portA.writePort(0, 1, 0x02);
  device.portA.writePort(0, 1, 0x00);
  device.portA.writePort(0, 1, 0x02);
  expect(events).toEqual(["A20 false", "A20 true"]);
});

test("a rise of port 0x92's bit 0 gives the processor an INIT", () => {
  const { device, events } = control();
  device.portA.writePort(0, 1, 0x03);
  device.portA.writePort(0, 1, 0x03);
  expect(events).toEqual(["INIT"]);
});

test("Linux's 0x02 and then 0x06 to 0xcf9 reset the system once", () => {
  const { device, events } = control();
  device.resetControl.writePort(0, 1, 0x02);
  expect(events).toEqual([]);
  device.resetControl.writePort(0, 1, 0x06);
  expect(events).toEqual(["hard reset"]);
  expect(device.state.resetControl).toBe(0x06);
});
