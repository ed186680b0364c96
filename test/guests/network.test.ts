import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const bootTest = test.skipIf(!guest.available);
const TIMEOUT_MS = 280_000;
const DOWNLOAD_BYTES = 8 * 2 ** 20;
const UPLOAD_BYTES = 2 * 2 ** 20;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function listen(server: net.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  server.close();
  return port;
}

/** Answers /data with random bytes, /N with N, and /wait when `released` is. */
function webServer(data: Uint8Array, released: Promise<string>): http.Server {
  return http.createServer(async (request, response) => {
    if (request.url === "/data") response.end(data);
    else if (request.url === "/wait") response.end(await released);
    else response.end(request.url?.slice(1));
  });
}

/** Takes a stream, and answers with its length and hash when it has ended. */
function uploadServer(): net.Server {
  return net.createServer({ allowHalfOpen: true }, (socket) => {
    const pieces: Buffer[] = [];
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    socket.on("end", () => {
      const all = Buffer.concat(pieces);
      socket.end(`${all.length} ${sha256(all)}\n`);
    });
  });
}

/** What the guest's own web server answers, once it does. */
async function fetchFromGuest(port: number): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(`http://127.0.0.1:${port}/hello.txt`)).text();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

bootTest(
  `the guest gets an address, loads and sends files, serves the host, and reaches another machine${suffix}`,
  { timeout: TIMEOUT_MS + 10_000 },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "ringfence-network-"));
    const data = randomBytes(DOWNLOAD_BYTES);
    const forwardedPort = await freePort();
    const served = fetchFromGuest(forwardedPort);
    const [web, upload] = [webServer(data, served), uploadServer()];
    const [webPort, uploadPort] = [await listen(web), await listen(upload)];
    const url = `http://10.0.2.2:${webPort}`;
    const wire = `switch:${path.join(folder, "switch")}`;

    const other = runGuest(
      ["--network", wire],
      [
        { after: PROMPT, type: "until ip link show eth0 | grep -q UP; do sleep 1; done" },
        { after: PROMPT, type: "ip address add 192.168.77.2/24 dev eth0" },
        { after: PROMPT, type: "nc -l -p 9 > /dev/null; poweroff" },
      ],
      TIMEOUT_MS,
    );
    const lines = [
      "until ip route | grep -q default; do sleep 1; done; ip address show eth0",
      "ping -c 2 10.0.2.2",
      "until ping6 -c 1 fd10:0:2::2 > /dev/null; do sleep 1; done; echo six works",
      `wget -q -O /tmp/data ${url}/data && sha256sum /tmp/data`,
      `head -c ${UPLOAD_BYTES} /tmp/data | nc 10.0.2.2 ${uploadPort}; echo`,
      `for i in $(seq 20); do wget -q -O - ${url}/$i > /tmp/part$i & done; wait; cat /tmp/part* | wc -c`,
      "wget -O - http://10.0.2.2:1/",
      "mkdir /www && echo from the guest > /www/hello.txt && httpd -h /www",
      `wget -q -O - ${url}/wait`,
      "ip address add 192.168.77.1/24 dev eth1",
      "until ping -c 1 -W 1 192.168.77.2 > /dev/null; do sleep 1; done; ping -c 3 192.168.77.2",
      "until echo bye | nc 192.168.77.2 9; do sleep 1; done",
      "poweroff",
    ];
    const options = ["--network", "user", "--network", wire, "--forward", `tcp:${forwardedPort}:80`];
    const steps = lines.map((type) => ({ after: PROMPT, type }));
    const [first, second] = await Promise.all([runGuest(options, steps, TIMEOUT_MS), other]);
    web.close();
    upload.close();
    rmSync(folder, { recursive: true });

    const { output } = first;
    expect(output).toContain("inet 10.0.2.15/24");
    expect(output).toContain("2 packets transmitted, 2 packets received");
    expect(output).toContain("\nsix works");
    expect(output).toContain(`${sha256(data)}  /tmp/data`);
    expect(output).toContain(`${UPLOAD_BYTES} ${sha256(data.subarray(0, UPLOAD_BYTES))}`);
    expect(output).toContain("\n31\r\n"); // the digits of 1 to 20
    expect(output).toContain("Connection refused");
    expect(await served).toBe("from the guest\n");
    expect(output).toContain("\nfrom the guest");
    expect(output).toContain("3 packets transmitted, 3 packets received");
    expect(output).not.toMatch(/Oops|BUG:|Call Trace/);
    expect(first.status).toBe(0);
    expect(second.status).toBe(0);
  },
);
