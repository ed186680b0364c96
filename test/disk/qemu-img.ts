import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ByteStore } from "../../src/host/byte-store.ts";

export const hasQemuImg = spawnSync("qemu-img", ["--version"]).status === 0;

/** Runs `work` with a folder that is gone afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-test-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs qemu-img; throws what it says when it fails. */
export function qemuImg(...parameters: string[]): string {
  const { status, stdout, stderr } = spawnSync("qemu-img", parameters, { encoding: "utf8" });
  if (status !== 0) throw new Error(`qemu-img ${parameters.join(" ")}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** Runs one command of qemu-io. */
export function qemuIo(image: string, ...commands: string[]): string {
  const parameters = [...commands.flatMap((command) => ["-c", command]), image];
  const { status, stdout, stderr } = spawnSync("qemu-io", parameters, { encoding: "utf8" });
  if (status !== 0 || /failed|error/i.test(stdout)) throw new Error(`qemu-io: ${stdout}${stderr}`);
  return stdout;
}

/** What qemu-img check finds in an image. */
export function checkImage(image: string): { corruptions: number; leaks: number; errors: number } {
  const { stdout, stderr } = spawnSync("qemu-img", ["check", "--output=json", "-f", "qcow2", image], {
    encoding: "utf8",
  });
  if (!stdout.trim().startsWith("{")) throw new Error(`qemu-img check ${image}: ${stderr}`);
  const report = JSON.parse(stdout) as Record<string, number | undefined>;
  return {
    corruptions: report["corruptions"] ?? 0,
    leaks: report["leaks"] ?? 0,
    errors: report["check-errors"] ?? 0,
  };
}

export const CLEAN = { corruptions: 0, leaks: 0, errors: 0 };

/** Writes what a store holds into a file, for tools. */
export async function copyToFile(store: ByteStore, file: string): Promise<void> {
  const bytes = new Uint8Array(await store.size());
  await store.read(0, bytes);
  writeFileSync(file, bytes);
}
