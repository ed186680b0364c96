import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { openDecompressed } from "../../src/images/container/blob-source.ts";
import { containerConfig } from "../../src/images/container/container-image.ts";
import { changedStart, containerStart } from "../../src/images/container/container-init.ts";
import { resolveUser } from "../../src/images/container/container-user.ts";
import { portWriter } from "../../src/images/container/exit-program.ts";
import { changedConfig, type GivenProgram } from "../../src/images/container/given-program.ts";
import { COMMAND_FILE, commandScript, givenScript } from "../../src/images/container/given-script.ts";
import { openContainer } from "../../src/images/container/open-container.ts";
import { readTar } from "../../src/images/tar-reader.ts";
import { TarWriter } from "../../src/images/tar-writer.ts";
import { inFolder } from "../disk/qemu-img.ts";

const hasObjdump = spawnSync("objdump", ["--version"]).status === 0;
const hasCpio = spawnSync("cpio", ["--version"]).status === 0;
const MOST_BYTES = 1 << 20;

function tarOf(file: string, members: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const writer = new TarWriter(file);
  for (const [name, contents] of Object.entries(members)) writer.file(name, Buffer.from(contents));
  writer.close();
  return readFileSync(file);
}

function open(folder: string, name: string, tag?: string) {
  const work = path.join(folder, "work");
  mkdirSync(work, { recursive: true });
  return openContainer({ path: path.join(folder, name), tag, work, mostBytes: MOST_BYTES });
}

async function namesIn(layer: Parameters<typeof readTar>[0]): Promise<string[]> {
  const names: string[] = [];
  await readTar(layer, async ({ name }) => {
    names.push(name);
  });
  return names;
}

/** Adds a blob to a layout; returns its descriptor. */
function addBlob(layout: string, contents: string | Uint8Array): { digest: string; size: number } {
  const sha256 = createHash("sha256").update(contents).digest("hex");
  mkdirSync(path.join(layout, "blobs", "sha256"), { recursive: true });
  writeFileSync(path.join(layout, "blobs", "sha256", sha256), contents);
  return { digest: `sha256:${sha256}`, size: contents.length };
}

