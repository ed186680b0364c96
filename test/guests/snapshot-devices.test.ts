import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMachine, type MachineRequest, type RunnableMachine } from "../../src/cli/create-machine.ts";
import { parseDisk } from "../../src/cli/disk-option.ts";
import { parseNetworks } from "../../src/cli/network-option.ts";
import { closeDisks, openDisks } from "../../src/cli/open-disks.ts";
import { openNetworks } from "../../src/cli/open-networks.ts";
import { codeVersion } from "../../src/host/node/code-version.ts";
import { CORE_WASM } from "../../src/host/node/core-module.ts";
import { EventLoop } from "../../src/host/node/event-loop.ts";
import { readWholeFile } from "../../src/host/node/files.ts";
import { hostTime } from "../../src/host/node/host-time.ts";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import type { Snapshot } from "../../src/machine/snapshot/read-snapshot.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
const disk = path.join(folder, "disk.img");
const WAIT_MS = 300_000;
/** In CI a few; `npm run test:snapshots` takes a hundred. */
const ROUNDS = Number(process.env["RINGFENCE_SNAPSHOT_ROUNDS"] ?? 3);
/** What the guest fetches again and again. */
const PAGE = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) >> 5));

let server: Server;
let port = 0;

beforeAll(async () => {
  writeFileSync(disk, Buffer.alloc(4096, 0x5a));
  truncateSync(disk, 32 << 20);
  server = createServer((_request, response) => void response.end(PAGE)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** A machine with a disk, a card on the user network and a source of random numbers, at its console. */
class Guest {
  readonly #runnable: RunnableMachine;
  readonly #close: () => Promise<void>;
  readonly #run: Promise<unknown>;
  #text = "";
  #heard = () => {};

  static async start(from: { snapshot: string } | "boot", diskText = `${disk},snapshot`): Promise<Guest> {
    const disks = await openDisks([parseDisk(diskText)]);
    const networks = await openNetworks(parseNetworks(["user"], []), [], undefined, () => {});
    const loop = new EventLoop();
    let self: Guest | undefined;
    let before = "";
    const say = (bytes: Uint8Array) => {
      const text = Buffer.from(bytes).toString("latin1");
      if (self === undefined) before += text;
      else self.#hear(text);
    };
    const build = (boot: MachineRequest["boot"], memoryBytes: number) =>
      createMachine({
        ...{ core: readWholeFile(CORE_WASM), codeVersion: codeVersion(), memoryBytes, engine: "auto" },
        ...{ deterministic: false, debugExitPort: undefined, noReboot: true, boot, trace: [], rng: true },
        ...{ disks, networks: networks.networks, report: () => {} },
        host: {
          ...hostTime(loop),
          ...{ writeSerial: say, serialCongested: () => false },
        },
      });
    let snapshot: Snapshot | undefined;
    const close = async () => {
      await snapshot?.close();
      networks.close();
      await closeDisks(disks);
    };
    try {
      let runnable: RunnableMachine | undefined;
      if (from === "boot") runnable = build(defaultBoot(), 96 << 20);
      else {
        const restored = await restoreMachine(snapshotHost, from.snapshot, (saved, { ramBytes }) => {
          runnable = build(saved, ramBytes);
          return runnable.machine;
        });
        snapshot = restored.snapshot;
      }
      self = new Guest(runnable!, close);
      self.#hear(before);
      return self;
    } catch (error) {
      await close();
      throw error;
    }
  }

  private constructor(runnable: RunnableMachine, close: () => Promise<void>) {
    this.#runnable = runnable;
    this.#close = close;
    this.#run = runnable.run();
  }

  #hear(text: string): void {
    this.#text += text;
    this.#heard();
  }

  /** Waits for text that matches, and forgets everything up to its end. */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(WAIT_MS);
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) {
        this.#text = this.#text.slice(found.index + found[0].length);
        return found;
      }
      await new Promise<void>((resolve, reject) => {
        this.#heard = resolve;
        deadline.onabort = () => reject(new Error(`no ${pattern} in: ${this.#text.slice(-2000)}`));
      });
    }
  }

  /** What a command of the shell prints. */
  async exec(command: string): Promise<string> {
    const id = Math.floor(Math.random() * 1e9);
    this.#runnable.receiveSerial(Buffer.from(`${command}; echo "end"of ${id}\n`));
    const [, output = ""] = await this.waitFor(new RegExp(`[^]*"end"of ${id}\\r\\n([^]*?)endof ${id}\\r\\n`));
    return output.replaceAll("\r", "");
  }

  /** Behind this no line that is typed is wrapped. */
  async widen(): Promise<void> {
    await this.waitFor(PROMPT);
    this.#runnable.receiveSerial(Buffer.from("stty cols 2000\n"));
    await this.waitFor(PROMPT);
  }

  save(file: string, parentPath?: string): Promise<unknown> {
    return saveSnapshot(this.#runnable.machine, snapshotHost, file, { packed: false, parentPath });
  }

  async stop(): Promise<void> {
    this.#runnable.stop();
    await this.#run;
    await this.#close();
  }
}

