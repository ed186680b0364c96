import { expect, test } from "vitest";
import { TestDriver, usedOf } from "../test-rig.ts";
import { HostPort } from "./host-port.ts";
import { VirtioConsole } from "./virtio-console.ts";

const VERSION_1 = 1n << 32n;
const MULTIPORT = 1n << 1n;
const EVENT_INDEX = 1n << 29n;

/** A console with a channel "agent" as port 0, its driver, and what passed. */
function rig(features = VERSION_1 | MULTIPORT) {
  const log: string[] = [];
  const port = new HostPort("agent", {
    receive: (bytes) => log.push(`guest: ${new TextDecoder().decode(bytes)}`),
    guestOpened: (open) => log.push(open ? "opened" : "closed"),
  });
  const driver = new TestDriver(new VirtioConsole([port]));
  driver.initialise({ features });
  const send = (queue: number, bytes: Uint8Array) => {
    driver.memory.bytes.set(bytes, 0x1000);
    driver.add(queue, [{ address: 0x1000, length: bytes.length }]);
    driver.notify(queue);
  };
  const control = (id: number, event: number, value: number) =>
    send(3, Uint8Array.of(id, 0, 0, 0, event, 0, value, 0));
  /** Offers buffers of 64 bytes to a queue. */
  const offer = (queue: number, count: number) => {
    for (let index = 0; index < count; index++)
      driver.add(queue, [{ address: 0x8000 + queue * 0x1000 + index * 64, length: 64, write: true }]);
    driver.notify(queue);
  };
  const received = (queue: number, index: number) => {
    const { written } = driver.used(queue, index);
    return driver.memory.bytes.slice(0x8000 + queue * 0x1000 + index * 64).subarray(0, written);
  };
  return { log, port, driver, send, control, offer, received };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("a driver that is ready learns of the port, its name, and that the host has it open", () => {
  const { port, driver, control, offer, received } = rig();
  port.open();
  offer(2, 8);
  control(0, 0, 1);
  expect([...received(2, 0)]).toEqual([0, 0, 0, 0, 1, 0, 1, 0]);
  control(0, 3, 1);
  expect([...received(2, 1).subarray(0, 8)]).toEqual([0, 0, 0, 0, 7, 0, 1, 0]);
  expect(text(received(2, 1).subarray(8))).toBe("agent");
  expect([...received(2, 2)]).toEqual([0, 0, 0, 0, 6, 0, 1, 0]);
  expect(driver.usedCount(2)).toBe(3);
});

test("bytes pass both ways, and wait for the guest's buffers", () => {
  const { log, port, driver, control, offer, received, send } = rig();
  port.open();
  control(0, 3, 1);
  control(0, 6, 1);
  port.write(new TextEncoder().encode("question"));
  expect(port.waitingBytes).toBe(8);
  offer(0, 1);
  expect(text(received(0, 0))).toBe("question");
  send(1, new TextEncoder().encode("answer"));
  expect(log).toEqual(["opened", "guest: answer"]);
  expect(driver.usedCount(1)).toBe(1);
});

test("what the guest sends stays with it while the host is congested", () => {
  const { log, port, driver, control, send } = rig();
  port.open();
  control(0, 3, 1);
  port.congested = true;
  send(1, new TextEncoder().encode("late"));
  expect(driver.usedCount(1)).toBe(0);
  port.congested = false;
  expect(log).toEqual(["guest: late"]);
});

test("a driver without multiport support has the first port alone", () => {
  const { log, port, offer, received, send } = rig(VERSION_1);
  port.open();
  port.write(new TextEncoder().encode("hello"));
  offer(0, 1);
  expect(text(received(0, 0))).toBe("hello");
  send(1, new TextEncoder().encode("hi"));
  expect(log).toEqual(["guest: hi"]);
});

test("a driver that asks and does not listen needs a reset", () => {
  const { driver, control } = rig();
  for (let i = 0; i < 1100; i++) control(0, 0, 1);
  expect(driver.status & 64).toBe(64);
});

test("messages for ports that are not there are ignored", () => {
  const { driver, control } = rig();
  control(77, 3, 1);
  control(0, 99, 1);
  expect(driver.status).toBe(15);
  expect(driver.usedCount(3)).toBe(2);
});

test("when all buffers are used and more waits, the driver is asked to tell of the next", () => {
  const { port, control, offer, driver, received } = rig(VERSION_1 | MULTIPORT | EVENT_INDEX);
  port.open();
  control(0, 3, 1);
  offer(0, 16);
  port.write(new Uint8Array(17 * 64));
  expect(driver.usedCount(0)).toBe(16);
  expect(driver.memory.readU16(usedOf(0) + 4 + 8 * 16)).toBe(16);
  offer(0, 1);
  expect(received(0, 16)).toHaveLength(64);
});
