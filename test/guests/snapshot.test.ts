import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { VirtualMachine } from "ringfence";
import { afterAll, expect, test } from "vitest";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { hashOf, runTo, smallMachine } from "../snapshot/small-machine.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** In CI a few; `npm run test:snapshots` takes a hundred. */
const ROUNDS = Number(process.env["RINGFENCE_SNAPSHOT_ROUNDS"] ?? 5);
const RAM_BYTES = 128 << 20;

test.skipIf(!guest.available)(
  `Linux saved while it boots and restored goes on to the same end, byte by byte${suffix}`,
  { timeout: 600_000 },
  async () => {
    const { kernelPath, initrdPath = "" } = guest as { kernelPath: string; initrdPath?: string };
    const original = smallMachine(
      {
        kernel: readFileSync(kernelPath),
        commandLine: "console=ttyS0 rdinit=/sbin/poweroff loglevel=7 -- -f",
        modules: [{ bytes: readFileSync(initrdPath), commandLine: "" }],
      },
      { ramBytes: RAM_BYTES },
    );
    runTo(original.machine, 700_000_000);
    const file = path.join(folder, "boot.snapshot");
    await saveSnapshot(original.machine, snapshotHost, file);
    const printedBefore = original.printed.length;
    let restored = original;
    await restoreMachine(snapshotHost, file, (saved) => {
      restored = smallMachine(saved, { ramBytes: RAM_BYTES });
      return restored.machine;
    });
    runTo(original.machine, Infinity);
    runTo(restored.machine, Infinity);
    expect(original.machine.end).toEqual({ reason: "power-off" });
    expect(restored.machine.end).toEqual({ reason: "power-off" });
    const count = restored.machine.statistics().instructions;
    expect(count).toBe(original.machine.statistics().instructions);
    expect(count).toBeGreaterThan(1e9);
    expect(Buffer.from(restored.printed).toString()).toBe(
      Buffer.from(original.printed.slice(printedBefore)).toString(),
    );
    expect(hashOf(restored.machine)).toBe(hashOf(original.machine));
  },
);

/** Works on files in two processes for ever and counts its rounds; a wrong checksum ends it. */
const WORKLOAD = `
cd /tmp
( while :; do awk 'BEGIN { for (i = 0; i < 3000; i++) s = s " " i * i; print s }' >squares; done ) &
round=0
while :; do
  seq 1 $((round % 7 * 500 + 2000)) | sort -r | sort -n >sorted
  want=$(seq 1 $((round % 7 * 500 + 2000)) | md5sum)
  [ "$(md5sum <sorted)" = "$want" ] || { echo "$round: wrong" >failed; exit 1; }
  gzip -c sorted | gunzip | cmp - sorted || { echo "$round: differs" >failed; exit 1; }
  round=$((round + 1))
  echo $round >rounds
done
`;

test.skipIf(!guest.available)(
  `a guest saved and restored under load ${ROUNDS} times goes on and finds nothing wrong${suffix}`,
  { timeout: 120_000 + ROUNDS * 60_000 },
  async () => {
    let machine = await VirtualMachine.create({ memoryBytes: RAM_BYTES });
    await machine.start();
    await machine.writeFile("/root/workload", WORKLOAD);
    await machine.exec("setsid sh /root/workload >/root/log 2>&1 &");
    const parents: string[] = [];
    const readRounds = async () => Number((await machine.exec("cat /tmp/rounds")).stdout || "0");
    let rounds = 0;
    for (let i = 0; i < ROUNDS; i++) {
      const before = rounds;
      for (rounds = await readRounds(); rounds < before + 2; rounds = await readRounds()) {
        const { stdout } = await machine.exec("cat /tmp/failed; sleep 0.2");
        expect([i, stdout]).toEqual([i, ""]);
      }
      const file = path.join(folder, `load-${i}.snapshot`);
      const parentPath = i % 4 === 0 ? undefined : parents.at(-1);
      await machine.snapshot(file, parentPath === undefined ? { packed: i % 3 !== 0 } : { parentPath });
      parents.push(file);
      await machine.stop();
      machine = await VirtualMachine.restore(file);
      await machine.start();
      // A whole snapshot makes those before it unnecessary.
      if (parentPath === undefined) for (const old of parents.splice(0, parents.length - 1)) rmSync(old);
    }
    const last = await readRounds();
    while ((await readRounds()) < last + 2) await machine.exec("sleep 0.2");
    const { stdout } = await machine.exec(
      "cat /tmp/failed /root/log; dmesg | grep -icE 'oops|bug:|stall|corrupt'",
    );
    expect(stdout.trim()).toBe("0");
    await machine.stop();
  },
);

test.skipIf(!guest.available)(
  `ringfence's library runs commands, moves files and clones the default guest${suffix}`,
  { timeout: 300_000 },
  async () => {
    await using machine = await VirtualMachine.create({ memoryBytes: RAM_BYTES });
    await machine.start();
    const failing = await machine.exec("echo out; echo problem >&2; exit 3");
    expect(failing).toMatchObject({ status: 3, stdout: "out\n", stderr: "problem\n" });
    expect((await machine.exec(["printf", "%s|", "it's", "a  b", "$HOME", "\\n", "ü"])).stdout).toBe(
      "it's|a  b|$HOME|\\n|ü|",
    );
    expect((await machine.exec("tr a-z A-Z", { input: "from outside" })).stdout).toBe("FROM OUTSIDE");
    const long = Array.from({ length: 2000 }, (_, i) => `: ${i} '\\'`).join("\n");
    expect((await machine.exec(`${long}\necho end`)).stdout).toBe("end\n");
    const parallel = await Promise.all(["sleep 1; echo a", "echo b"].map((command) => machine.exec(command)));
    expect(parallel.map(({ stdout }) => stdout)).toEqual(["a\n", "b\n"]);

    const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3);
    await machine.writeFile("/tmp/it's here", content, { mode: 0o640 });
    expect((await machine.exec(`stat -c '%a %s' "/tmp/it's here"`)).stdout).toBe("640 300000\n");
    const back = await machine.readFile("/tmp/it's here");
    const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    expect(hash(back)).toBe(hash(content));
    await expect(machine.readFile("/no/file")).rejects.toThrow(/\/no\/file in the guest: .*no such file/i);

    await expect(machine.exec("sleep 1000", { signal: AbortSignal.timeout(300) })).rejects.toThrow(
      /timeout/i,
    );
    expect((await machine.exec("sleep 0.3; ps | grep -c '[s]leep 1000'")).stdout).toBe("0\n");
    const tooMuch = machine.exec("seq 100000", { mostOutputBytes: 1000 });
    await expect(tooMuch).rejects.toThrow(/the command printed 588895 bytes; at most 1000 are taken/);

    const clones = await Promise.all([machine.clone(), machine.clone()]);
    for (const [i, clone] of clones.entries()) {
      await clone.start();
      await clone.exec(`echo ${i} >/tmp/who`);
    }
    const who = await Promise.all(clones.map(async (clone) => (await clone.exec("cat /tmp/who")).stdout));
    expect(who).toEqual(["0\n", "1\n"]);
    expect((await machine.exec("cat /tmp/who")).status).toBe(1);
    await Promise.all(clones.map((clone) => clone.stop()));
    await machine.exec("poweroff").catch(() => {}); // the machine may be gone before it can answer
    expect(await machine.ended).toEqual({ reason: "power-off" });
    await expect(machine.exec("true")).rejects.toThrow("the machine has ended");
  },
);
