import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { createQcow2 } from "../../src/disk/qcow2/create.ts";
import { FileStore } from "../../src/host/node/file-store.ts";
import { CONTAINER_FILE, containerText } from "../../src/images/container/kept-container.ts";
import { machineDisks } from "../../src/images/image-disks.ts";
import { checkFiles } from "../../src/images/image-files.ts";
import { ImageStore, type NewImage, type StoredImage } from "../../src/images/image-store.ts";
import { VmError } from "../../src/layout/vm-error.ts";
import { inFolder } from "../disk/qemu-img.ts";
import { RINGFENCE } from "../guests/console.ts";

const DISK_BYTES = 1 << 20;

async function makeDisk(file: string, backing?: string): Promise<void> {
  const store = await FileStore.create(file);
  const below = backing === undefined ? {} : { backing: { name: backing, format: "raw" } };
  await createQcow2(store, { sizeBytes: DISK_BYTES, ...below });
  await store.close();
}

/** Fills a folder with what looks like an image. */
async function fill(folder: string): Promise<NewImage> {
  writeFileSync(path.join(folder, "vmlinuz"), "a kernel");
  await makeDisk(path.join(folder, "disk.qcow2"));
  return {
    description: "nothing in particular",
    kernel: "vmlinuz",
    commandLine: "console=ttyS0",
    memoryBytes: 64 << 20,
    disks: [{ file: "disk.qcow2", format: "qcow2", serial: "root" }],
    network: "user",
    forwards: ["tcp:8080:80"],
  };
}

async function refusal(work: () => unknown): Promise<VmError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof VmError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** Changes an image's manifest as an editor would. */
function editManifest({ folder }: StoredImage, edit: (manifest: Record<string, unknown>) => void): void {
  const file = path.join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  edit(manifest);
  writeFileSync(file, JSON.stringify(manifest));
}

function ringfence(imagesFolder: string, ...parameters: string[]) {
  const env = { ...process.env, RINGFENCE_IMAGES: imagesFolder };
  const { status, stdout, stderr } = spawnSync(RINGFENCE, parameters, { encoding: "utf8", env, input: "" });
  return { status, stdout, stderr };
}

test("an image is made whole, found by name and by folder, listed, inspected and removed", async () => {
  await inFolder(async (root) => {
    const store = new ImageStore(path.join(root, "images"));
    expect(store.list()).toEqual([]);
    const made = await store.create("first", fill);
    expect(readdirSync(store.folder)).toEqual(["first"]);
    expect(store.open("first")).toEqual(made);
    expect(new ImageStore("/nonexistent").open(made.folder)).toEqual(made);
    const sha256 = createHash("sha256").update("a kernel").digest("hex");
    expect(made.manifest.files["vmlinuz"]).toMatchObject({ sizeBytes: 8, sha256 });
    expect((await refusal(() => store.create("first", fill))).detail.code).toBe("image-exists");
    expect((await refusal(() => store.create("../x", fill))).detail.code).toBe("option-invalid");

    const rows = JSON.parse(ringfence(store.folder, "images", "--json").stdout) as unknown;
    expect(rows).toEqual([expect.objectContaining({ name: "first", created: made.manifest.created })]);
    expect(ringfence(store.folder, "images").stdout).toMatch(/^NAME .*\nfirst .* nothing in particular\n$/);
    const shown = JSON.parse(ringfence(store.folder, "inspect", "first", "--json").stdout) as unknown;
    expect(shown).toEqual({ folder: made.folder, ...made.manifest });
    expect(ringfence(store.folder, "inspect", "first", "--verify").stdout).toContain("verified:");
    expect(ringfence(store.folder, "rm", "first").status).toBe(0);
    expect(store.list()).toEqual([]);
  });
});

test("an image that takes no command is refused with one, before its disks are changed", async () => {
  await inFolder(async (root) => {
    const store = new ImageStore(path.join(root, "images"));
    const image = await store.create("first", fill);
    await machineDisks(image, "keep");
    const files = readdirSync(image.folder, { recursive: true });
    const tried = () => ringfence(store.folder, "run", "first", "--reset", "ls", "-l");
    expect(tried()).toEqual({
      status: 2,
      stdout: "",
      stderr:
        "ringfence: first takes no command (ls): it is a whole system; boot it, then ringfence exec NAME -- COMMAND\n",
    });
    editManifest(image, (manifest) => {
      manifest["exitStatusPort"] = 0xf4;
    });
    expect(tried().stderr).toContain("an earlier Ringfence imported it; ringfence rm first, and import its");
    expect(readdirSync(image.folder, { recursive: true })).toEqual(files);
    editManifest(image, (manifest) => {
      manifest["takesCommand"] = "yes";
    });
    expect(tried().stderr).toContain('has no "takesCommand" that is true or false');
    editManifest(image, (manifest) => {
      manifest["takesCommand"] = true;
    });
    expect(store.open("first").manifest.takesCommand).toBe(true);
    expect(ringfence(store.folder, "inspect", "first").stdout).toMatch(/^command: +its own, or what/m);
    expect(tried().stderr).toContain("pass a Linux bzImage");
  });
});