function makeLayout(folder: string, architecture = "amd64"): string {
  const layout = path.join(folder, "layout");
  const layer = gzipSync(tarOf(path.join(folder, "layer.tar"), { "etc/motd": "hello" }));
  const config = addBlob(layout, JSON.stringify({ architecture, os: "linux", config: { Cmd: ["x"] } }));
  const manifest = addBlob(layout, JSON.stringify({ config, layers: [addBlob(layout, layer)] }));
  writeFileSync(path.join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(path.join(layout, "index.json"), JSON.stringify({ manifests: [manifest] }));
  return layout;
}

test("an OCI layout is opened, and what is in it is checked by its hash", async () => {
  await inFolder(async (folder) => {
    const layout = makeLayout(folder);
    const { config, layers } = await open(folder, "layout");
    expect(config).toMatchObject({ entryPoint: [], command: ["x"] });
    expect(await namesIn(layers[0]!())).toEqual(["etc/motd"]);
    for (const name of readdirSync(path.join(layout, "blobs", "sha256"))) {
      const blob = path.join(layout, "blobs", "sha256", name);
      const bytes = readFileSync(blob);
      chmodSync(blob, 0o644);
      writeFileSync(blob, bytes.with(bytes.length - 1, 1 ^ (bytes.at(-1) ?? 0)));
      await expect(open(folder, "layout")).rejects.toThrow(`sha256:${name} is damaged`);
      writeFileSync(blob, bytes);
    }
  });
});

test("a link in a layout leads nowhere", async () => {
  await inFolder(async (folder) => {
    const layout = makeLayout(folder);
    const secret = path.join(folder, "secret");
    writeFileSync(secret, "secret");
    const digest = createHash("sha256").update("secret").digest("hex");
    symlinkSync(secret, path.join(layout, "blobs", "sha256", digest));
    writeFileSync(
      path.join(layout, "index.json"),
      JSON.stringify({ manifests: [{ digest: `sha256:${digest}`, size: 6 }] }),
    );
    await expect(open(folder, "layout")).rejects.toThrow(`it has no blobs/sha256/${digest}`);
    writeFileSync(path.join(layout, "index.json"), '{"manifests":[{"digest":"sha256:../../../secret"}]}');
    await expect(open(folder, "layout")).rejects.toThrow("not named by its SHA-256");
  });
});

test("an image for another processor is refused, and one of several has to be chosen", async () => {
  await inFolder(async (folder) => {
    const layout = makeLayout(folder, "arm64");
    await expect(open(folder, "layout")).rejects.toThrow("it is for arm64");
    const config = addBlob(layout, "{}");
    const named = (name: string) => ({
      ...addBlob(layout, JSON.stringify({ config, layers: [], name })),
      annotations: { "org.opencontainers.image.ref.name": name },
    });
    const index = path.join(layout, "index.json");
    writeFileSync(index, JSON.stringify({ manifests: [named("one"), named("two")] }));
    await expect(open(folder, "layout")).rejects.toThrow("choose one with --tag: one, two");
    expect((await open(folder, "layout", "two")).layers).toEqual([]);
  });
});

test("an archive of docker is read without a name of it becoming a file of the host", async () => {
  await inFolder(async (folder) => {
    const layer = tarOf(path.join(folder, "layer.tar"), { "bin/x": "x" });
    const manifest = [
      { Config: "../../config.json", Layers: ["/../../evil/layer.tar"], RepoTags: ["app:v1"] },
    ];
    tarOf(path.join(folder, "image.tar"), {
      "manifest.json": JSON.stringify(manifest),
      "../../config.json": JSON.stringify({ config: { Entrypoint: ["/bin/x"], User: "5" } }),
      "/../../evil/layer.tar": layer,
    });
    await expect(open(folder, "image.tar")).rejects.toMatchObject({ detail: { code: "archive-invalid" } });
    expect(existsSync(path.join(folder, "..", "..", "config.json"))).toBe(false);
    expect(readdirSync(path.join(folder, "work", "blobs")).every((name) => /^blob-\d+$/.test(name))).toBe(
      true,
    );
  });
});

test("what is small when compressed and endless when not is cut off, and nothing of it is kept in memory", async () => {
  await inFolder(async (folder) => {
    const zeroes = Buffer.alloc(64 << 20);
    for (const [name, compressed] of [
      ["bomb.gz", gzipSync(zeroes)],
      ["bomb.zst", zstdCompressSync(zeroes)],
    ] as const) {
      const file = path.join(folder, name);
      writeFileSync(file, compressed);
      let passed = 0;
      const read = async () => {
        for await (const bytes of openDecompressed(file, MOST_BYTES)) passed += (bytes as Buffer).length;
      };
      await expect(read()).rejects.toThrow("it holds more than 1 MiB; give more with --size");
      expect(passed).toBeLessThanOrEqual(MOST_BYTES);
      await expect(open(folder, name)).rejects.toMatchObject({ detail: { code: "archive-invalid" } });
    }
  });
});

test("bytes that are no archive are refused", async () => {
  await inFolder(async (folder) => {
    for (const [name, bytes] of [
      ["empty", Buffer.alloc(0)],
      ["zeroes", Buffer.alloc(10240)],
      ["noise", createHash("sha512").update("x").digest()],
      ["long-noise", Buffer.alloc(4096, "noise")],
    ] as const) {
      writeFileSync(path.join(folder, name), bytes);
      await expect(open(folder, name), name).rejects.toMatchObject({ detail: { code: "archive-invalid" } });
    }
    await expect(open(folder, "absent")).rejects.toMatchObject({ detail: { code: "file-not-found" } });
    mkdirSync(path.join(folder, "a-folder"));
    await expect(open(folder, "a-folder")).rejects.toThrow("it has no file oci-layout");
  });
});

test("damaged archives end with an error or are read, and never hang or escape", async () => {
  await inFolder(async (folder) => {
    const good = tarOf(path.join(folder, "good.tar"), {
      "manifest.json": JSON.stringify([{ Config: "c", Layers: ["l"] }]),
      c: "{}",
      l: "x".repeat(600),
    });
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(good);
      const hash = createHash("sha256").update(`${round}`).digest();
      for (let change = 0; change < 1 + (round % 4); change++)
        bytes[hash.readUInt32LE(4 * change) % (round % 2 === 0 ? 512 : bytes.length)] =
          hash[20 + change] ?? 0;
      const name = `damaged-${round}`;
      writeFileSync(path.join(folder, name), bytes);
      const work = path.join(folder, `work-${round}`);
      mkdirSync(work);
      const outcome = await openContainer({
        path: path.join(folder, name),
        tag: undefined,
        work,
        mostBytes: MOST_BYTES,
      }).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome.name, outcome.stack ?? "").toBe("VmError");
    }
  });
});

