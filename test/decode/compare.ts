import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CodeBits, MAX_INSTRUCTION_BYTES } from "../../src/decode/decoder.ts";
import { Random } from "../oracle/random.ts";
import { judge, type Report } from "./judge.ts";
import { objdump } from "./objdump.ts";
import { RANDOM_BYTES, randomSlots, SLOT_BYTES, withoutIgnoredRex } from "./random-code.ts";

/** Compares the first instruction of each of `count` random slots. */
export async function compareRandom(
  report: Report,
  seed: number,
  count: number,
  codeBits: CodeBits,
): Promise<void> {
  const code = randomSlots(new Random(seed * 4 + codeBits), count, codeBits);
  let seen = 0;
  for (const line of await objdump(codeBits === 64 ? withoutIgnoredRex(code) : code, codeBits)) {
    if (line.address % SLOT_BYTES !== 0) continue;
    seen++;
    judge(report, code, line.address, line, codeBits);
  }
  if (seen !== count) throw new Error(`objdump showed ${seen} of ${count} slots of ${RANDOM_BYTES} bytes`);
}

/** Compares all that objdump finds in the text section of an ELF file, line by line. */
export async function compareBinary(
  report: Report,
  path: string,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  const { code, address } = textSection(path);
  const part = code.subarray(0, most);
  for (const line of await objdump(part, 64, address)) {
    // objdump does not see the rest of an instruction that the part ends within.
    if (line.address - address > part.length - MAX_INSTRUCTION_BYTES) break;
    judge(report, code, line.address - address, line, 64);
  }
}

function textSection(path: string): { code: Uint8Array; address: number } {
  const headers = execFileSync("objdump", ["-h", "-j", ".text", path], { encoding: "utf8" });
  const fields = /\.text\s+\w+\s+(\w+)/.exec(headers);
  if (!fields) throw new Error(`${path} has no .text section`);
  const folder = mkdtempSync(join(tmpdir(), "ringfence-decode-"));
  try {
    const output = join(folder, "text.bin");
    execFileSync("objcopy", ["-O", "binary", "-j", ".text", path, output]);
    return { code: readFileSync(output), address: parseInt(fields[1]!, 16) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
