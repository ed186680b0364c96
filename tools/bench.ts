/** Names the benchmarks there are. The one of the whole machine comes with the translator's issue. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const FOLDER = path.resolve(import.meta.dirname, "..", "bench");
const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith(".ts")) : [];
if (names.length === 0) {
  console.error("ringfence: there is no benchmark in bench/ yet");
  process.exit(2);
}
for (const name of names) console.log(`node bench/${name}`);
