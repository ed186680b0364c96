import { readFileSync } from "node:fs";
import process from "node:process";
import { textOfBytes } from "./byte-text.ts";

/** What Node.js has in place of bytes that are not UTF-8. */
const REPLACED = "\ufffd";

/** The words behind the program's name. Where Linux tells, those that are not UTF-8 are as `textOfBytes` has them. */
export function ownArguments(): string[] {
  const words = process.argv.slice(2);
  if (!words.some((word) => word.includes(REPLACED))) return words;
  return wordsIn("/proc/self/cmdline")?.slice(-words.length) ?? words;
}

/** A variable of the environment that this process was started with, likewise. */
export function ownVariable(name: string): string | undefined {
  const value = process.env[name];
  if (!value?.includes(REPLACED)) return value;
  const setting = wordsIn("/proc/self/environ")?.find((word) => word.startsWith(`${name}=`));
  return setting?.slice(name.length + 1) ?? value;
}

function wordsIn(file: string): string[] | undefined {
  try {
    // A zero byte is behind each word.
    return textOfBytes(readFileSync(file)).split("\0").slice(0, -1);
  } catch {
    return undefined; // no Linux, or no /proc
  }
}
