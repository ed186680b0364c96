/**
 * Writes docs/support.md: what the guest finds, from the tables that make it so.
 *
 *     node tools/support-table.ts            # npm run docs
 *
 * test/docs/support.test.ts fails when the committed file is another.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { CPU_MODELS } from "../src/cpu/cpu-model.ts";
import { FEATURES, type FeatureName } from "../src/cpu/cpuid-tables.ts";
import type { Form, Instruction } from "../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../src/isa/instructions/all.ts";
import { checksOf } from "./support/checks.ts";
import { boardRanges, deviceRows } from "./support/devices.ts";
import { FEATURE_SUPPORT } from "./support/features.ts";
import { probeMsrs } from "./support/model-specific-registers.ts";

const TARGET = path.join(import.meta.dirname, "..", "docs", "support.md");
const STATUS_FLAGS = ["cf", "pf", "af", "zf", "sf", "of"];

type Unit = Instruction["unit"];

const CHAPTERS: readonly { readonly title: string; readonly units: readonly Unit[] }[] = [
  { title: "General-purpose and system instructions", units: ["general"] },
  { title: "x87", units: ["x87", "x87-control"] },
  { title: "MMX", units: ["mmx"] },
  { title: "SSE, SSE2 and later, AES, SHA", units: ["sse"] },
  { title: "AVX, AVX2, FMA, F16C", units: ["avx"] },
];

/** The whole document. */
export function supportDocument(): string {
  return [
    "# What is supported",
    "",
    "Written by `npm run docs` from the tables in the sources; do not edit. What differs from real processors and",
    "chips on purpose or for now is in [deviations.md](deviations.md).",
    "",
    ...contents(),
    "",
    ...instructionChapter(),
    ...featureChapter(),
    ...msrChapter(),
    ...deviceChapter(),
  ].join("\n");
}

function contents(): string[] {
  return [
    "- [Instructions](#instructions)",
    "- [CPUID features](#cpuid-features)",
    "- [Model-specific registers](#model-specific-registers)",
    "- [Devices](#devices)",
  ];
}

function instructionChapter(): string[] {
  const mnemonics = new Set(INSTRUCTIONS.map((instruction) => instruction.mnemonic));
  const forms = INSTRUCTIONS.flatMap((instruction) => instruction.forms);
  return [
    "## Instructions",
    "",
    `${mnemonics.size} mnemonics in ${forms.length} forms. Everything else is #UD, and so is what belongs to features`,
    "that the chosen processor does not announce (column features; `--cpu`). A row is one entry of the table in",
    "[src/isa/instructions](../src/isa/instructions); its notation is explained at `form` in",
    "[src/isa/instruction.ts](../src/isa/instruction.ts). The columns 64 and 16/32 count the forms that exist in 64-bit code",
    "and in 16 and 32-bit code; a form of one kind only is marked. Flags are the six status flags; those that the manual",
    "leaves undefined get the value that one real processor gives them ([deviations.md](deviations.md)).",
    "",
    "All of them work. The column checks tells what tests that, beyond the encoding, which binutils judges for all forms",
    "(`test/decode`):",
    "",
    "- P: the real processor, in random sequences on interpreter and translator (`test/oracle`); of how many of the forms,",
    "  if not of all: [exclusions.ts](../test/oracle/exclusions.ts) has the reasons for the others.",
    "- F: the real processor, its fault: the form is privileged, or 64-bit code does not have it.",
    "- R: rows by hand from the manual (`test/isa/rows`), in 64 and where it exists in 32 and 16-bit code.",
    "- K: guests in assembly that run on QEMU too (`test/kernel`).",
    "- T: other tests of the processor that name it (`test/processor`, `test/core`, `test/isa`).",
    "",
    ...CHAPTERS.flatMap(({ title, units }) => instructionTable(title, units)),
  ];
}

function instructionTable(title: string, units: readonly Unit[]): string[] {
  const rows = INSTRUCTIONS.filter((instruction) => units.includes(instruction.unit));
  const sorted = rows
    .map((instruction, position) => ({ instruction, position }))
    .sort((a, b) => compare(a.instruction.mnemonic, b.instruction.mnemonic) || a.position - b.position);
  return [
    `### ${title}`,
    "",
    "| instruction | forms | 64 | 16/32 | reads | writes | undefined | unit | features | checks | source |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
    ...sorted.map(({ instruction }) => instructionRow(instruction)),
    "",
  ];
}

