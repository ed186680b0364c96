import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { configurationPaths, dpkgDatabase } from "../../src/images/debian/dpkg-database.ts";
import { inFolder } from "../disk/qemu-img.ts";

/** Of dpkg-query: $ and braces are its own. */
const FORMAT = ["binary:Package", "Status", "Conffiles"]
  .map((field) => `\${${field}}`)
  .join("|")
  .concat("\n");
const hasDpkg = spawnSync("dpkg", ["--version"]).status === 0;

function control(name: string, more = ""): string {
  return `Package: ${name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: A <a@b.c>\n${more}Description: a test\n with two lines\n`;
}

const PACKAGES = [
  {
    name: "first",
    control: control("first"),
    scripts: new Map<string, Uint8Array>([
      ["control", Buffer.from("not kept")],
      ["conffiles", Buffer.from("/etc/first\n")],
      ["postinst", Buffer.from("#!/bin/sh\n")],
      ["triggers", Buffer.from("interest-noawait /usr/share/first\ninterest ldconfig\nactivate-noawait x\n")],
    ]),
    paths: ["/.", "/etc", "/etc/first"],
    configuration: new Map([["/etc/first", "d41d8cd98f00b204e9800998ecf8427e"]]),
  },
  {
    name: "libsecond",
    control: control("libsecond", "Multi-Arch: same\n"),
    scripts: new Map<string, Uint8Array>(),
    paths: ["/."],
    configuration: new Map<string, string>(),
  },
];

test.skipIf(!hasDpkg)(
  "dpkg takes the database for one of its own, of packages that are unpacked",
  async () => {
    await inFolder(async (root) => {
      for (const { member, bytes } of dpkgDatabase(PACKAGES)) {
        const file = path.join(root, member.path);
        if (member.kind === "directory") mkdirSync(file, { recursive: true });
        else writeFileSync(file, bytes);
      }
      const query = (...parameters: string[]) => {
        const all = [`--admindir=${root}/var/lib/dpkg`, ...parameters];
        const { stdout, stderr } = spawnSync("dpkg-query", all, { encoding: "utf8" });
        expect(stderr).toBe("");
        return stdout;
      };
      expect(query("-W", "-f", FORMAT)).toBe(
        "first|install ok unpacked| /etc/first d41d8cd98f00b204e9800998ecf8427e\nlibsecond:amd64|install ok unpacked|\n",
      );
      expect(query("-L", "first")).toBe("/.\n/etc\n/etc/first\n");
      // It does not list what only dpkg itself reads.
      expect(query("--control-list", "first").trimEnd().split("\n").sort()).toEqual(["postinst", "triggers"]);
      expect(query("-L", "libsecond")).toBe("/.\n");
    });
  },
);

test("triggers are written as dpkg writes them", () => {
  const files = new Map(
    dpkgDatabase(PACKAGES).map(({ member, bytes }) => [member.path, `${Buffer.from(bytes)}`]),
  );
  expect(files.get("var/lib/dpkg/triggers/File")).toBe("/usr/share/first first/noawait\n");
  expect(files.get("var/lib/dpkg/triggers/ldconfig")).toBe("first\n");
  expect(files.has("var/lib/dpkg/triggers/x")).toBe(false);
});

test("a flag in front of a configuration file is no file that is there", () => {
  expect(configurationPaths("/etc/a\nremove-on-upgrade /etc/b\n/etc/c d\n")).toEqual(["/etc/a", "/etc/c d"]);
});
