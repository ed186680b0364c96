import { decodeCase, indexBatch } from "./batch.ts";
import { describeCase, describeDifferences, resultsAgree, toleratedBy } from "./compare.ts";
import { disassemble } from "./disassemble.ts";
import { type GeneratedBatch, type Generator, MAX_INSTRUCTIONS } from "./generate.ts";
import { CODE_BASE, STATUS_EXIT, type TestCase, type TestResult } from "./protocol.ts";
import { decodeResult, indexResults, type ResultIndex } from "./results.ts";
import { type Disagreement, shrink } from "./shrink.ts";
import { type ExecutionTarget, runCases } from "./target.ts";
import { NO_TOLERANCE, REASONS, type Tolerance, unpackTolerance, withEveryFlag } from "./tolerance.ts";
import { explainByVendor } from "./vendor/explain.ts";

export const CASES_PER_BATCH = 4096;
/** In place of a form where a case has fewer instructions. */
const NO_FORM = 0xffff;

export interface JudgeOptions {
  readonly count: number;
  /** Stop after so many disagreements have been found. */
  readonly maxDisagreements: number;
  /** Of each first differing form, report so many. */
  readonly perForm: number;
  /** Compare undefined flags too. */
  readonly everyFlag: boolean;
  /** Ends before `count`, between two batches, when this is true. */
  readonly isOver?: (cases: number) => boolean;
  readonly onProgress?: (cases: number) => void;
  readonly onDisagreement?: (text: string) => void;
}

export interface JudgeReport {
  cases: number;
  /** Cases by how they ended natively: "exit" or the vector. */
  readonly outcomes: Map<string, number>;
  disagreements: number;
  /** How many disagreements have a form as their last instruction. */
  readonly byForm: Map<string, number>;
  /** Cases that differ in what is tolerated alone, by the reason. */
  readonly tolerated: Map<string, number>;
  /** Instructions that ran to their end or to a fault; none that a branch may have skipped is counted. */
  instructions: number;
  /** Forms of the cases that were compared. */
  readonly encoded: Set<number>;
  /** Forms that a case ran to its end with. */
  readonly completed: Set<number>;
}

/** Runs random cases on the judge and, when there is one, on another target, and reports where they disagree. */
export async function judgeCases(
  generator: Generator,
  judge: ExecutionTarget,
  other: ExecutionTarget | undefined,
  options: JudgeOptions,
): Promise<JudgeReport> {
  const report: JudgeReport = {
    cases: 0,
    outcomes: new Map(),
    disagreements: 0,
    byForm: new Map(),
    tolerated: new Map(),
    instructions: 0,
    encoded: new Set(),
    completed: new Set(),
  };
  let ahead = start(generator, judge, options.count);
  while (ahead !== undefined && report.disagreements < options.maxDisagreements) {
    const { batch, judged } = ahead;
    ahead = start(generator, judge, options.count - report.cases - batch.count);
    const theirs = other === undefined ? undefined : indexResults(await other.run(batch.bytes));
    const ours = indexResults(await judged);
    count(generator, report, batch, ours);
    if (theirs !== undefined && other !== undefined)
      await examine(generator, judge, other, { batch, ours, theirs }, report, options);
    report.cases += batch.count;
    if (options.isOver?.(report.cases) === true) break;
    options.onProgress?.(report.cases);
  }
  await ahead?.judged;
  return report;
}

function start(
  generator: Generator,
  judge: ExecutionTarget,
  left: number,
): { batch: GeneratedBatch; judged: Promise<Uint8Array> } | undefined {
  if (left <= 0) return undefined;
  const batch = generator.batch(Math.min(left, CASES_PER_BATCH));
  return { batch, judged: judge.run(batch.bytes) };
}

function count(generator: Generator, report: JudgeReport, batch: GeneratedBatch, ours: ResultIndex): void {
  ours.offsets.forEach((at, i) => {
    const status = ours.bytes[at + 2]!;
    const name =
      status === STATUS_EXIT ? "exit" : status > 1 ? `status ${status}` : `vector ${ours.bytes[at + 3]}`;
    report.outcomes.set(name, (report.outcomes.get(name) ?? 0) + 1);
    report.instructions += executed(generator, batch, i, ours);
    if (status === STATUS_EXIT) noteCompleted(batch, i, report.completed);
  });
  for (const form of batch.forms) if (form !== NO_FORM) report.encoded.add(form);
}