function defaultBoot(): MachineRequest["boot"] {
  const { kernelPath, initrdPath = "" } = guest as { kernelPath: string; initrdPath?: string };
  return {
    kernel: readFileSync(kernelPath),
    commandLine: "console=ttyS0 quiet",
    modules: [{ bytes: readFileSync(initrdPath), commandLine: "" }],
  };
}

const PROMPT = /root@ringfence:~# /;
const online = "for i in $(seq 100); do ip route | grep -q default && break; sleep 0.1; done";

test.skipIf(!guest.available)(
  `disk, network and random numbers go on in a machine made from a snapshot, and in the one that was saved${suffix}`,
  { timeout: 600_000 },
  async () => {
    const file = path.join(folder, "devices.snapshot");
    const original = await Guest.start("boot");
    await original.widen();
    await original.exec(online);
    await original.exec(
      "yes saved | dd of=/dev/vda bs=64k count=20 seek=3 iflag=fullblock 2>/dev/null; sync",
    );
    await original.exec(
      `mkfifo /tmp/f; (nc 10.0.2.2 ${port} </tmp/f >/dev/null; echo over >/tmp/over) & true`,
    );
    await original.exec("exec 3>/tmp/f; echo 3 >/proc/sys/vm/drop_caches");
    expect((await original.exec("sleep 1; ls /tmp/over 2>/dev/null | wc -l")).trim()).toBe("0");
    await original.save(file);
    const copies = [original, await Guest.start({ snapshot: file }), await Guest.start({ snapshot: file })];
    for (const [index, machine] of copies.entries()) {
      const text = await machine.exec(
        "dd if=/dev/vda bs=64k count=1 skip=22 2>/dev/null | sed -n 2p; head -c 1 /dev/vda",
      );
      expect([index, text.trim()]).toEqual([index, "saved\nZ"]);
      const sum = await machine.exec(`wget -q -O - http://10.0.2.2:${port}/ | sha256sum`);
      expect([index, sum.slice(0, 64)]).toEqual([index, createHash("sha256").update(PAGE).digest("hex")]);
      await machine.exec(`echo ${index} | dd of=/dev/vda bs=4k seek=9 2>/dev/null; sync`);
    }
    // What was a connection is none any more, and whoever only listens on it finds out as well.
    for (const machine of copies.slice(1)) {
      await machine.exec("for i in $(seq 50); do [ -e /tmp/over ] && break; sleep 0.1; done");
      expect((await machine.exec("cat /tmp/over")).trim()).toBe("over");
    }
    for (const [index, machine] of copies.entries()) {
      expect(
        (
          await machine.exec(
            "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=4k skip=9 count=1 2>/dev/null | head -n 1",
          )
        ).trim(),
      ).toBe(`${index}`);
      expect(
        (await machine.exec("head -c 16 /dev/hwrng | wc -c; dmesg -r | grep -c '^<[0-3]>'")).trim(),
      ).toBe("16\n0");
    }
    await Promise.all(copies.map((machine) => machine.stop()));
    await expect(Guest.start({ snapshot: file }, disk)).rejects.toThrow(
      /written in place.*--disk FILE,snapshot/s,
    );
    const other = path.join(folder, "other.img");
    writeFileSync(other, Buffer.alloc(1 << 20));
    await expect(Guest.start({ snapshot: file }, `${other},snapshot`)).rejects.toThrow(
      /a disk of 33554432 bytes/,
    );
    utimesSync(disk, new Date(), new Date());
    await expect(Guest.start({ snapshot: file })).rejects.toThrow(/was written since/);
  },
);

