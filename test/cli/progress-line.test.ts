import { expect, test } from "vitest";
import { ProgressLine } from "../../src/cli/progress-line.ts";

/** What is written when the parts of two steps go by. */
function shown(isTTY: boolean): string {
  let written = "";
  const write = (text: unknown) => {
    written += String(text);
    return true;
  };
  const line = new ProgressLine({ isTTY, write });
  line.show("fetching");
  for (let done = 0; done <= 40; done++) line.show("unpacking", done, 40);
  line.end();
  return written;
}

test("on a terminal one line is written again and again, with a bar", () => {
  const lines = shown(true).split("\n");
  expect(lines.length).toBe(3);
  expect(lines[0]).toBe("\r\x1b[Kringfence: fetching");
  expect(lines[1]?.split("\r\x1b[K").at(21)).toBe("ringfence: unpacking [############------------] 20/40");
  expect(lines[1]).toMatch(/ringfence: unpacking \[#{24}\] 40\/40$/);
});

test("elsewhere a line is written for every tenth", () => {
  const tenths = Array.from({ length: 10 }, (_, index) => `ringfence: unpacking: ${index + 1}0 %\n`);
  expect(shown(false)).toBe(`ringfence: fetching\nringfence: unpacking\n${tenths.join("")}`);
});
