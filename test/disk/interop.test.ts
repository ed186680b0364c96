import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { copyDisk } from "../../src/disk/copy-disk.ts";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { openDisk } from "../../src/disk/open-disk.ts";
import { createOverlay } from "../../src/disk/overlay.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import { nodeDecompressor } from "../../src/host/node/decompressor.ts";
import { nodeDiskHost } from "../../src/host/node/disk-host.ts";
import { CLEAN, checkImage, hasQemuImg, inFolder, qemuImg, qemuIo } from "./qemu-img.ts";

const RINGFENCE = path.resolve(import.meta.dirname, "..", "..", "bin", "ringfence");
const SIZE_BYTES = 3 << 20;
const suffix = hasQemuImg ? "" : " (skipped: there is no qemu-img)";
const qemuTest = test.skipIf(!hasQemuImg);

/** A raw image with compressible and incompressible parts, and holes. */
function writeRaw(file: string): Buffer {
  const bytes = Buffer.alloc(SIZE_BYTES);
  for (let at = 300_000; at < 900_000; at++) bytes[at] = (at * 2654435761) >>> 24;
  bytes.fill("compressible ", 1_500_000, 2_400_000);
  writeFileSync(file, bytes);
  return bytes;
}

async function readAll(file: string): Promise<Buffer> {
  const disk = await openDisk(nodeDiskHost, { path: file, format: "qcow2", readOnly: true });
  const bytes = Buffer.alloc(disk.sizeBytes);
  await disk.read(0, bytes);
  await disk.close();
  return bytes;
}

const options = [
  "compat=0.10",
  "compression_type=zlib",
  "compression_type=zstd",
  "cluster_size=512",
  "cluster_size=2M",
];
const more = ["refcount_bits=1", "refcount_bits=64", "lazy_refcounts=on", "preallocation=metadata"];

qemuTest.each(
  [...options, ...more].flatMap((option) => [
    { option, compressed: false },
    ...(option.startsWith("preallocation") ? [] : [{ option, compressed: true }]),
  ]),
)(
  `QEMU's image with $option, compressed: $compressed, is read, changed, and closed clean${suffix}`,
  ({ option, compressed }) =>
    inFolder(async (folder) => {
      const raw = path.join(folder, "raw");
      const image = path.join(folder, "image.qcow2");
      const bytes = writeRaw(raw);
      qemuImg("convert", "-O", "qcow2", ...(compressed ? ["-c"] : []), "-o", option, raw, image);
      expect((await readAll(image)).equals(bytes)).toBe(true);
      const disk = await openDisk(nodeDiskHost, { path: image, readOnly: false });
      for (const [offset, length] of [
        [299_520, 5120],
        [1_600_000 - (1_600_000 % 512), 200_704],
        [0, 512],
      ] as const) {
        bytes.fill("changed", offset, offset + length);
        await disk.write(offset, bytes.subarray(offset, offset + length));
      }
      bytes.fill(0, 2_097_152, 2_293_760);
      await disk.writeZeroes(2_097_152, 196_608, true);
      await disk.close();
      expect(checkImage(image)).toEqual(CLEAN);
      writeFileSync(raw, bytes);
      expect(qemuImg("compare", "-F", "raw", image, raw)).toContain("identical");
    }),
);

qemuTest(`a snapshot of QEMU's inside an image keeps what it held${suffix}`, () =>
  inFolder(async (folder) => {
    const image = path.join(folder, "image.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", image, "4M");
    qemuIo(image, "write -q -P 1 0 1M", "write -q -P 2 2M 64k");
    qemuImg("snapshot", "-c", "before", image);
    const disk = await openDisk(nodeDiskHost, { path: image, readOnly: false });
    await disk.write(65536, new Uint8Array(131072).fill(9));
    await disk.discard(2 << 20, 65536);
    await disk.close();
    expect(checkImage(image)).toEqual(CLEAN);
    qemuIo(image, "read -q -P 1 0 64k", "read -q -P 9 64k 128k", "read -q -P 0 2M 64k");
    qemuImg("snapshot", "-a", "before", image);
    qemuIo(image, "read -q -P 1 0 1M", "read -q -P 2 2M 64k");
  }),
);

qemuTest(`QEMU reads what we create, over an image below${suffix}`, () =>
  inFolder(async (folder) => {
    writeRaw(path.join(folder, "below.img"));
    const image = path.join(folder, "top.qcow2");
    const made = spawnSync(RINGFENCE, [
      "disk",
      "create",
      image,
      "5M",
      "--backing",
      path.join(folder, "below.img"),
    ]);
    expect(made.status).toBe(0);
    const disk = await openDisk(nodeDiskHost, { path: image, readOnly: false });
    await disk.write(4096, new Uint8Array(4096).fill(3));
    await disk.discard(1 << 20, 65536);
    await disk.close();
    expect(checkImage(image)).toEqual(CLEAN);
    qemuIo(image, "read -q -P 3 4k 4k", "read -q -P 0 1M 64k", "read -q -P 0 3M 2M");
    expect(qemuImg("info", image)).toContain("backing file format: raw");
  }),
);