/** How many instructions of a case ran for sure: what a branch may have skipped is not counted. */
function executed(generator: Generator, batch: GeneratedBatch, index: number, ours: ResultIndex): number {
  const at = ours.offsets[index]!;
  if (ours.bytes[at + 2] === STATUS_EXIT) return countSure(batch, index, lengthOf(batch, index));
  const caseAt = batch.offsets[index]!;
  const codeOffset = batch.bytes[caseAt + 4]! | (batch.bytes[caseAt + 5]! << 8);
  const view = new DataView(ours.bytes.buffer, ours.bytes.byteOffset + at, 16);
  const behind = view.getUint32(8, true) - (CODE_BASE + codeOffset);
  const from = MAX_INSTRUCTIONS * index;
  const length = lengthOf(batch, index);
  for (let i = 0; view.getUint32(12, true) === 0 && i < length; i++)
    if (batch.starts[from + i] === behind) return countSure(batch, index, i) + 1;
  // It faults where no instruction of its begins: some branch led astray.
  for (let i = 0; i < length; i++)
    if (generator.shapes[batch.forms[from + i]!]!.branches) return countSure(batch, index, i) + 1;
  return length;
}

/** How many of a case's first `length` instructions no branch skips. */
function countSure(batch: GeneratedBatch, index: number, length: number): number {
  let sure = length;
  for (let bits = batch.skippable[index]! & ((1 << length) - 1); bits !== 0; bits &= bits - 1) sure--;
  return sure;
}

function lengthOf(batch: GeneratedBatch, index: number): number {
  const from = MAX_INSTRUCTIONS * index;
  let length = 0;
  while (length < MAX_INSTRUCTIONS && batch.forms[from + length] !== NO_FORM) length++;
  return length;
}

/** Notes what a case that came to its end has executed for sure. */
function noteCompleted(batch: GeneratedBatch, index: number, completed: Set<number>): void {
  const length = lengthOf(batch, index);
  for (let i = 0; i < length; i++)
    if ((batch.skippable[index]! & (1 << i)) === 0) completed.add(batch.forms[MAX_INSTRUCTIONS * index + i]!);
}

function formsOf(batch: GeneratedBatch, index: number): number[] {
  const from = MAX_INSTRUCTIONS * index;
  return Array.from(batch.forms.subarray(from, from + lengthOf(batch, index)));
}

interface Ran {
  readonly batch: GeneratedBatch;
  readonly ours: ResultIndex;
  readonly theirs: ResultIndex;
}

async function examine(
  generator: Generator,
  judge: ExecutionTarget,
  other: ExecutionTarget,
  ran: Ran,
  report: JudgeReport,
  options: JudgeOptions,
): Promise<void> {
  const { batch, ours, theirs } = ran;
  for (let i = 0; i < batch.count; i++) {
    const packed = batch.tolerances[i]!;
    const tolerance = unpackTolerance(options.everyFlag ? withEveryFlag(packed) : packed);
    if (resultsAgree(ours, theirs, i, NO_TOLERANCE)) continue;
    const testCase = decodeCase(indexBatch(batch.bytes), i);
    const shapes = formsOf(batch, i).map((form) => generator.shapes[form]!);
    const starts = Array.from(
      batch.starts.subarray(MAX_INSTRUCTIONS * i, MAX_INSTRUCTIONS * i + shapes.length),
    );
    const judged = decodeResult(ours, i, testCase);
    const their = decodeResult(theirs, i, testCase);
    const differences = describeDifferences(judged, their, tolerance);
    if (differences.length === 0) {
      noteTolerated(report, judged, their, tolerance);
      continue;
    }
    const reason = await explainByVendor({ testCase, shapes, starts }, judge, other, options.everyFlag);
    if (reason !== undefined) {
      note(report.tolerated, `${judge.vendor}: ${reason}`);
      continue;
    }
    if (await agreesWhenRepeated(judge, testCase, their, tolerance)) {
      note(report.tolerated, DISTURBED_REASON);
      continue;
    }
    report.disagreements++;
    await tell({ testCase, shapes, starts, differences }, judge, other, report, options);
    if (report.disagreements >= options.maxDisagreements) return;
  }
}

