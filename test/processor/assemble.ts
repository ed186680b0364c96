import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Whether snippets can be assembled here. */
export const nasmAvailable = spawnSync("nasm", ["--version"]).status === 0;

const known = new Map<string, Uint8Array>();

/** Assembles a snippet that will lie at `origin`, with NASM. */
export function assemble(source: string, origin: number | bigint, bits: 16 | 32 | 64 = 64): Uint8Array {
  const text = `bits ${bits}\n${bits === 64 ? "default abs\n" : ""}org 0x${origin.toString(16)}\n${source}\n`;
  const before = known.get(text);
  if (before !== undefined) return before;
  const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-nasm-"));
  try {
    const input = path.join(folder, "snippet.asm");
    const output = path.join(folder, "snippet.bin");
    writeFileSync(input, text);
    const { status, stderr } = spawnSync("nasm", ["-f", "bin", "-w-all", "-o", output, input], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`nasm refuses this snippet:\n${stderr}\n${source}`);
    const bytes = new Uint8Array(readFileSync(output));
    known.set(text, bytes);
    return bytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