test.skipIf(!hasObjdump)(
  "the program that ends the machine is what its comments say, to binutils",
  async () => {
    await inFolder(async (folder) => {
      const file = path.join(folder, "exit-with");
      writeFileSync(file, portWriter(0xf4));
      expect(spawnSync("readelf", ["-hl", file], { encoding: "utf8" }).stderr).toBe("");
      const raw = path.join(folder, "code");
      writeFileSync(raw, portWriter(0xf4).subarray(120));
      const options = ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", raw];
      const { stdout } = spawnSync("objdump", options, { encoding: "utf8" });
      const code = Array.from(stdout.matchAll(/^ +[0-9a-f]+:\s+(.*?) *$/gm), ([, text = ""]) =>
        text.replace(/ +/g, " "),
      );
      expect(code).toEqual([
        ...["xor eax,eax", "xor edi,edi", "mov rsi,rsp", "mov edx,0x1", "syscall"],
        ...["mov eax,0xad", "mov edi,0xf4", "mov esi,0x1", "mov edx,0x1", "syscall"],
        ...["mov edx,0xf4", "mov al,BYTE PTR [rsp]", "out dx,al", "mov eax,0x3c", "xor edi,edi", "syscall"],
      ]);
    });
  },
);

test("users are found by name or number, with their group or another", () => {
  const accounts = {
    passwd: "root:x:0:0::/root:/bin/sh\napp:x:1000:50::/srv:/bin/sh\n",
    group: "root:x:0:\nstaff:x:50:\nweb:x:33:\n",
  };
  expect(resolveUser("", accounts)).toEqual({ uid: 0, gid: 0, home: "/root" });
  expect(resolveUser("app", accounts)).toEqual({ uid: 1000, gid: 50, home: "/srv" });
  expect(resolveUser("1000", accounts)).toEqual({ uid: 1000, gid: 50, home: "/srv" });
  expect(resolveUser("1000:web", accounts)).toEqual({ uid: 1000, gid: 33, home: "/srv" });
  expect(resolveUser("77:88", accounts)).toEqual({ uid: 77, gid: 88, home: "/" });
  expect(resolveUser("", { passwd: "", group: "" })).toEqual({ uid: 0, gid: 0, home: "/root" });
  expect(resolveUser("nobody", accounts)).toBeUndefined();
  expect(resolveUser("app:nogroup", accounts)).toBeUndefined();
  expect(resolveUser("-1", accounts)).toBeUndefined();
  expect(resolveUser("4294967295", accounts)).toBeUndefined();
});

/** What a start script runs, word by word, as this host's shell says in place of running it. */
function startedWords(script: string): string {
  const printed = script.replace(/^busybox=.*$/m, "busybox=").replace("exec $busybox env -i", "printf '%s|'");
  return spawnSync("sh", { input: printed, encoding: "utf8" }).stdout;
}

test("what an image says reaches the program word for word, and none of it is the shell's", () => {
  const evil = ["a b", "it's", "$(touch /x)", "`id`", "\n", "*"];
  const config = containerConfig({
    config: {
      Entrypoint: ["/bin/printf", "%s|", ...evil],
      Env: ["A=$(id)'\"", "no setting"],
      WorkingDir: "/tmp",
    },
  });
  const script = containerStart(config, { uid: 0, gid: 0, home: "/root" });
  expect(spawnSync("sh", ["-n"], { input: script }).status).toBe(0);
  const stdout = startedWords(script);
  expect(stdout).toContain(
    "|PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|A=$(id)'\"|HOME=/root|",
  );
  expect(stdout).toContain(`|/bin/printf|%s||${evil.join("|")}|`);
  expect(stdout).not.toContain("no setting");
});

test("words of a run take the place of an image's command and follow on its entry point, whatever is in them", async () => {
  await inFolder(async (folder) => {
    const given = path.join(folder, "command");
    const started = (image: object, words?: readonly string[]) => {
      if (words !== undefined) writeFileSync(given, commandScript(words));
      const script = containerStart(containerConfig({ config: image }), { uid: 0, gid: 0, home: "/root" });
      const words_ = startedWords(script.replace(/^given=.*$/m, `given=${given}`));
      rmSync(given, { force: true });
      return words_.slice(words_.indexOf("|-G|0|") + "|-G|0|".length);
    };
    const image = { Entrypoint: ["/bin/echo", "it's"], Cmd: ["-n", "own words"] };
    const hard = ["a b", "", "it's", "$(id)", "`id`", "\n", "*", "-n", "--", "\\", '"', "é", "# no comment"];
    expect(started(image)).toBe("/bin/echo|it's|-n|own words|");
    expect(started(image, hard)).toBe(`/bin/echo|it's|${hard.join("|")}|`);
    expect(started(image, [""])).toBe("/bin/echo|it's||");
    expect(started({ Cmd: ["/bin/false"] }, ["echo", ...hard])).toMatch(
      /^\/(usr\/)?bin\/echo\|a b\|\|it's\|/,
    );
    expect(started({ Cmd: ["/bin/false"] }, ["/bin/ls"])).toBe("/bin/ls|");
    expect(started({}, ["/bin/ls"])).toBe("/bin/ls|");
    expect(started({})).toBe("/bin/sh|");
    const long = ["/bin/echo", "x".repeat(100_000), ...Array.from({ length: 9000 }, (_, i) => `'${i}'`)];
    expect(started({}, long)).toBe(`${long.join("|")}|`);
  });
});

