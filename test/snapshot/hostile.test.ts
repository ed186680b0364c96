import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChangedBlocks } from "../../src/disk/changed-blocks.ts";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import { VmError } from "../../src/layout/vm-error.ts";
import { createProcessor } from "../../src/machine/create-processor.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { MachineOptions } from "../../src/machine/machine-options.ts";
import type { SavedMachine } from "../../src/machine/machine-state.ts";
import { decodePlainData, encodePlainData } from "../../src/machine/snapshot/plain-data.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import { VirtioBlk } from "../../src/virtio/blk/virtio-blk.ts";
import { HostPort } from "../../src/virtio/console/host-port.ts";
import { VirtioConsole } from "../../src/virtio/console/virtio-console.ts";
import { VirtioNet } from "../../src/virtio/net/virtio-net.ts";
import { VirtioRng } from "../../src/virtio/rng/virtio-rng.ts";
import { BUSY_KERNEL, bootSmall, coreModule, RAM_BYTES, smallMachine } from "./small-machine.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);
const CASES = Number(process.env["RINGFENCE_SNAPSHOT_CASES"] ?? 40);

let good: Buffer;

beforeAll(async () => {
  const { machine } = bootSmall(BUSY_KERNEL, await options(() => undefined));
  run(machine, 50);
  await machine.disks[0]!.disk.write(65536, new Uint8Array(131072).fill(7));
  await saveSnapshot(machine, snapshotHost, file("good"));
  good = readFileSync(file("good"));
});

/** One of each device that can be saved, and code that goes with the snapshot. */
async function options(saved: () => SavedMachine | undefined): Promise<Partial<MachineOptions>> {
  const raw = await RawDisk.open(new MemoryStore("disk", new Uint8Array(1 << 20)), false);
  const disk = new ChangedBlocks(raw, "files");
  const port = { send() {}, onFrame() {} };
  return {
    deterministic: false,
    createProcessor: (surroundings, memory) => {
      const common = { coreModule, ramBytes: RAM_BYTES, deterministic: false, engine: "auto" } as const;
      const code = saved()?.code;
      return createProcessor({ ...common, surroundings, memory, codeVersion: "version", code }).processor;
    },
    createDevices: ({ operations, random: randomBytes }) => [
      new VirtioRng(randomBytes),
      new VirtioConsole([new HostPort("port", { receive() {} })]),
      new VirtioBlk({ disk, operations, serial: "disk0" }),
      new VirtioNet({ port, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), plainFrames: () => [], onReceive() {} }),
    ],
  };
}

function run(machine: Machine, ms: number): void {
  for (const end = Date.now() + ms; Date.now() < end; ) machine.runSlice(5);
}

/** "restored", or the code of the refusal. Whatever else is thrown comes out. */
async function outcome(bytes: Uint8Array, name = "changed"): Promise<string> {
  writeFileSync(file(name), bytes);
  try {
    let given: SavedMachine | undefined;
    const machineOptions = await options(() => given);
    const { machine, snapshot } = await restoreMachine(snapshotHost, file(name), (saved) => {
      given = saved;
      return smallMachine(saved, machineOptions).machine;
    });
    try {
      run(machine, 15);
    } finally {
      await snapshot.close();
    }
    return "restored";
  } catch (error) {
    if (error instanceof VmError) return error.detail.code;
    throw error;
  }
}

function headOf(bytes: Buffer): { at: number; head: unknown } {
  const at = Number(bytes.readBigUInt64LE(16));
  return { at, head: decodePlainData(bytes.subarray(at).toString()) };
}

/** The good snapshot with another head, whose checksum is right. */
function withHead(head: unknown): Buffer {
  const { at } = headOf(good);
  const headBytes = Buffer.from(encodePlainData(head));
  const bytes = Buffer.concat([good.subarray(0, at), headBytes]);
  bytes.writeBigUInt64LE(BigInt(headBytes.length), 24);
  createHash("sha256").update(bytes.subarray(0, 32)).update(headBytes).digest().copy(bytes, 32);
  return bytes;
}

let seed = 1;
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

/** Changes something, anywhere in plain data. */
function change(parts: Record<string, unknown>): void {
  const names = Object.keys(parts);
  const name = names[random(names.length)];
  if (name === undefined) return;
  const value = parts[name];
  const isTree = typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
  if (isTree && random(10) > 0) return change(value as Record<string, unknown>);
  const others: unknown[] = [
    0,
    -1,
    1,
    2 ** 31,
    2 ** 53,
    0.5,
    NaN,
    "",
    null,
    true,
    [],
    {},
    7n,
    new Uint8Array(3),
  ];
  if (random(8) === 0) delete parts[name];
  else if (typeof value === "number" && random(2) === 0) parts[name] = value + random(65536) - 32768;
  else parts[name] = others[random(others.length)];
}

test("the good one is restored", async () => {
  expect(await outcome(good)).toBe("restored");
});

test(`${CASES} snapshots with devices, disks and code, a bit of which is turned anywhere, are refused`, async () => {
  for (let i = 0; i < CASES; i++) {
    const bytes = Buffer.from(good);
    const place = random(bytes.length);
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random(8));
    expect([place, await outcome(bytes)]).toEqual([
      place,
      expect.stringMatching(/^snapshot-(damaged|foreign|truncated)$/),
    ]);
  }
}, 300_000);

test.each(["state.board.virtio", "disks", "code"])(
  `whatever stands in the head's %s under a right checksum is refused, or harms nobody`,
  async (where) => {
    for (let i = 0; i < CASES; i++) {
      const { head } = headOf(good);
      const part = where.split(".").reduce((at, name) => (at as Record<string, unknown>)[name], head);
      change(part as Record<string, unknown>);
      expect([i, await outcome(withHead(head))]).toEqual([
        i,
        expect.stringMatching(/^(restored|snapshot-.*)$/),
      ]);
    }
  },
  300_000,
);