/** Works on files, on the disk and with the network, and counts; what is wrong ends it. */
const WORKLOAD = `
cd /tmp
( while :; do awk 'BEGIN { for (i = 0; i < 1000; i++) s = s " " i * i; print s }' >squares; done ) &
round=0; nets=0; cut=0
fail() { echo "$round: $1" >failed; exit 1; }
while :; do
  seq 1 $((round % 7 * 100 + 500)) | sort -r | sort -n >sorted
  [ "$(md5sum <sorted)" = "$(seq 1 $((round % 7 * 100 + 500)) | md5sum)" ] || fail sorted
  blocks=$(( ($(wc -c <sorted) + 4095) / 4096 ))
  at=$((round % 50 * 8))
  dd if=sorted of=/dev/vda bs=4k seek=$at conv=notrunc,fsync 2>/dev/null || fail write
  echo 1 >/proc/sys/vm/drop_caches
  dd if=/dev/vda bs=4k skip=$at count=$blocks 2>/dev/null | head -c $(wc -c <sorted) | cmp - sorted || fail disk
  if wget -q -O page http://10.0.2.2:PORT/ 2>network; then
    [ "$(sha256sum <page)" = "SUM  -" ] || fail network
    nets=$((nets + 1))
  else
    cut=$((cut + 1))
  fi
  round=$((round + 1))
  echo "$round $nets $cut" >count.new; mv count.new count
done
`;

test.skipIf(!guest.available)(
  `under load, with disk and network in use, a guest is saved and restored ${ROUNDS} times and finds nothing wrong${suffix}`,
  { timeout: 240_000 + ROUNDS * 60_000 },
  async () => {
    let machine = await Guest.start("boot");
    await machine.widen();
    await machine.exec(online);
    const sum = createHash("sha256").update(PAGE).digest("hex");
    const script = WORKLOAD.replace("PORT", `${port}`).replace("SUM", sum);
    for (const line of script.split("\n"))
      await machine.exec(`echo '${line.replaceAll("'", "'\\''")}' >>/tmp/work`);
    await machine.exec("setsid sh /tmp/work >/tmp/log 2>&1 & true");
    const counts = async () => {
      const [, failed = "", rounds, nets, cut] =
        /^(.*?)\|(\d+) (\d+) (\d+)/s.exec(
          await machine.exec(
            "cat /tmp/failed /tmp/log 2>/dev/null; echo -n '|'; cat /tmp/count 2>/dev/null || echo 0 0 0",
          ),
        ) ?? [];
      return { failed: failed.trim(), rounds: Number(rounds), nets: Number(nets), cut: Number(cut) };
    };
    /** The guest has done something of everything since `before`. */
    const advance = async (round: number, before: { rounds: number; nets: number }) => {
      for (;;) {
        const now = await counts();
        expect([round, now.failed]).toEqual([round, ""]);
        // A connection that is open as the machine is saved is none any more in what is restored.
        expect(now.cut).toBeLessThanOrEqual(round + 1);
        if (now.rounds > before.rounds && now.nets > before.nets) return now;
        await machine.exec("sleep 0.1");
      }
    };
    const parents: string[] = [];
    let done = await advance(-1, { rounds: 0, nets: 0 });
    for (let round = 0; round < ROUNDS; round++) {
      const file = path.join(folder, `load-${round}.snapshot`);
      const parentPath = round % 4 === 0 ? undefined : parents.at(-1);
      await machine.save(file, parentPath);
      await machine.stop();
      machine = await Guest.start({ snapshot: file });
      parents.push(file);
      if (parentPath === undefined) for (const old of parents.splice(0, parents.length - 1)) rmSync(old);
      done = await advance(round, done);
    }
    expect((await machine.exec("dmesg | grep -icE 'oops|bug:|stall|corrupt|i/o error'")).trim()).toBe("0");
    await machine.stop();
  },
);