const NOTHING: GivenProgram = {
  command: [],
  entryPoint: undefined,
  environment: new Map(),
  user: undefined,
  workingFolder: undefined,
};
const IMAGE = containerConfig({
  config: {
    Entrypoint: ["/bin/entry", "-v"],
    Cmd: ["its", "command"],
    Env: ["PATH=/bin", "A=image's", "B=1=2"],
    User: "app",
    WorkingDir: "/srv",
  },
});

test("what a run gives of a program goes before what the image says, one by one", () => {
  const changed = (given: Partial<GivenProgram>) => changedConfig(IMAGE, { ...NOTHING, ...given });
  expect(changed({})).toEqual(IMAGE);
  expect(changed({ command: ["other"] })).toEqual({ ...IMAGE, command: ["other"] });
  expect(changed({ user: "0:0" })).toEqual({ ...IMAGE, user: "0:0" });
  expect(changed({ workingFolder: "/tmp" })).toEqual({ ...IMAGE, workingFolder: "/tmp" });
  const environment = new Map([
    ["A", ""],
    ["C", "a\nb=c"],
  ]);
  expect(changed({ environment }).environment).toEqual(["PATH=/bin", "B=1=2", "A=", "C=a\nb=c"]);
});

test("a variable without a value is taken away, and no other that begins like it", () => {
  const environment = new Map([
    ["B", undefined],
    ["P", undefined],
    ["D", undefined],
  ]);
  expect(changedConfig(IMAGE, { ...NOTHING, environment }).environment).toEqual(["PATH=/bin", "A=image's"]);
});

test("another entry point has no parameters of the image's, and an empty one is none", () => {
  const run = (entryPoint: string, ...command: string[]) => {
    const changed = changedConfig(IMAGE, { ...NOTHING, entryPoint, command });
    return [...changed.entryPoint, "|", ...changed.command];
  };
  expect(run("/bin/sh")).toEqual(["/bin/sh", "|"]);
  expect(run("a program", "-c", "x")).toEqual(["a program", "|", "-c", "x"]);
  expect(run("", "ls", "-l")).toEqual(["|", "ls", "-l"]);
});

test("a changed start takes the place of the image's, and what it was given reaches the program word for word", async () => {
  await inFolder(async (folder) => {
    const given = path.join(folder, "command");
    const hard = ["a b", "", "it's", "$(touch /x)", "`id`", "\n", "*", "-n", "\\", '"', "\x01\x7f\x81é"];
    const inImage = path.join(folder, "it's here");
    const changed = changedConfig(IMAGE, {
      entryPoint: "/bin/ls",
      command: hard,
      environment: new Map(hard.map((value, i) => [`V${i}`, value])),
      user: "33",
      workingFolder: inImage,
    });
    const printing = (script: string) =>
      script.replace(/^busybox=.*$/m, "busybox=").replace("exec $busybox env -i", "pwd; exec printf '%s|'");
    writeFileSync(given, printing(changedStart(changed, { uid: 33, gid: 44, home: "/home of 33" })));
    const own = containerStart(IMAGE, { uid: 1, gid: 2, home: "/" }).replace(/^given=.*$/m, `given=${given}`);
    const { stdout, stderr } = spawnSync("sh", { input: printing(own), encoding: "utf8", env: {} });
    expect(stderr).toBe("");
    const settings = ["PATH=/bin", "A=image's", "B=1=2", ...hard.map((value, i) => `V${i}=${value}`)];
    const words = ["TERM=linux", ...settings, "HOME=/home of 33", "nsenter", "-S", "33", "-G", "44"];
    expect(stdout).toBe(`${inImage}\n${[...words, "/bin/ls", ...hard].join("|")}|`);
  });
});

test("bytes that are no characters go into the archive as they are", () => {
  const archive = Buffer.from(givenScript(commandScript(["\udcff\udc81é"])));
  expect(archive.includes(Buffer.from([0x27, 0xff, 0x81, 0xc3, 0xa9, 0x27]))).toBe(true);
});

test.skipIf(!hasCpio)("a command is one file of an archive (skipped where there is no cpio)", () => {
  const list = spawnSync("cpio", ["-i", "--quiet", "--to-stdout", COMMAND_FILE], {
    input: givenScript(commandScript(["echo", "it's"])),
    encoding: "utf8",
  });
  expect(list).toMatchObject({ status: 0, stdout: "set -- 'echo' 'it'\\''s'\n" });
});
