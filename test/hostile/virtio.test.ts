import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import type { HostStream, HostStreamEvents } from "../../src/host/network.ts";
import { FileStore } from "../../src/host/node/file-store.ts";
import { NodeSharedFolder } from "../../src/host/node/shared-folder/node-shared-folder.ts";
import { Virtio9p } from "../../src/virtio/9p/virtio-9p.ts";
import { BalloonControl } from "../../src/virtio/balloon/balloon-control.ts";
import { VirtioBalloon } from "../../src/virtio/balloon/virtio-balloon.ts";
import { VirtioBlk } from "../../src/virtio/blk/virtio-blk.ts";
import { HostPort } from "../../src/virtio/console/host-port.ts";
import { VirtioConsole } from "../../src/virtio/console/virtio-console.ts";
import type { VirtioDevice } from "../../src/virtio/device.ts";
import { VirtioFs } from "../../src/virtio/fs/virtio-fs.ts";
import { VirtioRng } from "../../src/virtio/rng/virtio-rng.ts";
import {
  availableOf,
  descriptorsOf,
  RAM_BYTES,
  TestDriver,
  TestOperations,
} from "../../src/virtio/test-rig.ts";
import { HostSockets } from "../../src/virtio/vsock/host-sockets.ts";
import { writeHeader } from "../../src/virtio/vsock/packet.ts";
import { VirtioVsock } from "../../src/virtio/vsock/virtio-vsock.ts";
import { Dice } from "../disk/disk-model.ts";

/** For each device. A longer run: npm run test:fuzz-devices */
const CASES = Number(process.env["RINGFENCE_VIRTIO_CASES"] ?? 150_000);
const DISK_BYTES = 1 << 20;
/** Far less than the memories that a long run makes, if they were kept. */
const MOST_GROWTH_BYTES = 200 << 20;

/** A device and what a fuzzer does between cases: lets it finish what it has begun. */
interface Subject {
  readonly device: VirtioDevice;
  settle(): Promise<void>;
  /** Cleans up behind the device. */
  remove?(): void;
  /** Asks for what random acts never come to. */
  provoke?(driver: TestDriver, dice: Dice): void;
}

/** A device over a folder that it may do anything with. */
function sharing(make: (folder: NodeSharedFolder, operations: TestOperations) => VirtioDevice): Subject {
  const base = mkdtempSync(path.join(tmpdir(), "ringfence-fuzz-"));
  const folder = new NodeSharedFolder(base);
  const operations = new TestOperations();
  return {
    device: make(folder, operations),
    settle: () => operations.idle(),
    remove: () => {
      folder.dispose();
      rmSync(base, { recursive: true });
    },
  };
}

const subjects: Record<string, () => Promise<Subject>> = {
  rng: async () => ({ device: new VirtioRng((bytes) => new Uint8Array(bytes)), settle: async () => {} }),
  blk: async () => {
    const store = new MemoryStore();
    await store.truncate(DISK_BYTES);
    const operations = new TestOperations();
    const device = new VirtioBlk({ disk: await RawDisk.open(store), operations, serial: "fuzz" });
    return { device, settle: () => operations.idle() };
  },
  // In the guest's memory itself: at once, or by other threads.
  "blk over a file": async () => {
    const store = FileStore.createTemporary(tmpdir());
    await store.truncate(DISK_BYTES);
    const operations = new TestOperations(true);
    const device = new VirtioBlk({ disk: await RawDisk.open(store), operations, serial: "fuzz" });
    const settle = async () => {
      for (const act of operations.whenIdleActions.splice(0)) act(true);
      await operations.idle();
    };
    const provoke = (driver: TestDriver, dice: Dice) => {
      if (dice.below(2) === 0) driver.initialise({ features: 2n ** 32n + 2n ** 9n });
      driver.memory.writeU32(0, dice.below(2));
      driver.memory.writeU64(8, BigInt(dice.below(DISK_BYTES / 512)));
      const data = { address: 4096 * dice.below(200), length: 65536 + 512 * dice.below(200) };
      const header = { address: 0, length: 16 };
      const write = driver.memory.bytes[0] === 0;
      driver.add(0, [header, { ...data, write }, { address: 4096, length: 1, write: true }]);
      driver.notify(0);
    };
    return { device, settle, provoke, remove: () => void store.close() };
  },
  console: async () => {
    const port = new HostPort("fuzz", { receive() {} });
    const second = new HostPort("second", { receive() {} });
    const device = new VirtioConsole([port, second]);
    port.open();
    const settle = async () => {
      if (port.waitingBytes < 1000) port.write(new Uint8Array(100));
      if (second.isOpen) second.close();
      else second.open();
    };
    return { device, settle };
  },
};

