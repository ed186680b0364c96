import { expect, test } from "vitest";
import type { DiskOptions, NetworkOptions } from "../../src/api/device-options.ts";
import { planDisk, planNetwork, servicesOf } from "../../src/api/plan-devices.ts";
import { VmError } from "../../src/layout/vm-error.ts";

const read = () => new Uint8Array(512);
const write = () => {};
const content = { sizeBytes: 512, read };

/** The option that is refused. */
function refused(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof VmError && error.detail.code === "option-invalid") return error.detail.option;
    throw error;
  }
}

test("a disk is read-only where it cannot be written, unless changes are kept apart", () => {
  const isReadOnly = (options: DiskOptions) => planDisk(options, 0).readOnly;
  expect(isReadOnly({ path: "a" })).toBe(false);
  expect(isReadOnly({ path: "a", readOnly: true })).toBe(true);
  expect(isReadOnly({ content })).toBe(true);
  expect(isReadOnly({ content, snapshot: true })).toBe(false);
  expect(isReadOnly({ content: { ...content, write } })).toBe(false);
  expect(planDisk({ path: "a" }, 3).serial).toBe("disk3");
});

test.each<[DiskOptions, string]>([
  [{ path: "a", readOnly: true, snapshot: true }, "disks.snapshot"],
  [{ path: "a", serial: "" }, "disks.serial"],
  [{ path: "a", serial: "x".repeat(21) }, "disks.serial"],
  [{ content: { ...content, sizeBytes: 0 } }, "disks.content.sizeBytes"],
  [{ content: { ...content, sizeBytes: 513 } }, "disks.content.sizeBytes"],
  [{ content: { ...content, sizeBytes: Number.NaN } }, "disks.content.sizeBytes"],
  [{ content, readOnly: false }, "disks.readOnly"],
])("disk %j: %s is refused", (options, option) => {
  expect(refused(() => planDisk(options, 0))).toBe(option);
});

test.each<[NetworkOptions, string]>([
  [{ kind: "user", allow: ["1.2.3.4.5"] }, "networks.allow"],
  [{ kind: "user", deny: ["tcp:a:0-99999"] }, "networks.deny"],
  [{ kind: "user", nameServers: ["host"] }, "networks.nameServers"],
  [{ kind: "user", forwards: [{ hostPort: 0, guestPort: 80 }] }, "networks.forwards"],
  [
    { kind: "user", forwards: [{ hostPort: 1, guestPort: 1, hostAddress: "h" }] },
    "networks.forwards.hostAddress",
  ],
  [{ kind: "user", mac: "01:00:00:00:00:00" }, "networks.mac"],
  [{ kind: "user", bitsPerSecond: 100 }, "networks.bitsPerSecond"],
  [{ kind: "switch", name: "a/b" }, "networks.name"],
  [{ kind: "bridge" } as unknown as NetworkOptions, "networks.kind"],
])("network %j: %s is refused", (options, option) => {
  expect(refused(() => planNetwork(options, 0, []))).toBe(option);
});

test("cards have addresses of their own", () => {
  const mac = (options: NetworkOptions, index: number) => [...planNetwork(options, index, []).mac];
  expect(mac({ kind: "user" }, 0)).toEqual([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
  expect(mac({ kind: "user" }, 1)).toEqual([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
  expect(mac({ kind: "user", mac: "52:54:00:00:00:01" }, 1)).toEqual([0x52, 0x54, 0, 0, 0, 1]);
});

test("names that a program answers at", () => {
  const handler = () => new Response();
  const services = (key: string) => servicesOf({ kind: "user", http: { [key]: handler } });
  expect(services("API.test.")).toEqual([{ name: "api.test", port: 80, handler }]);
  expect(services("api.test:8080")).toEqual([{ name: "api.test", port: 8080, handler }]);
  for (const key of ["", "10.0.0.1", "http://api.test", "api.test:0", "api.test:99999", "a b"])
    expect(refused(() => services(key))).toBe("networks.http");
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`host${i}`, handler]));
  expect(refused(() => servicesOf({ kind: "user", http: many }))).toBe("networks.http");
});
