import { listCode } from "./code-listing.ts";
import type { Difference, Lockstep } from "./lockstep.ts";
import type { Narrowed } from "./narrow.ts";

const MOST_PAGES = 8;
const LISTED_INSTRUCTIONS = 24;

/** What differs and where, in lines for a person. May change both processors: they are not to run again. */
export function differenceReport(
  lockstep: Lockstep,
  difference: Difference,
  narrowed: Narrowed | undefined,
): string[] {
  const { sides } = lockstep;
  const [leader, follower] = sides;
  const lines = [`${leader.name} and ${follower.name} differ: ${difference.summary}`];
  if (narrowed === undefined) {
    lines.push("the difference does not come again when the run is repeated with code decoded afresh");
    lines.push(...differenceLines(difference));
  }
  const last = narrowed?.difference;
  if (last !== undefined) lines.push(...differenceLines(last));
  lockstep.setBack();
  if (narrowed !== undefined && narrowed.agreeing > 0) lockstep.repeat(narrowed.agreeing);
  const { processor } = leader;
  lines.push(
    `both agreed last after ${processor.instructions} instructions, at RIP 0x${processor.registers.get("rip").toString(16)}; the code there:`,
    ...listCode(leader, LISTED_INSTRUCTIONS),
  );
  return lines;
}

function differenceLines({ fields, pages }: Difference): string[] {
  return [
    ...fields.map(({ name, values }) => `${name}: ${values.join(" against ")}`),
    ...pages
      .slice(0, MOST_PAGES)
      .map(
        ({ page, bytes, first, values, noted }) =>
          `page 0x${page.toString(16)}: ${bytes} bytes differ; from 0x${first.toString(16)}: ${values.join(" against ")}` +
          (noted ? "" : " (not noted as written)"),
      ),
    ...(pages.length > MOST_PAGES ? [`and ${pages.length - MOST_PAGES} more pages`] : []),
  ];
}