function instructionRow(instruction: Instruction): string {
  const { mnemonic, forms, flags, unit, features, source } = instruction;
  const in64 = forms.filter((form) => !form.not64).length;
  const inLegacy = forms.filter((form) => !form.only64).length;
  const cells = [
    mnemonic.toUpperCase(),
    forms.map(formText).join("<br>"),
    count(in64),
    count(inLegacy),
    flagText(flags.reads),
    flagText(flags.writes),
    flagText(flags.undefined),
    unit,
    [...new Set([...features, ...forms.flatMap((form) => form.features ?? [])])].join(" "),
    checksOf(instruction),
    source,
  ];
  return `| ${cells.join(" | ")} |`;
}

const count = (forms: number): string => (forms === 0 ? "" : String(forms));

function formText(form: Form): string {
  const operands = form.operands.length === 0 ? "" : ` ${form.operands.join(", ")}`;
  const where = form.not64 ? " (16/32)" : form.only64 ? " (64)" : "";
  const wide = form.rexW === true ? "REX.W " : "";
  const opcode = form.opcode.toUpperCase().replace("+I", "+i").replace("/R", "/r").replace("NFX", "NFx");
  const lock = form.lockable ? ", LOCK" : "";
  const rep = form.repeatable ? ", REP" : "";
  const privilege = form.privileged ? ", CPL 0" : "";
  return `\`${wide}${opcode}${operands}\`${where}${lock}${rep}${privilege}`;
}

function flagText(flags: string | undefined): string {
  const named = (flags ?? "").split(" ").filter((flag) => flag !== "");
  const status = STATUS_FLAGS.filter((flag) => named.includes(flag));
  return [...status, ...named.filter((flag) => !STATUS_FLAGS.includes(flag))].join(" ").toUpperCase();
}

function featureChapter(): string[] {
  return [
    "## CPUID features",
    "",
    "What [src/cpu/cpuid-tables.ts](../src/cpu/cpuid-tables.ts) can announce. The models of `--cpu` announce what has their",
    "name in the column models ([src/cpu/cpu-model.ts](../src/cpu/cpu-model.ts)); which processor the guest is told it runs on, and",
    "why, stands in [src/cpu/cpuid.ts](../src/cpu/cpuid.ts). OSXSAVE follows CR4. What is not in this table is not announced.",
    "",
    "| feature | leaf | register | bit | models | state | instructions |",
    "|---|---|---|---|---|---|---|",
    ...FEATURES.map(([name, leaf, subleaf, register, bit]) => {
      const { state, instructions } = FEATURE_SUPPORT[name];
      const where = `${hex(leaf)}${subleaf === 0 ? "" : `.${subleaf}`}`;
      const listed =
        instructions.length > 12
          ? `${instructions.length} mnemonics`
          : instructions.map((mnemonic) => mnemonic.toUpperCase()).join(" ");
      return `| ${name} | ${where} | ${register.toUpperCase()} | ${bit} | ${modelsWith(name)} | ${state} | ${listed} |`;
    }),
    "",
  ];
}

/** Models that announce a feature; "all" where each does. */
function modelsWith(name: FeatureName): string {
  const models = Object.entries(CPU_MODELS);
  const having = models.filter(([, features]) => features.has(name)).map(([model]) => model);
  return having.length === models.length ? "all" : having.join(" ");
}

function msrChapter(): string[] {
  return [
    "## Model-specific registers",
    "",
    "Found by trying every index on the compiled core, with the local APIC in x2APIC mode. All others are #GP, and counted.",
    "",
    "| index | name | access | state |",
    "|---|---|---|---|",
    ...probeMsrs().map(({ first, last, name, access, state }) => {
      const index = first === last ? hex(first) : `${hex(first)} to ${hex(last)}`;
      return `| ${index} | ${name} | ${access} | ${state} |`;
    }),
    "",
  ];
}

function deviceChapter(): string[] {
  const { ports, addresses } = boardRanges();
  return [
    "## Devices",
    "",
    "Each device with what its own documentation says.",
    "",
    "| device | what it is, what it leaves out |",
    "|---|---|",
    ...deviceRows().map(
      ({ file, className, description }) => `| [${className}](../src/devices/${file}) | ${description} |`,
    ),
    "",
    "### I/O ports",
    "",
    "As claimed on a new board; `--debug-exit` adds four at the port it names. A port that nobody claims reads all ones.",
    "",
    "| ports | device |",
    "|---|---|",
    ...ports.map(({ first, last, name }) => `| ${range(first, last)} | ${name} |`),
    "",
    "### Physical addresses outside of RAM",
    "",
    "| addresses | device |",
    "|---|---|",
    ...addresses.map(({ first, last, name }) => `| ${range(first, last)} | ${name} |`),
    "",
  ];
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const range = (first: number, last: number): string =>
  first === last ? hex(first) : `${hex(first)} to ${hex(last)}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

if (import.meta.main) writeFileSync(TARGET, supportDocument());
