import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CreateOptions, VirtualMachine } from "ringfence";
import { afterAll, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const linuxTest = test.skipIf(!guest.available);
const folder = mkdtempSync(path.join(tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SECTOR = 512;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Starts a guest with devices; returns what it runs. */
async function start(options: CreateOptions) {
  const machine = await VirtualMachine.create({ memoryBytes: 256 << 20, ...options });
  await machine.start();
  const run = async (command: string) => {
    const { status, stdout, stderr } = await machine.exec(command);
    return status === 0 ? stdout : `status ${status}: ${stderr}`;
  };
  return { machine, run };
}

linuxTest(
  `Linux works on a disk that the program keeps, and on files${suffix}`,
  { timeout: 120_000 },
  async () => {
    const bytes = new Uint8Array(1 << 20);
    let flushes = 0;
    const errors: string[] = [];
    const content = {
      sizeBytes: bytes.length,
      read(offset: number, length: number) {
        if (offset >= 768 << 10) throw new Error("the far end is damaged");
        return bytes.subarray(offset, offset + length);
      },
      async write(offset: number, written: Uint8Array) {
        bytes.set(written, offset);
      },
      flush: () => void flushes++,
    };
    const file = path.join(folder, "disk.raw");
    writeFileSync(file, new Uint8Array(64 * SECTOR).fill(0x61));
    const { machine, run } = await start({
      disks: [
        { content, serial: "mine" },
        { path: file, format: "raw", snapshot: true },
      ],
      events: { deviceError: (message) => errors.push(message) },
    });
    await using _ = machine;
    expect(await run("cat /sys/block/vda/serial /sys/block/vda/size")).toBe("mine2048\n");
    expect(await run("printf hello | dd of=/dev/vda bs=1 seek=4096 conv=fsync 2>/dev/null")).toBe("");
    expect(text(bytes.subarray(4096, 4101))).toBe("hello");
    expect(flushes).toBeGreaterThan(0);
    bytes.set(new TextEncoder().encode("from outside"), 65536);
    expect(await run("dd if=/dev/vda bs=12 count=1 skip=65536 iflag=skip_bytes 2>/dev/null")).toBe(
      "from outside",
    );
    expect(await run("dd if=/dev/vda of=/dev/null bs=4096 skip=200 2>/dev/null || echo refused")).toBe(
      "refused\n",
    );
    expect(errors[0]).toBe("disk: the far end is damaged");
    expect(await run("printf bbb | dd of=/dev/vdb conv=fsync 2>/dev/null; head -c4 /dev/vdb")).toBe("bbba");
    expect(text(readFileSync(file).subarray(0, 4))).toBe("aaaa");
  },
);

linuxTest(
  `the program answers HTTP and frames, and a clone has the same devices${suffix}`,
  { timeout: 120_000 },
  async () => {
    const frames: Uint8Array[] = [];
    const errors: string[] = [];
    /** Answers who asks for 10.9.0.2 by ARP. */
    const connect = (send: (frame: Uint8Array) => void) => (frame: Uint8Array) => {
      frames.push(frame);
      if (frame[12] !== 8 || frame[13] !== 6 || frame[21] !== 1) return;
      const mac = [0x52, 0x54, 0, 9, 9, 9];
      const asker = [...frame.subarray(22, 32)];
      const head = [...asker.slice(0, 6), ...mac, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
      send(Uint8Array.of(...head, ...mac, ...frame.subarray(38, 42), ...asker));
    };
    const { machine, run } = await start({
      networks: [
        {
          kind: "user",
          deny: ["*"],
          http: {
            "api.test": async (request) => {
              const { pathname, host } = new URL(request.url);
              if (pathname === "/broken") throw new Error("no such thing");
              const body = await request.text();
              return Response.json({ method: request.method, host, pathname, body }, { status: 201 });
            },
            "api.test:8080": () => new Response(new Uint8Array(3_000_000).fill(0x78)),
          },
        },
        { kind: "program", connect, mac: "52:54:00:00:00:77" },
      ],
      disks: [{ content: { sizeBytes: SECTOR, read: () => new Uint8Array(SECTOR).fill(0x72) } }],
      events: { deviceError: (message) => errors.push(message) },
    });
    await using _ = machine;
    // The guest asks for its address while it takes commands.
    await run("until [ -s /etc/resolv.conf ]; do sleep 0.1; done");
    const ask = "wget -qO- --post-data=question http://api.test/path";
    expect(JSON.parse(await run(ask))).toEqual({
      method: "POST",
      host: "api.test",
      pathname: "/path",
      body: "question",
    });
    expect(await run("wget -qO- http://api.test:8080/ | wc -c")).toBe("3000000\n");
    expect(await run("wget -qO- http://api.test/broken 2>&1 || true")).toContain("500");
    expect(errors).toEqual(["http api.test: no such thing"]);
    expect(await run("wget -qO- -T 3 http://10.0.2.2:9/ || echo denied")).toBe("denied\n");

    await run(
      "ip addr add 10.9.0.1/24 dev eth1; ip link set eth1 up; ping -c1 -W1 10.9.0.2 >/dev/null; true",
    );
    expect(await run("ip neigh show dev eth1")).toContain("10.9.0.2 lladdr 52:54:00:09:09:09");
    expect(frames.some((frame) => frame[13] === 0 && frame[23] === 1)).toBe(true);

    await using clone = await machine.clone();
    await clone.start();
    expect(JSON.parse((await clone.exec(ask)).stdout)).toMatchObject({ body: "question" });
    expect((await clone.exec("head -c3 /dev/vda")).stdout).toBe("rrr");
  },
);
