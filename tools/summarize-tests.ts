/**
 * Reads Vitest's JSON report and prints what CI wants to know.
 *
 *     node tools/summarize-tests.ts REPORT CHECKS_PASSED CHECKS_FAILED
 *
 * Names each failed and each skipped test, then "N passed, N failed" alone on the last line, the checks before the
 * tests (lint, types, imports) counted in. Ends with status 1 when anything failed or nothing ran.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

const [reportPath = "", checksPassed = "0", checksFailed = "0"] = process.argv.slice(2);
let passed = Number(checksPassed);
let failed = Number(checksFailed);
let skipped = 0;
let ran = 0;

if (!existsSync(reportPath)) {
  console.log("failed: Vitest left no report");
  failed++;
} else {
  const report = JSON.parse(readFileSync(reportPath, "utf8")) as Report;
  for (const file of report.testResults) {
    const name = path.relative(process.cwd(), file.name);
    const failures = file.assertionResults.filter((test) => test.status === "failed");
    for (const test of file.assertionResults) {
      if (test.status === "passed") passed++;
      else if (test.status !== "failed") {
        skipped++;
        console.log(`skipped: ${name}: ${test.fullName}`);
      }
      if (test.status === "passed" || test.status === "failed") ran++;
    }
    for (const test of failures) console.log(`failed: ${name}: ${test.fullName}`);
    // A file that does not even load has no failed test, but has failed.
    const brokenFile = file.status === "failed" && failures.length === 0;
    if (brokenFile) console.log(`failed: ${name}: ${(file.message ?? "").split("\n")[0]}`);
    failed += failures.length + (brokenFile ? 1 : 0);
  }
  if (ran === 0) {
    console.log("failed: no test ran");
    failed++;
  }
}

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