qemuTest(`a disk that grows and shrinks stays sound${suffix}`, () =>
  inFolder(async (folder) => {
    const image = path.join(folder, "image.qcow2");
    const run = (...words: string[]) => spawnSync(RINGFENCE, ["disk", ...words], { encoding: "utf8" });
    expect(run("create", image, "1M").status).toBe(0);
    qemuIo(image, "write -q -P 5 0 1M");
    expect(run("resize", image, "+900G").status).toBe(0);
    expect(checkImage(image)).toEqual(CLEAN);
    qemuIo(image, "read -q -P 5 0 1M", "read -q -P 0 1M 1M", "write -q -P 6 800G 1M");
    const refused = run("resize", image, "512K");
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining("--shrink")]);
    expect(run("resize", image, "512K", "--shrink").status).toBe(0);
    expect(checkImage(image)).toEqual(CLEAN);
    expect(JSON.parse(run("info", image, "--json").stdout)).toMatchObject({
      sizeBytes: 524288,
      closed: true,
    });
  }),
);

test("an overlay keeps changes apart, and leaves the disk below alone", async () => {
  const content = new Uint8Array(1 << 20).fill(1);
  const below = new MemoryStore("below", content);
  const disk = await createOverlay(await RawDisk.open(below, true), new MemoryStore(), nodeDecompressor);
  await disk.write(512, new Uint8Array(512).fill(2));
  const bytes = new Uint8Array(2048);
  await disk.read(0, bytes);
  expect([bytes[0], bytes[512], bytes[1024]]).toEqual([1, 2, 1]);
  await below.read(0, bytes);
  expect(bytes.every((byte) => byte === 1)).toBe(true);
});

test("a copy holds the same and leaves out zeroes", async () => {
  const content = new Uint8Array(1 << 20);
  content.fill(7, 200_000, 300_000);
  const to = new MemoryStore();
  await to.truncate(content.length);
  const target = await RawDisk.open(to);
  const progress: number[] = [];
  await copyDisk(await RawDisk.open(new MemoryStore("from", content)), target, (done) => progress.push(done));
  const copied = new Uint8Array(content.length);
  await target.read(0, copied);
  expect(copied).toEqual(content);
  expect(progress).toEqual([1 << 20]);
});

test(
  "wrong files are refused in one line that names them",
  () =>
    inFolder(async (folder) => {
      const file = (name: string) => path.join(folder, name);
      writeFileSync(file("short.qcow2"), "QFI\xfb", "latin1");
      writeFileSync(file("text.qcow2"), "no image at all");
      const image = file("image.qcow2");
      spawnSync(RINGFENCE, ["disk", "create", image, "1M"]);
      writeFileSync(file("hidden.img"), readFileSync(image));
      const complaints = ["absent.img", "short.qcow2", "text.qcow2", "hidden.img", "."].map((name) => {
        const { status, stderr } = spawnSync(RINGFENCE, ["run", "--disk", file(name), "--kernel", image], {
          encoding: "utf8",
        });
        expect([status, stderr.trim().split("\n").length]).toEqual([2, 1]);
        return stderr;
      });
      const expected = [
        "no such file; check the path after --disk",
        "not a qcow2 image",
        "not a qcow2 image",
        "say format=qcow2 or format=raw",
        "folder",
      ];
      for (const [index, text] of expected.entries()) expect(complaints[index]).toContain(text);
    }),
  60_000,
);

test(
  "an image that one process writes is refused to others, and readers share one",
  () =>
    inFolder(async (folder) => {
      const image = path.join(folder, "image.qcow2");
      expect(spawnSync(RINGFENCE, ["disk", "create", image, "1M"]).status).toBe(0);
      const info = () => spawnSync(RINGFENCE, ["disk", "info", image], { encoding: "utf8" });
      const reader = await openDisk(nodeDiskHost, { path: image, readOnly: true });
      expect(info().status).toBe(0);
      await expect(openDisk(nodeDiskHost, { path: image, readOnly: false })).rejects.toThrow("in use");
      await reader.close();
      const writer = await openDisk(nodeDiskHost, { path: image, readOnly: false });
      expect([info().status, info().stderr]).toEqual([
        2,
        expect.stringContaining("in use by another machine"),
      ]);
      await writer.close();
      expect(info().status).toBe(0);
    }),
  60_000,
);
