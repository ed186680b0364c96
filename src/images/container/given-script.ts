import { writeCpio } from "../../host/cpio.ts";
import { bytesOfText } from "../../host/node/byte-text.ts";
import { shellWord } from "./shell-word.ts";

/** In the initial RAM disk: a script that the image's start reads before it begins its program. */
export const COMMAND_FILE = "command";

/**
 * An archive that follows on an image's initial RAM disk and brings its start this script: the kernel's command line
 * would limit the length of words and take quotes and spaces for its own.
 */
export function givenScript(script: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOfText(script);
  // Only root reads it: there may be passwords in the environment.
  return writeCpio([{ kind: "file", path: COMMAND_FILE, permissions: 0o600, bytes }]);
}

/** Makes these words the command, and leaves everything else to the image's start. */
export function commandScript(words: readonly string[]): string {
  return `set -- ${words.map(shellWord).join(" ")}\n`;
}
