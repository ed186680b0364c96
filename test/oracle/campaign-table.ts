// npx node test/oracle/campaign-table.ts LOG...
//
// Prints logs of campaign.ts as the rows of docs/fidelity.md: pieces that ran the same target and sources in one row.
import { readFileSync } from "node:fs";
import process from "node:process";
import type { Piece } from "./campaign-piece.ts";

const rows = new Map<string, Piece[]>();
for (const file of process.argv.slice(2)) {
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const piece: Piece = JSON.parse(line);
    const key = [piece.target, piece.commit, piece.forms, file].join(" ");
    rows.set(key, [...(rows.get(key) ?? []), piece]);
  }
}
const total = new Map<string, number>();
console.log("| engine | sources | seeds | instructions | forms reached | cases that differ |");
console.log("|---|---|---|---|---|---|");
for (const pieces of rows.values()) {
  const { target, commit, forms } = pieces[0]!;
  const seeds = pieces.map(({ seed }) => seed);
  const instructions = pieces.reduce((sum, piece) => sum + piece.instructions, 0);
  const never = pieces[0]!.unreached.filter((form) => pieces.every((p) => p.unreached.includes(form)));
  const differing = pieces.reduce((sum, piece) => sum + piece.differences, 0);
  const range = seeds.length === 1 ? `${seeds[0]}` : `${Math.min(...seeds)} to ${Math.max(...seeds)}`;
  console.log(
    `| ${target} | ${commit ?? "not noted"} | ${range} | ${instructions.toLocaleString("en")} | ${forms - never.length} of ${forms} | ${differing} |`,
  );
  total.set(target, (total.get(target) ?? 0) + instructions);
}
for (const [target, instructions] of total)
  console.log(`| ${target}, all |  |  | ${instructions.toLocaleString("en")} |  |  |`);
