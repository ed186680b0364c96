import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CodeBits } from "../../src/decode/decoder.ts";

/** One instruction as objdump shows it. */
export interface ObjdumpLine {
  readonly address: number;
  readonly length: number;
  readonly text: string;
  /** objdump gave the prefixes a line of their own: the text does not show what they do. */
  readonly merged: boolean;
}

/** Why there is no objdump to compare with; undefined when there is. */
export function objdumpUnavailable(): string | undefined {
  try {
    const text = execFileSync("objdump", ["--help"], { encoding: "utf8" });
    return /elf64-x86-64/.test(text) ? undefined : "this objdump knows no x86-64";
  } catch {
    return "there is no objdump (binutils)";
  }
}

const MACHINES: Record<CodeBits, string> = { 16: "i8086", 32: "i386", 64: "i386:x86-64" };

/**
 * All lines of `code`, which stands at `address`. The dialect is Intel's where
 * the vendors' processors decode differently (`intel64`: 66 before a near branch).
 */
export async function objdump(code: Uint8Array, codeBits: CodeBits, address = 0): Promise<ObjdumpLine[]> {
  const folder = mkdtempSync(join(tmpdir(), "ringfence-decode-"));
  try {
    const path = join(folder, "code.bin");
    writeFileSync(path, code);
    const options = [
      "-D",
      "-b",
      "binary",
      "-m",
      MACHINES[codeBits],
      "-M",
      "intel,intel64",
      "--insn-width=16",
    ];
    const text = await capture("objdump", [...options, `--adjust-vma=${address}`, path]);
    return mergePrefixes(parse(text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function capture(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { encoding: "latin1", maxBuffer: 2 ** 30 - 1 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
}

function parse(text: string): ObjdumpLine[] {
  const lines: ObjdumpLine[] = [];
  for (const line of text.split("\n")) {
    const first = line.indexOf(":\t");
    const second = line.indexOf("\t", first + 2);
    if (first < 0 || second < 0) continue;
    const bytes = line.slice(first + 2, second).trim();
    lines.push({
      address: parseInt(line.slice(0, first), 16),
      length: (bytes.length + 1) / 3,
      text: line.slice(second + 1).trim(),
      merged: false,
    });
  }
  return lines;
}

const ONLY_PREFIXES =
  /^(?:(?:rex(?:\.[WRXB]+)?|data16|data32|addr16|addr32|lock|repn?z|rep|[c-gs]s|notrack|bnd)\s*)+$/;

/**
 * objdump gives prefixes that it cannot attach a line of their own (a REX that
 * is not the last prefix, too many of them). For a processor they belong to
 * the instruction behind them.
 */
function mergePrefixes(lines: readonly ObjdumpLine[]): ObjdumpLine[] {
  const merged: ObjdumpLine[] = [];
  for (let i = 0; i < lines.length; i++) {
    let { text, length } = lines[i]!;
    const { address } = lines[i]!;
    let last = i;
    while (ONLY_PREFIXES.test(text.slice(text.lastIndexOf("\n") + 1)) && last + 1 < lines.length) {
      const next = lines[last + 1]!;
      if (next.address !== address + length) break;
      text += `\n${next.text}`;
      length += next.length;
      last++;
    }
    merged.push({ address, length, text: text.replaceAll("\n", " "), merged: last > i });
  }
  return merged;
}
