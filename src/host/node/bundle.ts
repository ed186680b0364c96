import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Holds from src/host/node and, as tools/build-bundle.ts puts its files equally deep, from the bundle. */
export const ROOT = path.resolve(import.meta.dirname, "..", "..", "..");

/** Where tools/build-bundle.ts puts the program in few files. */
export const BUNDLE = path.join(ROOT, "build", "bundle", "node");

export interface BundleManifest {
  /** All that it may be made of: path from the root, and `fingerprint` when it was made. */
  readonly sources: readonly (readonly [file: string, fingerprint: string])[];
  /** What `codeVersion` gives. */
  readonly codeVersion: string;
}

/** Changes when a file is written. A path that is not absolute begins at the root. */
export function fingerprint(file: string): string {
  const { mtimeMs, size } = statSync(path.resolve(ROOT, file));
  return `${mtimeMs} ${size}`;
}

let current: BundleManifest | "none" | undefined;

/** The bundle, unless it is missing or a source has been written since it was made. Looks once. */
export function currentBundle(): BundleManifest | undefined {
  current ??= readBundle() ?? "none";
  return current === "none" ? undefined : current;
}

function readBundle(): BundleManifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(path.join(BUNDLE, "manifest.json"), "utf8")) as BundleManifest;
    const isCurrent = manifest.sources.every(([file, expected]) => fingerprint(file) === expected);
    return isCurrent ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Loads a part of the program from the bundle, or from its sources where that is missing or older than they are.
 *
 * @param name Under which tools/build-bundle.ts has it.
 */
export async function loadModule<Module>(name: string, fromSources: () => Promise<Module>): Promise<Module> {
  if (currentBundle() === undefined) return fromSources();
  return createRequire(import.meta.url)(path.join(BUNDLE, `${name}.cjs`)) as Module;
}