/** Ports at which the host listens, and to which it connects, with programs that echo. */
async function socketSubject(): Promise<Subject> {
  const sockets = new HostSockets();
  const echo = (stream: HostStream): HostStreamEvents => ({
    connected() {},
    data: (bytes) => stream.write(bytes.slice()),
    ended: () => stream.end(),
    written() {},
    closed() {},
  });
  for (let port = 0; port < 4; port++)
    sockets.listen(port, (stream) => {
      stream.accept();
      return echo(stream);
    });
  const device = new VirtioVsock({ sockets, wake() {} });
  let port = 0;
  const settle = async () => {
    const events = echo({ write() {}, end() {}, pause() {}, resume() {}, reset() {} });
    sockets.connect(port++ % 4, events).write(new Uint8Array(10));
  };
  return { device, settle };
}

async function balloonSubject(): Promise<Subject> {
  const control = new BalloonControl();
  const settle = async () => {
    control.setTarget((control.targetBytes + 12_345_678) % 2 ** 32);
    void control.statistics();
  };
  return { device: new VirtioBalloon(control, () => {}), settle };
}

const sharedFolders: Record<string, () => Promise<Subject>> = {
  fs: async () => sharing((folder, operations) => new VirtioFs({ tag: "fuzz", folder, operations })),
  "9p": async () => sharing((folder, operations) => new Virtio9p({ tag: "fuzz", folder, operations })),
};
const all: Record<string, () => Promise<Subject>> = {
  ...subjects,
  ...sharedFolders,
  vsock: socketSubject,
  balloon: balloonSubject,
};

const EDGES = [0, 1, 2, 3, 4, 16, 511, 512, 4096, 65536, RAM_BYTES - 1, RAM_BYTES, 2 ** 31, 2 ** 32 - 1];

function interesting(dice: Dice): number {
  return dice.below(3) === 0 ? (EDGES[dice.below(EDGES.length)] ?? 0) : dice.below(RAM_BYTES);
}

