import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { inFolder } from "../disk/qemu-img.ts";
import { RINGFENCE } from "./console.ts";

const guest = await fetchGuest("default");
const hasBusybox = spawnSync("busybox", ["true"]).status === 0;
const hasTools = ["umoci", "skopeo"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
const obstacle = !guest.available ? guest.reason : hasBusybox ? undefined : "there is no busybox";
const layoutObstacle = obstacle ?? (hasTools ? undefined : "there is no umoci or skopeo");
const suffixOf = (reason: string | undefined) => (reason === undefined ? "" : ` (skipped: ${reason})`);
const TIMEOUT_MS = 280_000;
const APPLETS = ["sh", "cat", "echo", "env", "id", "ls", "od", "printf", "pwd"];

function run(folder: string, ...parameters: string[]) {
  return runWith({}, folder, ...parameters);
}

/** With these variables in its environment. */
function runWith(variables: Readonly<Record<string, string>>, folder: string, ...parameters: string[]) {
  const folders = { RINGFENCE_IMAGES: path.join(folder, "images"), XDG_RUNTIME_DIR: folder };
  const env = { ...process.env, ...folders, ...variables };
  const options = { encoding: "utf8", env, input: "", timeout: TIMEOUT_MS } as const;
  return spawnSync(RINGFENCE, parameters, options);
}

function tool(folder: string, program: string, ...parameters: string[]): void {
  const { status, stderr } = spawnSync(program, parameters, { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${parameters.join(" ")}: ${stderr}`);
}

/** A root file system of nothing but busybox. */
function makeRoot(root: string): void {
  const bin = path.join(root, "bin");
  mkdirSync(bin, { recursive: true });
  tool(root, "sh", "-c", "cp $(command -v busybox) bin/busybox");
  for (const applet of APPLETS) symlinkSync("busybox", path.join(bin, applet));
}

test.skipIf(obstacle !== undefined)(
  `a tar of a root file system runs a command, ends with its status, and keeps what it wrote${suffixOf(obstacle)}`,
  { timeout: 3 * TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      makeRoot(path.join(folder, "root"));
      tool(folder, "tar", "-C", "root", "-czf", "app.tar.gz", ".");
      const command = "cat /count 2>/dev/null; echo once >> /count; exit 7";
      const made = run(folder, "import", path.join(folder, "app.tar.gz"), "--command", command);
      expect({ status: made.status, stderr: made.stderr }).toMatchObject({ status: 0 });
      expect(made.stdout).toContain("app is there: ringfence run app");
      const first = run(folder, "run", "app");
      expect(first.stdout).not.toContain("once");
      expect(first.status).toBe(7);
      expect(run(folder, "run", "app").stdout).toContain("once\r\n");
      expect(run(folder, "run", "app", "--ephemeral").stdout).not.toContain("once");
      expect(run(folder, "inspect", "app", "--verify").status).toBe(0);
    });
  },
);

test.skipIf(obstacle !== undefined)(
  `a run's own command gets its words as they are, and its status is the run's${suffixOf(obstacle)}`,
  { timeout: 4 * TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      makeRoot(path.join(folder, "root"));
      tool(folder, "tar", "-C", "root", "-cf", "app.tar", ".");
      expect(run(folder, "import", path.join(folder, "app.tar"), "--command", "exit 7").status).toBe(0);
      const words = ["a b", "", "it's", '"$HOME"', "`id`", "two\nlines", "*", "--memory", "--", "-c", "#é\\"];
      // Longer than a kernel's command line.
      const long = "x".repeat(5000);
      const script = 'for word; do echo "[$word]"; done; exit 9';
      const given = ["--ephemeral", "--network", "none", "sh", "-c", script, "sh", ...words, long];
      const { stdout, stderr, status } = run(folder, "run", "app", ...given);
      expect(stderr).toContain("booting app; Ctrl-A H");
      const lines = [...words, long].map((word) => `[${word}]\n`.replaceAll("\n", "\r\n"));
      expect(stdout).toContain(lines.join(""));
      expect(status).toBe(9);

      const told = ["--network", "none", "sh", "-c", 'echo "$1" > /told', "sh", "in the  background"];
      expect(run(folder, "run", "--detach", "app", ...told)).toMatchObject({ status: 0, stdout: "app\n" });
      // Refused while the machine in the background has the disk.
      const readBack = () => run(folder, "run", "app", "--network", "none", "--", "cat", "/told").stdout;
      await expect.poll(readBack, { timeout: TIMEOUT_MS, interval: 500 }).toContain("in the  background\r\n");
      const absent = run(folder, "run", "app", "--ephemeral", "--network", "none", "no such program");
      expect(absent.stdout).toContain("the image has no program no such program");
      expect(absent.status).toBe(127);
    });
  },
);

/** Two layers, the second of which adds, changes and removes; made by programs that nobody here wrote. */
function makeLayout(folder: string): void {
  const image = "layout:v1";
  const rootfs = path.join(folder, "bundle", "rootfs");
  const unpack = () => tool(folder, "umoci", "unpack", "--rootless", "--image", image, "bundle");
  tool(folder, "umoci", "init", "--layout", "layout");
  tool(folder, "umoci", "new", "--image", image);
  unpack();
  makeRoot(rootfs);
  mkdirSync(path.join(rootfs, "srv", "old"), { recursive: true });
  writeFileSync(path.join(rootfs, "srv", "old", "file"), "");
  writeFileSync(path.join(rootfs, "srv", "gone"), "");
  tool(folder, "umoci", "repack", "--image", image, "bundle");
  rmSync(path.join(folder, "bundle"), { recursive: true });
  unpack();
  rmSync(path.join(rootfs, "srv", "old"), { recursive: true });
  rmSync(path.join(rootfs, "srv", "gone"));
  writeFileSync(path.join(rootfs, "srv", "kept"), "");
  mkdirSync(path.join(rootfs, "etc"));
  writeFileSync(path.join(rootfs, "etc", "passwd"), "app:x:1234:56::/srv:/bin/sh\n");
  writeFileSync(path.join(rootfs, "etc", "group"), "app:x:56:\n");
  const script = '#!/bin/sh\necho "[$*] [$GREETING] [$(pwd)] [$(echo /srv/*)]"; id; exit 42\n';
  writeFileSync(path.join(rootfs, "bin", "entry"), script);
  chmodSync(path.join(rootfs, "bin", "entry"), 0o755);
  tool(folder, "umoci", "repack", "--image", image, "bundle");
  const settings = [
    ...["--config.entrypoint", "entry", "--config.cmd", "two words", "--config.cmd", "it's"],
    ...["--config.user", "app", "--config.workingdir", "/srv", "--config.env", "GREETING=hello 'you' $HOME"],
    ...["--config.exposedports", "8080/tcp", "--architecture", "amd64", "--os", "linux"],
  ];
  tool(folder, "umoci", "config", "--image", image, ...settings);
}

test.skipIf(layoutObstacle !== undefined)(
  `an OCI layout and docker's archive run their entry point as their user${suffixOf(layoutObstacle)}`,
  { timeout: 5 * TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      makeLayout(folder);
      tool(folder, "skopeo", "copy", "oci:layout:v1", "docker-archive:docker.tar:app:v1");
      tool(folder, "tar", "-C", "layout", "-cf", "layout.tar", ".");
      for (const source of ["layout", "docker.tar", "layout.tar"]) {
        const made = run(
          folder,
          "import",
          path.join(folder, source),
          "--name",
          `from-${source}`,
          "--tag",
          "v1",
        );
        expect({ source, status: made.status, stderr: made.stderr }).toMatchObject({ status: 0 });
        expect(made.stdout).toContain("it listens on 8080/tcp");
        const { stdout, status } = run(folder, "run", `from-${source}`, "--network", "none");
        expect(stdout).toContain("[two words it's] [hello 'you' $HOME] [/srv] [/srv/kept]\r\n");
        expect(stdout).toContain("uid=1234(app) gid=56(app)\r\n");
        expect(status).toBe(42);
        const given = run(folder, "run", `from-${source}`, "--network", "none", "other", "it's  words");
        expect(given.stdout).toContain("[other it's  words] [hello 'you' $HOME] [/srv] [/srv/kept]\r\n");
        expect(given.status).toBe(42);
      }
    });
  },
);

test.skipIf(layoutObstacle !== undefined)(
  `a run's options change what a container image says of its program, as docker's do${suffixOf(layoutObstacle)}`,
  { timeout: 8 * TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      makeLayout(folder);
      const made = run(folder, "import", path.join(folder, "layout"), "--name", "app");
      expect({ status: made.status, stderr: made.stderr }).toMatchObject({ status: 0 });
      const start = (...words: string[]) =>
        runWith(
          { FROM_HERE: "it's  $HOME" },
          folder,
          "run",
          "app",
          "--ephemeral",
          "--network",
          "none",
          ...words,
        );

      // The entry point prints its words, GREETING, its folder and /srv/*, and who it is.
      const changed = start(
        "-e",
        "GREETING=new\n*",
        "-u",
        "77:app",
        "-w",
        "/srv/it's new",
        "other",
        "it's  words",
      );
      expect(changed.stdout).toContain(
        "[other it's  words] [new\r\n*] [/srv/it's new] [/srv/it's new /srv/kept]\r\n",
      );
      expect(changed.stdout).toContain("uid=77 gid=56(app)\r\n");
      expect(changed.stderr).toContain("booting app; Ctrl-A H");
      expect(changed.status).toBe(42);

      // Without the image's command, and its environment without what is not set here.
      const variables = ["--env", "FROM_HERE", "--env", "GREETING", "--env", "PATH=/bin", "--user=0"];
      expect(start("--entrypoint", "env", ...variables)).toMatchObject({
        stdout: expect.stringMatching(
          /^TERM=\w+\r\nFROM_HERE=it's {2}\$HOME\r\nPATH=\/bin\r\nHOME=\/root\r\n$/,
        ),
        status: 0,
      });

      const shell = "kill -9 $$";
      expect(start("--entrypoint=", "sh", "-c", shell).status).toBe(128 + 9);
      expect(start("--entrypoint", "/srv/kept")).toMatchObject({
        stdout: expect.stringContaining("can't execute '/srv/kept': Permission denied"),
        status: 126,
      });
      expect(start("--entrypoint", "absent")).toMatchObject({
        stdout: expect.stringContaining("the image has no program absent"),
        status: 127,
      });
      expect(start("--user", "absent").stderr).toContain("--user absent: app had no such user or group");
    });
  },
);

