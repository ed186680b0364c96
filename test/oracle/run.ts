// npx node test/oracle/run.ts --count 1000000 --seed 1 [--form add,adc] [--target interpreter|evaluator|none]
//   [--instructions 1..24] [--variants 4] [--every-flag] [--max 20] [--record FILE]
import { parseArgs } from "node:util";
import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { Generator, MAX_INSTRUCTIONS } from "./generate.ts";
import { type JudgeReport, judgeCases } from "./judge.ts";
import { type NativeTarget, openNativeTarget } from "./native-target.ts";
import { openTarget, TARGET_NAMES } from "./targets.ts";
import { recordVectors } from "./vectors.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    form: { type: "string" },
    target: { type: "string", default: "none" },
    instructions: { type: "string" },
    variants: { type: "string", default: "1" },
    "every-flag": { type: "boolean", default: false },
    max: { type: "string", default: "1000" },
    "per-form": { type: "string", default: "1" },
    record: { type: "string" },
  },
});

const count = Number(values.count);
const generator = new Generator(INSTRUCTIONS as readonly Instruction[], {
  seed: Number(values.seed),
  maxInstructions: Number(values.instructions ?? (values.record === undefined ? MAX_INSTRUCTIONS : 4)),
  variants: Number(values.variants),
  economical: values.record !== undefined,
  ...(values.form === undefined ? {} : { mnemonics: values.form.split(",") }),
});
const native = await openNativeTarget();
console.log(
  `judge: ${native.host.brand} (${native.host.vendor} 0x${native.host.signature.toString(16)}); seed ${values.seed}; ${generator.shapes.length} forms`,
);

if (values.record !== undefined) {
  const vectors = await recordVectors(generator, native, count, values.record);
  console.log(`${vectors.cases} cases in ${values.record}, ${vectors.bytes} bytes`);
  await native.close();
} else {
  const other = values.target === "none" ? undefined : await openTarget(values.target);
  if (values.target !== "none" && other === undefined)
    throw new Error(`no target "${values.target}": one of none, ${TARGET_NAMES.join(", ")}`);
  const started = performance.now();
  const report = await judgeCases(generator, native, other, {
    count,
    maxDisagreements: Number(values.max),
    perForm: Number(values["per-form"]),
    everyFlag: values["every-flag"],
    onDisagreement: (text) => console.log(`\n${text}`),
  });
  await native.close();
  await other?.close();
  summarise(generator, native, report, performance.now() - started);
  process.exitCode = report.disagreements > 0 ? 1 : 0;
}

function summarise(generator: Generator, native: NativeTarget, report: JudgeReport, elapsedMs: number): void {
  const perSecond = Math.round(report.cases / (elapsedMs / 1000));
  const cycles = Math.round(Number(native.cycles) / report.cases);
  console.log(
    `\n${report.cases} cases in ${(elapsedMs / 1000).toFixed(1)} s: ${perSecond}/s, ${cycles} native cycles each, runner restarted ${native.restarts} times`,
  );
  console.log(
    [...report.outcomes]
      .sort((a, b) => b[1] - a[1])
      .map(([name, n]) => `${name} ${n}`)
      .join(", "),
  );
  const shapes = generator.shapes;
  const unreached = shapes.filter((s) => generator.uses[s.index] === 0);
  const faulting = shapes.filter((s) => generator.uses[s.index] !== 0 && !report.completed.has(s.index));
  console.log(
    `forms: ${shapes.length - unreached.length} of ${shapes.length} encoded, ${report.completed.size} ran to the end, ${generator.excluded.length} excluded`,
  );
  for (const s of unreached) console.log(`  not reached: ${s.text}`);
  for (const s of faulting) console.log(`  always faulted: ${s.text}`);
  for (const [form, reason] of generator.excluded.map((e) => [e.form, e.reason]))
    console.log(`  excluded: ${form}: ${reason}`);
  console.log(`${report.instructions} instructions executed`);
  for (const [reason, n] of [...report.tolerated].sort((a, b) => b[1] - a[1]))
    console.log(`  ${n} cases tolerated: ${reason}`);
  console.log(`${report.disagreements} unexplained differences`);
  if (report.disagreements > 0) console.log(`${report.disagreements} disagreements:`);
  for (const [form, n] of [...report.byForm].sort((a, b) => b[1] - a[1])) console.log(`  ${n} ${form}`);
}
