import { writeCpio } from "../../host/cpio.ts";
import { shellWord } from "./shell-word.ts";

/** In the initial RAM disk: a script that makes the words that `run` gives its caller's parameters. */
export const COMMAND_FILE = "command";

/**
 * An archive that follows on an image's initial RAM disk and gives its program these words, in place of the image's
 * command. The kernel's command line would limit their length and take quotes and spaces for its own.
 */
export function givenCommand(words: readonly string[]): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(commandScript(words));
  return writeCpio([{ kind: "file", path: COMMAND_FILE, bytes }]);
}

export function commandScript(words: readonly string[]): string {
  return `set -- ${words.map(shellWord).join(" ")}\n`;
}
