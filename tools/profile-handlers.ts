// Counts which handlers and which pairs of handlers a guest executes most, and writes src/interpret/hot-shapes.ts.
//
// usage: node tools/profile-handlers.ts [--singles N] [--pairs N] [--write] KERNEL INITRD APPEND [KERNEL INITRD APPEND ...]
//
// Runs each guest with every handler called through the table, 20 to 50 times slower than usual, until it powers
// off. Each guest counts the same, however many instructions it executes.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import type { HandlerShape } from "../src/decode/shape.ts";
import { EventLoop } from "../src/host/node/event-loop.ts";
import { hostTime } from "../src/host/node/host-time.ts";
import { createProcessor } from "../src/machine/create-processor.ts";
import { Machine } from "../src/machine/machine.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
const HOT_SHAPES = path.join(ROOT, "src", "interpret", "hot-shapes.ts");
const RAM_BYTES = 512 * 1024 * 1024;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    singles: { type: "string", default: "220" },
    pairs: { type: "string", default: "160" },
    write: { type: "boolean", default: false },
  },
});

/** Shares of all instructions, by the shape's name or by both names of a pair. */
class Profile {
  readonly singles = new Map<string, number>();
  readonly pairs = new Map<string, number>();
}

/** Whether a fused handler may begin with the shape: its second record must not become stale under it. */
function mayLead(shape: HandlerShape): boolean {
  const { instruction } = shape;
  const writesMemory = shape.operands.some(
    (o, i) => o.kind.toLowerCase().includes("memory") && instruction.access[i] !== "r",
  );
  return (
    !writesMemory &&
    !instruction.endsBlock &&
    instruction.unit === "general" &&
    !NEVER_LEADS.has(instruction.mnemonic)
  );
}

/** Instructions that write memory or change modes without saying so by their operands. */
const NEVER_LEADS = new Set([
  "push",
  "call",
  "enter",
  "stos",
  "movs",
  "ins",
  "bts",
  "btr",
  "btc",
  "out",
  "in",
  "popf",
  "sti",
  "wrmsr",
  "invlpg",
]);

async function profile(kernel: string, initrd: string, append: string): Promise<Profile> {
  const counts = new Map<HandlerShape, number>();
  const pairs = new Map<HandlerShape, Map<HandlerShape, number>>();
  let total = 0;
  let previous: HandlerShape | undefined;
  const observe = (shape: HandlerShape): void => {
    total++;
    counts.set(shape, (counts.get(shape) ?? 0) + 1);
    if (previous !== undefined) {
      const after = pairs.get(previous) ?? new Map<HandlerShape, number>();
      pairs.set(previous, after);
      after.set(shape, (after.get(shape) ?? 0) + 1);
    }
    previous = shape;
  };
  const loop = new EventLoop();
  const coreModule = new WebAssembly.Module(readFileSync(path.join(ROOT, "build", "core.wasm")));
  const machine = new Machine({
    ramBytes: RAM_BYTES,
    createProcessor: (surroundings, memory) =>
      createProcessor({ coreModule, ramBytes: RAM_BYTES, deterministic: true, surroundings, memory, observe })
        .processor,
    host: {
      ...hostTime(loop),
      writeSerial: (bytes) => void process.stderr.write(bytes),
      serialCongested: () => false,
    },
    deterministic: true,
    noReboot: true,
    boot: {
      kernel: readFileSync(kernel),
      commandLine: append,
      modules: [{ bytes: readFileSync(initrd), commandLine: "" }],
    },
  });
  const end = await machine.run();
  process.stderr.write(`${kernel}: ${total} instructions, ${counts.size} handlers, ended by ${end.reason}\n`);
  const result = new Profile();
  for (const [shape, count] of counts) if (shape.code64) result.singles.set(shape.name, count / total);
  for (const [first, after] of pairs) {
    if (!mayLead(first)) continue;
    for (const [second, count] of after) result.pairs.set(`${first.name}\n${second.name}`, count / total);
  }
  return result;
}

function merged(profiles: readonly Map<string, number>[], most: number): [string, number][] {
  const sum = new Map<string, number>();
  for (const each of profiles)
    for (const [name, share] of each) sum.set(name, (sum.get(name) ?? 0) + share / profiles.length);
  return [...sum].sort((a, b) => b[1] - a[1]).slice(0, most);
}

const profiles: Profile[] = [];
for (let i = 0; i + 2 < positionals.length; i += 3) {
  profiles.push(await profile(positionals[i]!, positionals[i + 1]!, positionals[i + 2]!));
}
const singles = merged(
  profiles.map((p) => p.singles),
  Number(values.singles),
);
const pairs = merged(
  profiles.map((p) => p.pairs),
  Number(values.pairs),
);
const covered = (list: [string, number][]) =>
  `${(100 * list.reduce((sum, [, share]) => sum + share, 0)).toFixed(1)} %`;
process.stderr.write(
  `singles cover ${covered(singles)} of instructions, pairs ${covered(pairs)} of transitions\n`,
);
if (values.write) {
  const old = readFileSync(HOT_SHAPES, "utf8");
  const singlesText = singles.map(([name]) => `  ${JSON.stringify(name)},`).join("\n");
  const pairsText = pairs
    .map(
      ([pair]) =>
        `  [${pair
          .split("\n")
          .map((n) => JSON.stringify(n))
          .join(", ")}],`,
    )
    .join("\n");
  const text = old
    .replace(/(export const HOT_SHAPES[^=]*= \[)[^;]*\];/, `$1\n${singlesText}\n];`)
    .replace(/(export const FUSED_SHAPES[^=]*= \[)[^;]*\];/, `$1\n${pairsText}\n];`);
  writeFileSync(HOT_SHAPES, text);
} else {
  for (const [name, share] of singles) console.log(`${(100 * share).toFixed(2)} %  ${name}`);
  for (const [pair, share] of pairs)
    console.log(`${(100 * share).toFixed(2)} %  ${pair.replace("\n", "  |  ")}`);
}
