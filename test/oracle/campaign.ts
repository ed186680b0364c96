// npx node test/oracle/campaign.ts --target interpreter|translator --instructions 60000000 --log FILE [--first-seed 1]
//
// Random instructions against the host's processor, in pieces with a seed each. A line of JSON a piece goes to the log,
// so a campaign that was stopped goes on behind its last piece, and any piece can be run again (run.ts --seed).
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Piece } from "./campaign-piece.ts";
import type { Generator } from "./generate.ts";
import { type JudgeReport, judgeCases } from "./judge.ts";
import { openNativeTarget } from "./native-target.ts";
import { CASES_PER_PIECE, pieceGenerator, VARIANTS } from "./pieces.ts";
import { openTarget, TARGET_NAMES } from "./targets.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string", default: "interpreter" },
    instructions: { type: "string", default: "1000000" },
    log: { type: "string" },
    "first-seed": { type: "string", default: "1" },
  },
});
const logFile = values.log;
if (logFile === undefined) throw new Error("--log FILE is missing: where the pieces are recorded");
const pieces = readPieces(logFile);
const wanted = Number(values.instructions);
let executed = pieces.reduce((sum, p) => sum + p.instructions, 0);
let seed = pieces.reduce((last, p) => Math.max(last, p.seed + 1), Number(values["first-seed"]));
const native = await openNativeTarget();
const other = await openTarget(values.target);
if (other === undefined) throw new Error(`no target "${values.target}": one of ${TARGET_NAMES.join(", ")}`);
let differences = pieces.reduce((sum, p) => sum + p.differences, 0);
const commit = sourceCommit();
for (; executed < wanted; seed++) {
  const generator = pieceGenerator(values.target, seed);
  const report = await judgeCases(generator, native, other, {
    count: CASES_PER_PIECE,
    maxDisagreements: 100,
    perForm: 1,
    everyFlag: false,
    onDisagreement: (text) => console.log(`\nseed ${seed}: ${text}`),
  });
  const piece = describePiece(generator, report, seed);
  appendFileSync(logFile, `${JSON.stringify(piece)}\n`);
  executed += piece.instructions;
  differences += piece.differences;
}
await native.close();
await other.close();
console.log(
  `${executed} instructions in pieces up to seed ${seed - 1}, ${differences} unexplained differences`,
);
const all = readPieces(logFile);
const never = (all[0]?.unreached ?? []).filter((form) =>
  all.every((piece) => piece.unreached.includes(form)),
);
console.log(`${(all[0]?.forms ?? 0) - never.length} of ${all[0]?.forms ?? 0} forms encoded in some piece`);
for (const form of never) console.log(`  not reached: ${form}`);
process.exitCode = differences > 0 ? 1 : 0;

function readPieces(file: string): Piece[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line): Piece => JSON.parse(line)).filter((p) => p.target === values.target);
}

/** Which sources run, as far as Git knows. */
function sourceCommit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" });
    const changed = git("status", "--porcelain", "--", "../../src").trim() !== "";
    return git("rev-parse", "--short", "HEAD").trim() + (changed ? "+" : "");
  } catch {
    return "unknown";
  }
}

function describePiece(generator: Generator, report: JudgeReport, pieceSeed: number): Piece {
  const { shapes, uses } = generator;
  return {
    target: values.target,
    processor: native.host.brand,
    commit,
    seed: pieceSeed,
    cases: report.cases,
    variants: VARIANTS[values.target] ?? 1,
    instructions: report.instructions,
    completedForms: report.completed.size,
    forms: shapes.length,
    unreached: shapes.filter((s) => uses[s.index] === 0).map((s) => s.text),
    differences: report.disagreements,
  };
}