test.skipIf(obstacle !== undefined)(
  `a run takes as long a command and environment as Linux starts, from a file too; an older image takes a command${suffixOf(obstacle)}`,
  { timeout: 4 * TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      makeRoot(path.join(folder, "root"));
      tool(folder, "tar", "-C", "root", "-cf", "app.tar", ".");
      expect(run(folder, "import", path.join(folder, "app.tar")).status).toBe(0);
      const config = path.join(folder, "app.toml");
      const most = 128 << 10;
      const values = Array.from({ length: 15 }, (_, i) => `"V${i}=${"x".repeat(most - 5)}"`);
      writeFileSync(
        config,
        `image = "app"\nworkdir = "/made"\nnetwork = "none"\nenv = [${values.join(",")}]\n`,
      );
      // What 15 of 128 KiB leave of the limit, but for some bytes of the image's own.
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's own notation.
      const words = ["app", "sh", "-c", 'echo "${#V0} ${#V14} ${#1}"; pwd; exit 5', "sh", "y".repeat(65_000)];
      expect(run(folder, "run", "--config", config, ...words)).toMatchObject({
        stdout: expect.stringContaining(`${most - 5} ${most - 5} 65000\r\n/made\r\n`),
        status: 5,
      });
      const { stderr, status } = run(folder, "run", "--config", config, ...words, "z".repeat(1000));
      expect(stderr).toContain("command and environment together may have 2031616 bytes in the guest");
      expect(status).toBe(2);

      // Any bytes, which only a shell can give: Node.js has words of text.
      const octal = Array.from({ length: 255 }, (_, i) => `\\${(i + 1).toString(8).padStart(3, "0")}`).join(
        "",
      );
      const show = 'for bytes in "$B" "$C" "$1"; do printf %s "$bytes" | od -An -v -tx1; done';
      const parameters = `--network none -e B="$b" -e C app sh -c '${show}' sh "$b"`;
      const script = `export RINGFENCE_IMAGES=images XDG_RUNTIME_DIR=$PWD; b=$(printf '${octal}'); C=$b exec "$0" run ${parameters}`;
      const bytes = spawnSync("sh", ["-c", script, RINGFENCE], { cwd: folder, encoding: "utf8", input: "" });
      const dump = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1)).toString("hex");
      expect(bytes.stdout.replace(/\s/g, "")).toBe(dump.repeat(3));

      const file = path.join(folder, "images", "app", "manifest.json");
      const manifest = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
      delete manifest["container"];
      writeFileSync(file, JSON.stringify(manifest));
      const older = run(folder, "run", "app", "--network", "none", "sh", "-c", "echo it\\'s older; exit 200");
      expect(older).toMatchObject({ stdout: expect.stringContaining("it's older\r\n"), status: 200 });
      expect(run(folder, "run", "app", "-u", "0").stderr).toContain("an earlier Ringfence imported it");
    });
  },
);
