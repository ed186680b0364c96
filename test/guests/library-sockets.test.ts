import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type SocketStreams, VirtualMachine } from "ringfence";
import { afterAll, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { compileVsockProgram, hasCompiler } from "./vsock-program.ts";

const guest = await fetchGuest("default");
const obstacle = !guest.available ? guest.reason : hasCompiler ? undefined : "there is no gcc";
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const folder = mkdtempSync(path.join(tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;

/** Sends bytes and takes what comes back, to its end. */
async function exchange({ readable, writable }: SocketStreams, bytes: Uint8Array): Promise<Uint8Array> {
  const sent = new Blob([bytes.slice()]).stream().pipeTo(writable);
  const back = new Uint8Array(await new Response(readable).arrayBuffer());
  await sent;
  return back;
}

test.skipIf(obstacle !== undefined)(
  `the program serves sockets of the guest and connects to them, in a clone too${suffix}`,
  { timeout: 240_000 },
  async () => {
    compileVsockProgram(path.join(folder, "vsock"));
    const bytes = randomBytes(300_000);
    writeFileSync(path.join(folder, "sent"), bytes);
    const other = path.join(folder, "other");
    const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.end("from elsewhere"));
    await new Promise<void>((resolve) => server.listen(other, () => resolve()));
    const errors: string[] = [];
    try {
      await using machine = await VirtualMachine.create({
        memoryBytes: 256 << 20,
        shares: [{ path: folder, tag: "work" }],
        sockets: {
          1024: ({ readable, writable }) => readable.pipeTo(writable),
          1025: { path: other },
          1026: () => {
            throw new Error("not today");
          },
        },
        events: { deviceError: (message) => errors.push(message) },
      });
      await machine.start();
      const asked = async (on: VirtualMachine, command: string) =>
        (await on.exec(`cd /mnt/work; ${command}`)).stdout;
      expect(await asked(machine, "./vsock connect 1024 <sent | cmp - sent && echo same")).toBe("same\n");
      expect(await asked(machine, "./vsock connect 1025 </dev/null")).toBe("from elsewhere");
      expect(await asked(machine, "./vsock connect 1026 </dev/null")).toBe("");
      expect(errors).toEqual(["sockets 1026: not today"]);
      expect(await asked(machine, "./vsock connect 1027 </dev/null")).toContain("reset by peer");

      await expect(machine.connect(22)).rejects.toMatchObject({
        detail: { code: "connection-failed", port: 22 },
      });
      await expect(machine.connect(-1)).rejects.toMatchObject({ detail: { code: "option-invalid" } });
      await asked(
        machine,
        "./vsock serve 22 >/tmp/served & until grep -q listening /tmp/served; do sleep 0.1; done",
      );
      const back = await exchange(await machine.connect(22), bytes);
      expect(Buffer.compare(back, bytes)).toBe(0);

      await using clone = await machine.clone();
      await clone.start();
      expect(await asked(clone, "./vsock connect 1024 <sent | cmp - sent && echo same")).toBe("same\n");
      await expect(clone.setBalloon(0)).rejects.toMatchObject({ detail: { option: "balloon" } });
    } finally {
      server.close();
    }
  },
);

test.skipIf(!guest.available)(
  `the guest gives memory up and takes it back${suffix}`,
  { timeout: 240_000 },
  async () => {
    await using machine = await VirtualMachine.create({ memoryBytes: 256 << 20, balloon: true });
    await machine.start();
    await machine.exec("true");
    const settled = async (targetBytes: number) => {
      for (let attempt = 0; attempt < 200; attempt++) {
        const state = await machine.balloon();
        expect(state.targetBytes).toBe(targetBytes);
        if (state.inflatedBytes === targetBytes) return state.statistics?.freeBytes ?? 0;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error("the balloon does not reach its target");
    };
    const before = await settled(0);
    await machine.setBalloon(64 * MIB);
    const inflated = await settled(64 * MIB);
    expect(before - inflated).toBeGreaterThan(48 * MIB);
    await machine.setBalloon(0);
    expect((await settled(0)) - inflated).toBeGreaterThan(48 * MIB);
    await expect(machine.setBalloon(1e9)).rejects.toMatchObject({ detail: { code: "option-invalid" } });
    await expect(machine.connect(22)).rejects.toMatchObject({ detail: { option: "sockets" } });
  },
);
