// npx node test/decode/fuzz.ts --count 1000000 [--seed 1] [--bits 16,32,64] [--show 3] [--missing]
import { parseArgs } from "node:util";
import type { CodeBits } from "../../src/decode/decoder.ts";
import { compareRandom } from "./compare.ts";
import { Report } from "./judge.ts";
import { objdumpUnavailable } from "./objdump.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    bits: { type: "string", default: "64,32,16" },
    missing: { type: "boolean", default: false },
    show: { type: "string", default: "3" },
  },
});

const reason = objdumpUnavailable();
if (reason !== undefined) throw new Error(`nothing to compare with: ${reason}`);
const widths = values.bits.split(",").map(Number) as CodeBits[];
const BATCH = 20_000;
const report = new Report();
console.log(`seed ${values.seed}`);
for (const codeBits of widths) {
  const count = Math.ceil(Number(values.count) / widths.length);
  for (let done = 0; done < count; done += BATCH) {
    await compareRandom(report, Number(values.seed) + done, Math.min(BATCH, count - done), codeBits);
  }
}
const kinds = Map.groupBy(report.differences, (d) => d.kind);
const missing = [...kinds.keys()].filter((kind) => kind.startsWith("missing "));
console.log(missing.map((kind) => `${kind} (${kinds.get(kind)!.length})`).join("\n"));
for (const kind of missing) if (values.missing === false) kinds.delete(kind);
for (const [kind, differences] of [...kinds].sort((a, b) => b[1].length - a[1].length)) {
  console.log(`${differences.length} ${kind}`);
  for (const { text } of differences.slice(0, Number(values.show))) console.log(`    ${text}`);
}
console.log(report.toString());
process.exitCode = report.differences.length > 0 ? 1 : 0;