/** An image of a container, but for a kernel and an initial RAM disk: none of it is ever booted. */
async function fillContainer(folder: string): Promise<NewImage> {
  const config = {
    entryPoint: ["/bin/it's"],
    command: ["a b"],
    environment: ["PATH=/bin", "A=1"],
    user: "",
    workingFolder: "/srv",
    ports: [],
  };
  const accounts = { passwd: "app:x:1234:56::/srv:/bin/sh\n", group: "web:x:33:\n" };
  writeFileSync(path.join(folder, CONTAINER_FILE), containerText({ config, accounts }));
  const container = { exitStatusPort: 0xf4, takesCommand: true, container: CONTAINER_FILE };
  return { ...(await fill(folder)), ...container };
}

test("an image that keeps nothing of a container is refused with options for one, before its disks are changed", async () => {
  await inFolder(async (root) => {
    const store = new ImageStore(path.join(root, "images"));
    const image = await store.create("first", fill);
    await machineDisks(image, "keep");
    const files = readdirSync(image.folder, { recursive: true });
    const tried = (...options: string[]) => ringfence(store.folder, "run", "first", "--reset", ...options);
    expect(tried("-e", "A=1")).toEqual({
      status: 2,
      stdout: "",
      stderr:
        "ringfence: first takes no --env: it is a whole system; boot it, then ringfence exec NAME -- COMMAND\n",
    });
    editManifest(image, (manifest) => {
      manifest["exitStatusPort"] = 0xf4;
      manifest["takesCommand"] = true;
    });
    expect(tried("--workdir", "/", "ls").stderr).toBe(
      "ringfence: first takes no --workdir: an earlier Ringfence imported it; ringfence rm first, and import its file again\n",
    );
    expect(readdirSync(image.folder, { recursive: true })).toEqual(files);
  });
});

test("an image of a container tells what it keeps, and is refused where that is not its own", async () => {
  await inFolder(async (root) => {
    const store = new ImageStore(root);
    const image = await store.create("app", fillContainer);
    const shown = ringfence(root, "inspect", "app");
    expect(shown.stdout).toContain(
      "entry point:  '/bin/it'\\''s'\ncommand:      'a b'\nvariable:     'PATH=/bin'\n",
    );
    expect(shown.stdout).toContain("variable:     'A=1'\nuser:         root\nstarts in:    /srv\n");
    expect(JSON.parse(ringfence(root, "inspect", "app", "--json").stdout)).toMatchObject({
      container: CONTAINER_FILE,
      program: { entryPoint: ["/bin/it's"], workingFolder: "/srv" },
    });
    const file = path.join(image.folder, CONTAINER_FILE);
    writeFileSync(file, readFileSync(file, "utf8").replace("1234", "0000"));
    utimesSync(file, new Date(0), new Date(0));
    const { status, stderr } = ringfence(root, "run", "app", "-e", "A=2");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining("its SHA-256 is not that of the manifest"),
    });
    writeFileSync(file, "[]");
    expect(ringfence(root, "inspect", "app").stderr).toContain("it describes no container");
    editManifest(image, (manifest) => {
      manifest["container"] = "../container.json";
    });
    expect(ringfence(root, "inspect", "app").stderr).toContain(
      'has no "container" that is the name of a file',
    );
  });
});

test("when the making of an image fails, nothing is left of it", async () => {
  await inFolder(async (root) => {
    const store = new ImageStore(root);
    const failing = async (folder: string): Promise<NewImage> => {
      await fill(folder);
      throw new VmError({ code: "image-not-made", reason: "the test says so" });
    };
    expect((await refusal(() => store.create("x", failing))).detail.code).toBe("image-not-made");
    expect(readdirSync(root)).toEqual([]);
  });
});

test("a name that is not there is answered with a near one, and a file with the option for it", async () => {
  await inFolder(async (root) => {
    await new ImageStore(root).create("debian", fill);
    expect(ringfence(root, "run", "debain")).toEqual({
      status: 2,
      stdout: "",
      stderr: "ringfence: there is no image debain; did you mean debian?\n",
    });
    expect(ringfence(root, "inspect", "zzz").stderr).toBe(
      "ringfence: there is no image zzz; known: debian\n",
    );
    expect(ringfence(root, "rm", "../debian").status).toBe(2);
    expect(ringfence(root, "run", RINGFENCE).stderr).toContain(
      `a kernel is given with --kernel ${RINGFENCE}`,
    );
    expect(existsSync(path.join(root, "debian"))).toBe(true);
  });
});

