import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;
const obstacle = !guest.available ? guest.reason : hasCompiler ? undefined : "there is no gcc";
const guestTest = test.skipIf(obstacle !== undefined);
const SENT_BYTES = 3_000_000;

/** `vsock connect PORT` sends standard input to the host and prints what comes back; `vsock serve PORT` echoes once. */
const PROGRAM = `
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
static char buffer[100000];
static void all(int fd, const char *from, ssize_t length) {
  while (length > 0) {
    ssize_t put = write(fd, from, length);
    if (put <= 0) { perror("write"); exit(3); }
    from += put; length -= put;
  }
}
int main(int argc, char **argv) {
  struct sockaddr_vm at = { .svm_family = AF_VSOCK, .svm_port = atoi(argv[2]) };
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  ssize_t got;
  if (argv[1][0] == 's') {
    at.svm_cid = VMADDR_CID_ANY;
    if (bind(fd, (void *)&at, sizeof at) || listen(fd, 4)) { perror("listen"); return 1; }
    puts("listening");
    fflush(stdout);
    int one = accept(fd, 0, 0);
    while ((got = read(one, buffer, sizeof buffer)) > 0) all(one, buffer, got);
    close(one);
    return got != 0;
  }
  at.svm_cid = VMADDR_CID_HOST;
  if (connect(fd, (void *)&at, sizeof at)) { printf("connect: %s\\n", strerror(errno)); return 2; }
  // Reads while it writes: what comes back is as much as what goes.
  int ended = 0;
  ssize_t left = 0; char *from = 0; static char input[65536];
  for (;;) {
    struct pollfd polls = { .fd = fd, .events = POLLIN | (ended ? 0 : POLLOUT) };
    if (poll(&polls, 1, -1) < 0) return 4;
    if (polls.revents & (POLLIN | POLLHUP)) {
      got = read(fd, buffer, sizeof buffer);
      if (got <= 0) return got != 0;
      all(1, buffer, got);
    }
    if (ended || !(polls.revents & POLLOUT)) continue;
    if (left == 0) { left = read(0, input, sizeof input); from = input; }
    if (left <= 0) { shutdown(fd, SHUT_WR); ended = 1; continue; }
    got = send(fd, from, left, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < 0) { perror("send"); return 5; }
    from += got; left -= got;
  }
}
`;

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
    const compiler = ["-static", "-w", "-x", "c", "-", "-o", path.join(share, "vsock")];
    expect(spawnSync("gcc", compiler, { input: PROGRAM }).status).toBe(0);
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
