import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const ROOT = path.resolve(import.meta.dirname, "..", "..");
const FOLDER = path.join(ROOT, "build", "examples");

/** The programs in a document, with the heading that each stands under. */
function programsOf(document: string): { heading: string; text: string }[] {
  const markdown = readFileSync(path.join(ROOT, document), "utf8");
  return markdown.split(/^## /m).flatMap((section) => {
    const heading = section.split("\n")[0] ?? "";
    return [...section.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => ({
      heading,
      text: match[1] ?? "",
    }));
  });
}

const programs = programsOf("docs/library.md");

test("the examples of docs/library.md compile", { timeout: 200_000 }, () => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const [i, { text }] of programs.entries()) writeFileSync(path.join(FOLDER, `example-${i}.ts`), text);
  const settings = {
    extends: "../../tsconfig.base.json",
    compilerOptions: { types: ["node"], typeRoots: ["../../node_modules/@types"], noUnusedLocals: false },
    include: ["*.ts", "../../src/host/webassembly.d.ts"],
  };
  writeFileSync(path.join(FOLDER, "tsconfig.json"), JSON.stringify(settings));
  const compiler = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", FOLDER], { encoding: "utf8" });
  expect(stdout).toBe("");
  expect(status).toBe(0);
  expect(programs.length).toBeGreaterThan(5);
});

/** What the comments of the examples promise. */
const PRINTED: Record<string, RegExp> = {
  "A first machine": /^Linux\s+3\n$/,
  "The life of a machine": /it has ended[\s\S]*reason: 'power-off'/,
  "Commands and files": /'1', '2', '3'[\s\S]*FROM OUTSIDE\n6\nstdout hello\nstdout bye\nTimeoutError\n$/,
  "Copying folders": /^2 \[ 'pipe' \]\napple\n$/,
  "Shared folders": /^42\n\n$/,
  "Disks and networks": /^BBB\nyou asked for \/status\n$/,
  "The console": /^$/,
  "Snapshots and clones": /^\d+ pages\nchanged\n\n0\n$/,
  Sockets: /^connection-failed\n$/,
  "The balloon": /^\d+\n$/,
  Memory: /^RSD PTR \n$/,
  Errors: /^snapshot-foreign \/etc\/hostname: not a snapshot of Ringfence/,
};

test.skipIf(!guest.available).each(programs.map(({ heading }, i) => [heading, i] as const))(
  `the example under "%s" runs and prints what it says${suffix}`,
  { timeout: 300_000 },
  (heading, i) => {
    const file = path.join(FOLDER, `example-${i}.ts`);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
      encoding: "utf8",
      timeout: 280_000,
    });
    expect([status, stderr.replaceAll(/^.*Warning.*$\n?/gm, "")]).toEqual([0, ""]);
    expect(stdout).toMatch(PRINTED[heading] ?? /^never$/);
  },
);

test.skipIf(!guest.available)(
  `examples/run-untrusted.ts prints the result, the exit status and the milliseconds${suffix}`,
  { timeout: 300_000 },
  () => {
    const example = path.join(ROOT, "examples", "run-untrusted.ts");
    const program = 'seq 10 | awk "{ sum += \\$1 } END { print sum }"; exit 4';
    const { status, stdout } = spawnSync(process.execPath, [example, program], { encoding: "utf8" });
    expect(stdout).toMatch(/^55\nexit status 4, \d+ ms from snapshot to result\n$/);
    expect(status).toBe(0);
  },
);
