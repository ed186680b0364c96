// Rows by hand from the manuals, for every general-purpose instruction, run by the reference evaluator and by the interpreter.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Decoder } from "../../src/decode/decoder.ts";
import { disassemble } from "../../src/decode/disassembler.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { interpreterUnavailable } from "../oracle/interpreter-target.ts";
import { evaluatorRunner } from "./evaluator-runner.ts";
import { openInterpreterRunner } from "./interpreter-runner.ts";
import {
  bytesOf,
  type CodeBits,
  expectationOf,
  observationOf,
  PLACES,
  type Row,
  type RowRunner,
  setupOf,
} from "./row.ts";
import { arithmetic32, arithmetic64 } from "./rows/arithmetic.ts";
import { bitManipulation32, bitManipulation64 } from "./rows/bit-manipulation.ts";
import { controlFlow16, controlFlow32, controlFlow64 } from "./rows/control-flow.ts";
import { dataTransfer16, dataTransfer32, dataTransfer64 } from "./rows/data-transfer.ts";
import { decimal32 } from "./rows/decimal.ts";
import { shifts64 } from "./rows/shifts.ts";
import { strings32, strings64 } from "./rows/strings.ts";

const TABLES: readonly (readonly [family: string, codeBits: CodeBits, rows: readonly Row[]])[] = [
  ["arithmetic", 64, arithmetic64],
  ["arithmetic", 32, arithmetic32],
  ["decimal arithmetic", 32, decimal32],
  ["data transfer", 64, dataTransfer64],
  ["data transfer", 32, dataTransfer32],
  ["data transfer", 16, dataTransfer16],
  ["shifts and bits", 64, shifts64],
  ["bit manipulation", 64, bitManipulation64],
  ["bit manipulation", 32, bitManipulation32],
  ["control flow", 64, controlFlow64],
  ["control flow", 32, controlFlow32],
  ["control flow", 16, controlFlow16],
  ["strings", 64, strings64],
  ["strings", 32, strings32],
];

/** Mnemonics without a row: what they do takes more than one instruction's state, or is tested elsewhere. */
const ELSEWHERE = new Set(
  // Segments, gates and levels: test/core/processor.
  (
    "retf iret int int3 int1 syscall sysret sysenter sysexit lar lsl verr verw sldt str sgdt sidt smsw " +
    "les lds lss lfs lgs fwait emms cpuid rdtsc rdtscp rdpmc rdrand xgetbv xsetbv fxsave fxrstor xsave xrstor " +
    "xsaveopt xsavec rdseed rdpid rdfsbase rdgsbase wrfsbase wrgsbase clflushopt clwb " +
    "rdpkru wrpkru invpcid monitor mwait"
  ).split(" "),
);

const interpreter = interpreterUnavailable() === undefined ? await openInterpreterRunner() : undefined;
afterAll(async () => interpreter?.close());

function runRows(runner: RowRunner): void {
  describe.each(TABLES)("%s in %i-bit code", (_family, codeBits, rows) => {
    test.each(rows)("%s (%s): %s -> %s", async (...row) => {
      const setup = setupOf(row, codeBits);
      const outcome = await runner.run(setup);
      expect(observationOf(row, outcome)).toEqual(expectationOf(row, setup));
    });
  });
}

describe("the evaluator", () => runRows(evaluatorRunner));
describe.skipIf(interpreter === undefined)("the interpreter", () => {
  if (interpreter !== undefined) runRows(interpreter);
});

describe("the rows", () => {
  const decoder = new Decoder();
  const covered = new Set<string>();
  beforeAll(() => {
    for (const [, codeBits, rows] of TABLES) {
      for (const [, bytes] of rows) {
        const code = bytesOf(bytes);
        if (decoder.decode(code, 0, code.length, codeBits) > 0)
          covered.add(decoder.result.form.instruction.mnemonic);
      }
    }
  });

  test.each(TABLES)("name what their bytes are: %s in %i-bit code", (_family, codeBits, rows) => {
    const texts = rows.map(([, bytes]) =>
      disassemble(bytesOf(bytes), 0, BigInt(PLACES[codeBits].code), codeBits).text.replace(/\s+#.*/, ""),
    );
    expect(texts).toEqual(rows.map(([assembly]) => assembly));
  });

  test("cover every general-purpose instruction", () => {
    const general = INSTRUCTIONS.filter(({ unit }) => unit === "general").map(({ mnemonic }) => mnemonic);
    const missing = general.filter((mnemonic) => !covered.has(mnemonic) && !ELSEWHERE.has(mnemonic));
    expect([...new Set(missing)]).toEqual([]);
  });
});