function noteTolerated(
  report: JudgeReport,
  judged: TestResult,
  their: TestResult,
  tolerance: Tolerance,
): void {
  const names = toleratedBy(judged, their, tolerance);
  const reasons = names.length > 0 ? names.map((name) => REASONS[name]) : [KERNEL_ADDRESS_REASON];
  for (const reason of reasons) note(report.tolerated, reason);
}

function note(counts: Map<string, number>, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

/**
 * Whether the judge gives the other's result when it runs the case once more. Its own may have been disturbed: an
 * operating system that takes an AMD processor away between two instructions loses FOP, FIP and FDP, since FXSAVE
 * and XSAVE leave them out there without an unmasked exception. And a random address of the case may be one where
 * the runner's process has something, a library say; in another process it lies elsewhere. A fault of the other's stays one.
 */
async function agreesWhenRepeated(
  judge: ExecutionTarget,
  testCase: TestCase,
  their: TestResult,
  tolerance: Tolerance,
): Promise<boolean> {
  const agrees = async () => {
    const [again] = await runCases(judge, [testCase]);
    return describeDifferences(again!, their, tolerance).length === 0;
  };
  if (await agrees()) return true;
  await judge.renew?.();
  return agrees();
}

const DISTURBED_REASON = "the processor itself gave the other result when asked again";

/** What no tolerance of a case's own is for; see KERNEL_ADDRESSES. */
const KERNEL_ADDRESS_REASON = "error code at an address of the host's kernel, or RFLAGS.RF";

async function tell(
  found: Disagreement,
  judge: ExecutionTarget,
  other: ExecutionTarget,
  report: JudgeReport,
  options: JudgeOptions,
): Promise<void> {
  // Shrinking costs many runs: only while a form is not known as a culprit.
  const known = found.shapes.find((shape) => (report.byForm.get(shape.text) ?? 0) >= options.perForm);
  const small = known === undefined ? await shrink(found, judge, other, options.everyFlag) : undefined;
  const culprit = small?.shapes.at(-1)?.text ?? known?.text ?? "no instruction";
  const times = (report.byForm.get(culprit) ?? 0) + 1;
  report.byForm.set(culprit, times);
  if (small !== undefined && times <= options.perForm) options.onDisagreement?.(showDisagreement(small));
}

/** A disagreement as text: instructions, initial state, what differs. */
export function showDisagreement(d: Disagreement): string {
  const indent = (lines: readonly string[], by: string) => lines.map((line) => by + line);
  return [
    d.shapes.map((s) => s.text).join("; "),
    ...indent(disassemble(d.testCase), "    "),
    ...indent(describeCase(d.testCase), "  with "),
    ...indent(describeImage(d.testCase.image), "  with "),
    ...indent(d.differences, "  -> "),
  ].join("\n");
}

function describeImage(image: Uint8Array): string[] {
  const view = new DataView(image.buffer, image.byteOffset);
  const hex = (v: number) => v.toString(16);
  const lines = [
    `FCW ${hex(view.getUint16(0, true))}, FSW ${hex(view.getUint16(2, true))}, FTW ${hex(image[4]!)}, MXCSR ${hex(view.getUint32(24, true))}`,
  ];
  for (let i = 0; i < 24; i++) {
    const bytes = Array.from(image.subarray(32 + 16 * i, i < 8 ? 42 + 16 * i : 48 + 16 * i)).reverse();
    if (bytes.some((b) => b !== 0))
      lines.push(
        `${i < 8 ? `st${i}` : `xmm${i - 8}`} ${bytes.map((b) => b.toString(16).padStart(2, "0")).join("")}`,
      );
  }
  return lines.length === 1 && lines[0] === "FCW 37f, FSW 0, FTW 0, MXCSR 1f80" ? [] : lines;
}
