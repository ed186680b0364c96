import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { caseStart, type TestCase } from "./protocol.ts";

/** A case's instructions as objdump shows them; its bytes where there is no objdump. */
export function disassemble(testCase: TestCase): string[] {
  const folder = mkdtempSync(join(tmpdir(), "ringfence-oracle-"));
  try {
    const path = join(folder, "code.bin");
    writeFileSync(path, testCase.code);
    const start = `0x${caseStart(testCase).toString(16)}`;
    const options = [
      "-D",
      "-b",
      "binary",
      "-m",
      "i386:x86-64",
      "-M",
      "intel",
      "--insn-width=15",
      `--adjust-vma=${start}`,
    ];
    const text = execFileSync("objdump", [...options, path], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text
      .split("\n")
      .filter((line) => /^\s*[0-9a-f]+:/.test(line))
      .map((line) => line.trim());
  } catch {
    return [`${caseStart(testCase).toString(16)}: ${Buffer.from(testCase.code).toString("hex")}`];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
