import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { parseCommandLine } from "../../src/cli/command-line.ts";
import { givenArchive } from "../../src/cli/program-archive.ts";
import type { ContainerConfig } from "../../src/images/container/container-image.ts";
import { CONTAINER_FILE, containerText } from "../../src/images/container/kept-container.ts";
import { ImageStore } from "../../src/images/image-store.ts";
import { inFolder } from "../disk/qemu-img.ts";

const CONFIG: ContainerConfig = {
  entryPoint: [],
  command: ["/bin/sh"],
  environment: ["PATH=/bin"],
  user: "app",
  workingFolder: "/",
  ports: [],
};
const ACCOUNTS = { passwd: "app:x:1234:56::/srv:/bin/sh\n", group: "web:x:33:\n" };

/** The archive's text for a run of an image, which keeps something of its container or, as older ones, does not. */
async function textFor(
  words: readonly string[],
  kept: "kept" | "not kept" = "kept",
): Promise<string | undefined> {
  let text: string | undefined;
  await inFolder(async (root) => {
    const image = await new ImageStore(root).create("app", async (folder) => {
      writeFileSync(path.join(folder, "vmlinuz"), "a kernel");
      writeFileSync(path.join(folder, CONTAINER_FILE), containerText({ config: CONFIG, accounts: ACCOUNTS }));
      return {
        ...{ description: "", kernel: "vmlinuz", commandLine: "", memoryBytes: 64 << 20, disks: [] },
        ...{ network: "none", forwards: [], takesCommand: true },
        ...(kept === "kept" ? { container: CONTAINER_FILE } : {}),
      };
    });
    const command = parseCommandLine(["run", "app", ...words]);
    if (command.command !== "run" || command.options.image === undefined) throw new Error("it is no run");
    const archive = givenArchive(command.options.image, image);
    text = archive && new TextDecoder().decode(archive);
  });
  return text;
}

test("a user is looked up in the accounts that the image was imported with, and is the image's where none is given", async () => {
  expect(await textFor(["-e", "A=1"])).toContain("nsenter -S 1234 -G 56 ");
  expect(await textFor(["-u", "app:web"])).toContain("nsenter -S 1234 -G 33 ");
  expect(await textFor(["-u", "7:8"])).toContain("nsenter -S 7 -G 8 ");
  await expect(textFor(["-u", "nobody"])).rejects.toThrow(
    "--user nobody: app had no such user or group when it was imported; a number needs none, such as 1000:1000",
  );
});

test("where nothing is given nothing follows, and an older image still takes a command", async () => {
  expect(await textFor([])).toBeUndefined();
  expect(await textFor(["ls", "it's"])).toContain("set -- 'ls' 'it'\\''s'\n");
  expect(await textFor(["ls", "it's"], "not kept")).toContain("set -- 'ls' 'it'\\''s'\n");
  expect(await textFor(["ls"], "not kept")).not.toContain("nsenter");
});

test.each(["kept", "not kept"] as const)(
  "as much as Linux starts a program with is taken, and no more: %s",
  async (kept) => {
    const longest = "x".repeat((128 << 10) - 1);
    expect(await textFor([longest], kept)).toContain(`'${longest}'`);
    await expect(textFor([`${longest}x`], kept)).rejects.toThrow(
      "one word or variable may have 131072 bytes in the guest, and 131073 are given; put them into a file",
    );
    await expect(textFor(["\u00e9".repeat(1 << 16)], kept)).rejects.toThrow("and 131073 are given");
    const words = (count: number) => Array.from({ length: count }, () => longest);
    expect(await textFor(words(15), kept)).toContain(
      words(15)
        .map((word) => `'${word}'`)
        .join(" "),
    );
    await expect(textFor(words(16), kept)).rejects.toThrow(
      "command and environment together may have 2031616 bytes in the guest",
    );
  },
);

test("short words count with a pointer to each, however many there are", async () => {
  const words = (count: number) => Array.from({ length: count }, () => "y");
  expect(await textFor(words(203_000))).toContain(" 'y' 'y' ");
  await expect(textFor(words(204_000))).rejects.toThrow("command and environment together may have");
});

test("variables count as words do", async () => {
  const variables = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, i) => [
      `--env`,
      `${String.fromCharCode(65 + i)}=${"x".repeat(bytes)}`,
    ]).flat();
  expect(await textFor(variables(15, (128 << 10) - 3))).toContain(" 'O=xxx");
  await expect(textFor(variables(1, (128 << 10) - 2))).rejects.toThrow("and 131073 are given");
  await expect(textFor(variables(16, (128 << 10) - 3))).rejects.toThrow("together may have 2031616 bytes");
});
