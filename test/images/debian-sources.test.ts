import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { findOrigin, originForGuest, sourceLines } from "../../src/images/debian/debian-sources.ts";
import { inFolder } from "../disk/qemu-img.ts";

const TARGETS = [
  "http://a.example/debian/\tbookworm\tmain\tDebian",
  "http://a.example/debian/\tbookworm\tcontrib\tDebian",
  "http://a.example/debian/\tbookworm-updates\tmain\tDebian",
  "http://a.example/security/\tbookworm-security\tmain\tDebian",
  "http://other.example/tools/\tstable\tmain\tSomebody",
];
const SETTINGS = [
  'Acquire::http::Proxy "http://proxy.example:3128";',
  'Acquire::Check-Valid-Until "false";',
  'Acquire::Languages "none";',
  'DPkg::Post-Invoke "rm -rf /";',
];

/** Runs `work` where apt says this of itself. */
async function withApt(targets: readonly string[], work: () => Promise<void>): Promise<void> {
  const before = process.env["PATH"];
  await inFolder(async (folder) => {
    for (const [name, lines] of [
      ["apt-get", targets],
      ["apt-config", SETTINGS],
    ] as const) {
      const program = path.join(folder, name);
      writeFileSync(program, `#!/bin/sh\ncat <<'END'\n${lines.join("\n")}\nEND\n`);
      chmodSync(program, 0o755);
    }
    process.env["PATH"] = `${folder}:${before}`;
    await work().finally(() => {
      process.env["PATH"] = before;
    });
  });
}

test("packages come from where this machine's Debian comes from, and from nowhere else", async () => {
  await withApt(TARGETS, async () => {
    const origin = await findOrigin(undefined, undefined);
    expect(origin).toEqual({
      suite: "bookworm",
      sources: [
        { uri: "http://a.example/debian/", suite: "bookworm", components: ["main", "contrib"] },
        { uri: "http://a.example/debian/", suite: "bookworm-updates", components: ["main"] },
        { uri: "http://a.example/security/", suite: "bookworm-security", components: ["main"] },
      ],
      acquireSettings: SETTINGS.slice(0, 2),
    });
    expect(sourceLines(origin.sources, "/k.gpg")[0]).toBe(
      "deb [signed-by=/k.gpg] http://a.example/debian/ bookworm main contrib",
    );
  });
});

test("another release has its updates and security, and one without them has neither", async () => {
  await withApt(TARGETS, async () => {
    const suites = async (suite: string) =>
      (await findOrigin(suite, undefined)).sources.map((source) => source.suite);
    expect(await suites("trixie")).toEqual(["trixie", "trixie-updates", "trixie-security"]);
    expect(await suites("sid")).toEqual(["sid"]);
  });
});

test("a mirror takes the place of this machine's sources", async () => {
  await withApt(TARGETS, async () => {
    const { suite, sources } = await findOrigin("trixie", "http://m.example/debian");
    expect(suite).toBe("trixie");
    expect(sources).toEqual([{ uri: "http://m.example/debian", suite: "trixie", components: ["main"] }]);
  });
  await withApt(TARGETS.slice(4), async () => {
    await expect(findOrigin(undefined, undefined)).rejects.toThrow("give one with --mirror URL");
    expect((await findOrigin(undefined, "file:///m")).suite).toBe("stable");
  });
});

test("what is local to the host is found by the guest behind the gateway", () => {
  const source = (uri: string) => ({ uri, suite: "x", components: ["main"] });
  const settings = (address: string) => [`Acquire::http::Proxy "http://${address}:3128";`];
  const guest = originForGuest({
    suite: "x",
    sources: [source("http://localhost:3142/debian"), source("http://localhost.example/debian")],
    acquireSettings: settings("127.0.0.1"),
  });
  expect(guest.sources).toEqual([
    source("http://10.0.2.2:3142/debian"),
    source("http://localhost.example/debian"),
  ]);
  expect(guest.acquireSettings).toEqual(settings("10.0.2.2"));
});