test("a changed file is found by its size, by its time and hash, or by --verify; a copy is as good", async () => {
  await inFolder(async (root) => {
    const { folder, manifest } = await new ImageStore(root).create("x", fill);
    const kernel = path.join(folder, "vmlinuz");
    const check = (thoroughly: boolean) => checkFiles(folder, manifest, thoroughly);
    await check(true);
    writeFileSync(kernel, "a kernels");
    expect((await refusal(() => check(false))).message).toContain("it has 9 bytes, not 8");
    writeFileSync(kernel, "b kernel");
    utimesSync(kernel, new Date(0), new Date(0));
    expect((await refusal(() => check(false))).message).toContain("its SHA-256 is not that of the manifest");
    const time = (manifest.files["vmlinuz"]?.modifiedMs ?? 0) / 1000;
    utimesSync(kernel, time, time);
    await check(false);
    expect((await refusal(() => check(true))).detail.code).toBe("image-damaged");
    const { status, stderr } = ringfence(root, "inspect", "x", "--verify");
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("vmlinuz") });
    writeFileSync(kernel, "a kernel");
    const copy = path.join(root, "copy");
    cpSync(folder, copy, { recursive: true });
    await checkFiles(copy, manifest, false);
  });
});

test.each<[string, (manifest: Record<string, unknown>) => void, string]>([
  ["a newer version", (m) => (m["version"] = 2), "versions up to 1"],
  ["another format", (m) => (m["format"] = "x"), '"format"'],
  ["a path for a kernel", (m) => (m["kernel"] = "../vmlinuz"), '"kernel"'],
  ["an absolute path for a disk", (m) => (m["disks"] = [{ file: "/etc/passwd" }]), "a disk"],
  ["a file that it does not describe", (m) => (m["initrd"] = "initrd"), '"files" says nothing of initrd'],
  ["memory that is no number", (m) => (m["memoryBytes"] = "1G"), '"memoryBytes"'],
  ["a hidden property", (m) => (m["files"] = { __proto__: null, vmlinuz: 3 }), '"files" on vmlinuz'],
])("a manifest with %s is refused, and says what is wrong", async (_, edit, complaint) => {
  await inFolder(async (root) => {
    const store = new ImageStore(root);
    editManifest(await store.create("x", fill), edit);
    expect((await refusal(() => store.open("x"))).message).toContain(complaint);
    expect(store.list()).toEqual([
      { name: "x", error: expect.objectContaining({ message: expect.stringContaining(complaint) }) },
    ]);
  });
});

test("what machines write stays beside the image, is forgotten by reset, and never touches the image", async () => {
  await inFolder(async (root) => {
    const image = await new ImageStore(root).create("x", fill);
    const [kept] = await machineDisks(image, "keep");
    expect(kept).toEqual({
      path: path.join(image.folder, "state", "disk.qcow2.qcow2"),
      format: "qcow2",
      serial: "root",
      temporary: false,
    });
    const overlay = kept?.path ?? "";
    const before = readFileSync(overlay);
    writeFileSync(overlay, Buffer.concat([before, Buffer.alloc(65536)]));
    await machineDisks(image, "keep");
    expect(readFileSync(overlay).length).toBe(before.length + 65536);
    await machineDisks(image, "reset");
    expect(readFileSync(overlay)).toEqual(before);
    expect(await machineDisks(image, "ephemeral")).toEqual([
      { path: path.join(image.folder, "disk.qcow2"), format: "qcow2", serial: "root", temporary: true },
    ]);
    await checkFiles(image.folder, image.manifest, true);
  });
});

test("an image whose disk builds upon a file of the host is refused", async () => {
  await inFolder(async (root) => {
    const secret = path.join(root, "secret.img");
    writeFileSync(secret, Buffer.alloc(4096, 1));
    const image = await new ImageStore(path.join(root, "images")).create("x", async (folder) => {
      const made = await fill(folder);
      rmSync(path.join(folder, "disk.qcow2"));
      await makeDisk(path.join(folder, "disk.qcow2"), secret);
      return made;
    });
    expect((await refusal(() => machineDisks(image, "keep"))).message).toContain(
      "it builds upon another file",
    );
    expect((await refusal(() => machineDisks(image, "ephemeral"))).detail.code).toBe("image-invalid");
  });
});
