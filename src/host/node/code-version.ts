import { hash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { currentBundle, ROOT } from "./bundle.ts";
import { CORE_WASM } from "./core-module.ts";

/** What decides which code is generated for an instruction, and how records look. */
const GENERATORS = ["layout", "wasm", "isa", "decode", "lower", "cpu", "interpret", "translate"];

let known: string | undefined;

/** Names the version of all that decodes and generates code: a hash of its sources. */
export function codeVersion(): string {
  known ??= currentBundle()?.codeVersion ?? hashOfSources();
  return known;
}

/** The same from the sources themselves. */
export function hashOfSources(): string {
  const parts: (string | Uint8Array)[] = [readFileSync(CORE_WASM)];
  for (const folder of GENERATORS) {
    const names = readdirSync(path.join(ROOT, "src", folder), { recursive: true, encoding: "utf8" });
    for (const name of names.filter((n) => n.endsWith(".ts") && !n.endsWith(".test.ts")).sort())
      parts.push(`${folder}/${name}`, readFileSync(path.join(ROOT, "src", folder, name)));
  }
  return hash("sha256", Buffer.concat(parts.map((part) => Buffer.from(part))), "hex").slice(0, 32);
}
