import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Form, Instruction } from "../../src/isa/instruction.ts";
import { encodingShape } from "../../test/oracle/encoding-shape.ts";
import { exclusion } from "../../test/oracle/exclusions.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");

/** Text of all files of a folder of tests whose names end so. */
function textOf(folder: string, ending: string): string {
  const names = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => name.endsWith(ending)).sort();
  return files.map((name) => readFileSync(path.join(ROOT, folder, name), "utf8")).join("\n");
}

const ROWS = textOf("test/isa/rows", ".ts");
const GUESTS =
  textOf("test/kernel/guests", ".asm").replace(/;.*/g, "") +
  textOf("test/kernel/guests", ".inc").replace(/;.*/g, "");
const PARTS =
  textOf("test/core", ".test.ts") + textOf("test/processor", ".test.ts") + textOf("test/isa", "rows.test.ts");

const PREFIXES = String.raw`(?:(?:rep\w*|lock|[oa](?:16|32|64)|[c-gs]s)\s+)*`;

/** An instruction of a source in assembly: alone behind what may stand before it. */
const stands = (text: string, start: string, mnemonic: string): boolean =>
  new RegExp(`${start}${PREFIXES}${mnemonic}[bwdlq]?(?![\\w.])`, "im").test(text);

/** Other names of an instruction in assembly. */
const ALIASES: Readonly<Record<string, string>> = { xlatb: "xlat", xlat: "xlatb", sal: "shl", wait: "fwait" };

/** Which tests check an instruction beyond its encoding, as letters that the document explains. */
export function checksOf(instruction: Instruction): string {
  const letters: string[] = [];
  const kinds = instruction.forms.map((form) => onProcessor(instruction, form));
  const run = kinds.filter((kind) => kind === "runs").length;
  if (run === kinds.length) letters.push("P");
  else if (run > 0) letters.push(`P (${run} of ${kinds.length})`);
  if (kinds.includes("faults")) letters.push("F");
  const names = [instruction.mnemonic, ALIASES[instruction.mnemonic] ?? instruction.mnemonic];
  if (names.some((name) => stands(ROWS, String.raw`\["`, name))) letters.push("R");
  if (names.some((name) => stands(GUESTS, String.raw`^\s*(?:[\w.$]+:\s*)?`, name))) letters.push("K");
  const assembly = names.some((name) => stands(PARTS, "[\"`'\\n;]\\s*", name));
  if (assembly || names.some((name) => new RegExp(`\\b${name.toUpperCase()}\\b`).test(PARTS)))
    letters.push("T");
  return letters.join(" ");
}

/** What the oracle does with a form on the real processor: runs it, sees its fault in user mode, or neither. */
function onProcessor(instruction: Instruction, form: Form): "runs" | "faults" | "not" {
  if (exclusion(instruction, form) !== undefined) return "not";
  return form.not64 === true || encodingShape(0, instruction, form).privileged ? "faults" : "runs";
}
