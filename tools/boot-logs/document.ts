import type { LoggedGuest } from "./boots.ts";
import { classOf, DIFFERENCES, type DifferenceClass } from "./differences.ts";
import { type KernelMessage, type LogDifference, WARNING } from "./kernel-log.ts";

/** The differences of all guests as docs/boot-logs.md has them. */
export function bootLogsDocument(differences: ReadonlyMap<LoggedGuest, LogDifference>): string {
  return `# What kernels say here and under QEMU

Written by \`node tools/compare-boot-logs.ts --write-docs\`, which boots each kernel with the same command line, initial RAM disk and memory
under QEMU (\`-machine pc -cpu qemu64 -accel tcg\`) and here, and pairs the messages of \`dmesg -r\` by their text without figures. Classes and
explanations are in \`tools/boot-logs/differences.ts\`; a message that fits none of them, or a warning that only a boot here has, makes the
tool fail. The installer's log is taken when its first dialog is on the screen.

${summary(differences)}

No boot has an oops, and none has a message of level warning or worse that QEMU's lacks.

## Messages that one side alone has

${DIFFERENCES.map((each) => section(each, differences)).join("\n")}
## Messages with other figures

Both have them; what differs are addresses and sizes (RAM ends at a round address here; kernel address-space randomisation, which also moves what is
counted as available early), times and dates, the names ACPI gives to devices, the TSC's frequency, and features of the processor.

${figures(differences)}`;
}

function summary(differences: ReadonlyMap<LoggedGuest, LogDifference>): string {
  const rows = [...differences].map(([guest, { equal, otherFigures, onlyFirst, onlySecond }]) => {
    const [ours, theirs] = [onlySecond, onlyFirst].map(
      (list) => list.filter(({ level }) => level <= WARNING).length,
    );
    const counts = [equal, otherFigures.length, onlyFirst.length, onlySecond.length, theirs, ours];
    return `| ${guest} | ${counts.join(" | ")} |`;
  });
  return [
    "| kernel | equal | other figures | QEMU only | here only | warnings: QEMU only | warnings: here only |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function section(each: DifferenceClass, differences: ReadonlyMap<LoggedGuest, LogDifference>): string {
  const all = [...differences.values()];
  const theirs = all
    .flatMap(({ onlyFirst }) => onlyFirst)
    .filter((message) => classOf(message, "qemu") === each);
  const ours = all
    .flatMap(({ onlySecond }) => onlySecond)
    .filter((message) => classOf(message, "here") === each);
  return [`### ${each.title}`, "", each.explanation, "", ...list("QEMU", theirs), ...list("here", ours)].join(
    "\n",
  );
}

/** One example of each kind of message. */
function list(side: string, messages: readonly KernelMessage[]): string[] {
  const examples = new Map(messages.map((message) => [message.kind, message.text]));
  return examples.size === 0
    ? []
    : ["```text", ...[...examples.values()].map((text) => `${side}: ${text}`), "```", ""];
}

function figures(differences: ReadonlyMap<LoggedGuest, LogDifference>): string {
  const kinds = new Set<string>();
  for (const { otherFigures } of differences.values()) for (const [{ kind }] of otherFigures) kinds.add(kind);
  return ["```text", ...kinds, "```", ""].join("\n");
}
