import { spawnSync } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";

const MODULE = path.resolve(import.meta.dirname, "../../src/host/node/process-words.ts");
const PROGRAM = `
import { ownArguments, ownVariable } from ${JSON.stringify(MODULE)};
const shown = (text) => text === undefined ? "absent" : text.split("").map((unit) => unit.charCodeAt(0).toString(16)).join(" ");
console.log([...ownArguments(), ownVariable("BYTES"), ownVariable("TEXT"), ownVariable("ABSENT")].map(shown).join("|"));
`;

/** What a process has of words that a shell gave it, in hexadecimal. Node.js cannot give a process any bytes. */
function shownWords(words: string): string {
  const shell = `BYTES=$(printf 'v\\377=\\351') TEXT=é exec "$0" --input-type=module -e "$1" program ${words}`;
  const options = { encoding: "utf8" } as const;
  const { stdout, stderr } = spawnSync("sh", ["-c", shell, process.execPath, PROGRAM], options);
  expect(stderr).toBe("");
  return stdout.trim();
}

test.skipIf(process.platform !== "linux")(
  "words and variables that are not UTF-8 are had byte by byte, and others as they are (skipped but on Linux)",
  () => {
    const variables = "76 dcff 3d dce9|e9|absent";
    expect(shownWords(`"$(printf 'a\\377b')" "" é`)).toBe(`61 dcff 62||e9|${variables}`);
    expect(shownWords("plain")).toBe(`70 6c 61 69 6e|${variables}`);
    // What stands for other bytes may also have been meant.
    expect(shownWords(`"$(printf '\\357\\277\\275')"`)).toBe(`fffd|${variables}`);
  },
);
