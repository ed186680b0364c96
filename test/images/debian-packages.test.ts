import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { DebianPackages } from "../../src/images/debian/debian-packages.ts";
import { inFolder } from "../disk/qemu-img.ts";

const ORIGIN = { suite: "bookworm", sources: [], acquireSettings: [] };
const KERNEL = "linux-image-cloud-amd64";

/** What download says where apt's programs are these scripts. */
async function complaint(
  scripts: Record<string, string>,
  include: string[],
  kernel: string,
): Promise<string> {
  const before = process.env["PATH"];
  let message = "";
  await inFolder(async (folder) => {
    for (const [name, script] of Object.entries(scripts)) {
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(path.join(folder, name), 0o755);
    }
    const work = path.join(folder, "work");
    mkdirSync(work);
    process.env["PATH"] = `${folder}:${before}`;
    try {
      await new DebianPackages(work, ORIGIN).download(include, kernel);
    } catch (error) {
      message = (error as Error).message;
    } finally {
      process.env["PATH"] = before;
    }
  });
  return message;
}

const KNOWING = {
  "apt-get": "exit 0",
  "apt-cache":
    'case "$*" in *absent*) echo "N: Unable to locate package" >&2; exit 100 ;; *) echo "Package: it" ;; esac',
};

test("a package that Debian has not is named with the option it came by", async () => {
  expect(await complaint(KNOWING, ["gcc", "absent"], KERNEL)).toBe(
    "--include absent: expected a package of Debian bookworm for amd64",
  );
  expect(await complaint(KNOWING, ["gcc"], "linux-image-absent")).toBe(
    "--kernel linux-image-absent: expected a package of Debian bookworm for amd64",
  );
});

test("a mirror that cannot be reached is told with the reason, not as packages that are not there", async () => {
  const failing = `
    grep -q 'APT::Update::Error-Mode "any"' "$APT_CONFIG" || exit 0
    echo "E: Failed to fetch http://mirror.example/InRelease  Connection refused" >&2
    echo "E: Some index files failed to download." >&2
    exit 100`;
  expect(await complaint({ ...KNOWING, "apt-get": failing }, [], KERNEL)).toBe(
    "apt-get failed: Failed to fetch (address)  Connection refused",
  );
});