/** One random thing that a driver, or one gone mad, may do. */
function act(driver: TestDriver, dice: Dice, queues: number): void {
  const { transport, memory } = driver;
  const queue = dice.below(queues);
  switch (dice.below(16)) {
    case 0:
      return driver.initialise({
        queueSize: 2 ** (1 + dice.below(6)),
        features: BigInt(2 ** 32 + dice.below(4) * 2 ** 28 + dice.below(4)),
      });
    case 1:
      return transport.writeMemory(
        dice.below(0x8000),
        ([1, 2, 4] as const)[dice.below(3)] ?? 4,
        interesting(dice),
      );
    case 2:
      transport.readMemory(dice.below(0x8000), ([1, 2, 4] as const)[dice.below(3)] ?? 4);
      return;
    case 3: {
      // Past the header: address, command and capabilities.
      const offset = dice.below(250);
      if (offset !== 4) transport.function.writeConfig(offset, 1, dice.below(256));
      return;
    }
    case 4:
      return memory.writeU16(availableOf(queue) + 2 * dice.below(20), dice.below(65536));
    case 5:
    case 6:
    case 7:
      return driver.publish(queue, dice.below(16));
    case 8:
      memory.bytes[dice.below(RAM_BYTES)] = dice.below(256);
      return;
    case 9: {
      // A block request's header.
      const at = dice.below(16) * 4096;
      if (dice.below(2) === 0) return void memory.bytes.set(socketHeader(dice), at);
      memory.writeU32(at, dice.below(15));
      memory.writeU64(at + 8, BigInt(dice.below(4) === 0 ? interesting(dice) : dice.below(DISK_BYTES / 512)));
      return;
    }
    case 10:
    case 11:
    case 12: {
      const flags = dice.below(8);
      const address = dice.below(4) === 0 ? interesting(dice) : dice.below(16) * 4096;
      const length =
        dice.below(3) === 0 ? interesting(dice) : ([1, 8, 16, 512, 4096] as const)[dice.below(5)];
      const at = descriptorsOf(queue) + 16 * dice.below(16);
      return driver.writeDescriptor(at, address, length ?? 1, flags, dice.below(20));
    }
    default:
      return driver.notify(queue);
  }
}

/** A socket packet's header, most of which a driver could send. */
function socketHeader(dice: Dice): Uint8Array {
  return writeHeader({
    sourceCid: dice.below(8) === 0 ? 9n : 3n,
    destinationCid: dice.below(8) === 0 ? 9n : 2n,
    sourcePort: dice.below(4),
    destinationPort: dice.below(3) === 0 ? 1024 + dice.below(20) : dice.below(6),
    length: dice.below(3) === 0 ? interesting(dice) : dice.below(600),
    type: dice.below(8) === 0 ? 2 : 1,
    op: dice.below(9),
    flags: dice.below(5),
    bufferBytes: interesting(dice),
    forwardedBytes: interesting(dice),
  });
}

test.each(Object.keys(all))(
  `no driver harms virtio-%s, over ${CASES} random acts`,
  { timeout: 3_600_000 },
  async (name) => {
    const make = all[name];
    if (make === undefined) throw new Error(`no subject ${name}`);
    const perDevice = 2000;
    let resets = 0;
    let memoryBefore = 0;
    for (let seed = 0; seed * perDevice < CASES; seed++) {
      const dice = new Dice(seed);
      const { device, settle, remove, provoke } = await make();
      const driver = new TestDriver(device);
      driver.initialise();
      for (let i = 0; i < perDevice; i++) {
        act(driver, dice, device.queueSizes.length);
        if (provoke !== undefined && dice.below(20) === 0) provoke(driver, dice);
        if (dice.below(20) === 0) await settle();
        if ((driver.status & 64) !== 0) {
          resets++;
          driver.initialise();
        }
        driver.memory.written.length = 0;
        driver.interrupts.length = 0;
      }
      await settle();
      // Whatever it has been through, the device works after a reset.
      driver.memory.bytes.fill(0);
      driver.initialise();
      expect(driver.status & 15).toBe(15);
      driver.memory.writeU32(0x1000, 8);
      const chain = [
        { address: 0x1000, length: name === "rng" ? 0 : name === "fs" ? 40 : name === "vsock" ? 44 : 16 },
        { address: 0x2000, length: 21, write: true },
      ];
      const queue = name === "console" || name === "vsock" ? 1 : 0;
      driver.add(queue, chain.slice(0, queue === 1 || name === "balloon" ? 1 : 2));
      driver.notify(queue);
      await settle();
      expect(driver.usedCount(queue)).toBe(1);
      remove?.();
      if (seed === 20) memoryBefore = process.memoryUsage.rss();
    }
    if (memoryBefore > 0) expect(process.memoryUsage.rss() - memoryBefore).toBeLessThan(MOST_GROWTH_BYTES);
    expect(resets).toBeGreaterThan(CASES / 10_000);
  },
);
