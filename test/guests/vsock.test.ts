import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";
import { compileVsockProgram, hasCompiler } from "./vsock-program.ts";

const guest = await fetchGuest("default");
const obstacle = !guest.available ? guest.reason : hasCompiler ? undefined : "there is no gcc";
const guestTest = test.skipIf(obstacle !== undefined);
const SENT_BYTES = 3_000_000;

/** Answers each connection with what it sends, and ends it when the other side has. */
function echoServer(at: string): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  return new Promise((resolve) => server.listen(at, () => resolve(server)));
}

function exchange(at: string, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const socket = net.connect({ path: at, allowHalfOpen: true });
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    socket.on("end", () => resolve(Buffer.concat(pieces)));
    socket.on("error", reject);
    socket.end(bytes);
  });
}

guestTest(
  `Debian's driver carries streams both ways, with their ends, and refusals${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`,
  { timeout: 400_000 },
  async () => {
    const base = mkdtempSync(path.join(tmpdir(), "ringfence-vsock-"));
    const [toHost, toGuest, share] = ["to-host", "to-guest", "share"].map((name) =>
      path.join(base, name),
    ) as [string, string, string];
    spawnSync("mkdir", [share]);
    compileVsockProgram(path.join(share, "vsock"));
    const bytes = randomBytes(SENT_BYTES);
    writeFileSync(path.join(share, "sent"), bytes);
    const hash = createHash("sha256").update(bytes).digest("hex");
    const server = await echoServer(toHost);
    try {
      let answer: Promise<Buffer> | undefined;
      const run = runGuest(
        [
          "--network",
          "none",
          "--share",
          `${share},tag=work`,
          "--vsock",
          `5000:${toHost}`,
          "--vsock",
          `${toGuest}:22`,
        ],
        [
          { after: PROMPT, type: "cd /mnt/work; ./vsock connect 5000 < sent | sha256sum" },
          { after: `${hash}  -`, type: "./vsock connect 5001; echo status=$?=" },
          { after: "status=2=", type: "./vsock serve 22; echo echoed=$?=" },
          { after: "echoed=0=", type: "poweroff" },
        ],
        300_000,
      );
      // The guest serves when it has said so; until then it refuses.
      for (let attempt = 0; attempt < 2000 && answer === undefined; attempt++) {
        const got = await exchange(toGuest, bytes).catch(() => undefined);
        if (got !== undefined && got.length > 0) answer = Promise.resolve(got);
        else await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const { status, output } = await run;
      expect(output).toContain("connect: Connection reset by peer");
      expect(Buffer.compare((await answer) ?? Buffer.of(), bytes)).toBe(0);
      expect(status).toBe(0);
    } finally {
      server.close();
      rmSync(base, { recursive: true, force: true });
    }
  },
);
