/**
 * Bundles what starts often into few files of JavaScript in build/bundle, when it is missing or older than its sources:
 * Node.js loads some 300 files of TypeScript in the time that a restored machine needs to answer.
 *
 *     node tools/build-bundle.ts [--force]
 *
 * Whoever starts asks src/host/node/bundle.ts, which takes the sources where the bundle is not current.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { BUNDLE, type BundleManifest, currentBundle, fingerprint, ROOT } from "../src/host/node/bundle.ts";
import { hashOfSources } from "../src/host/node/code-version.ts";

/** By the name under which `loadModule` asks for them. */
const ENTRIES = {
  start: "src/cli/start.ts",
  main: "src/cli/main.ts",
  "serve-machine": "src/api/serve-machine.ts",
  run: "src/cli/run.ts",
  "file-thread": "src/host/node/file-thread/serve-calls.ts",
};

const PROGRAM = [ENTRIES.start, ENTRIES.main];
const MACHINE = [ENTRIES.run, ENTRIES["serve-machine"]];

/** Bundles anew, in a folder of its own that then takes the place of the old one. */
export async function buildBundle(): Promise<void> {
  const { build } = await import("vite");
  mkdirSync(path.dirname(BUNDLE), { recursive: true });
  const staging = mkdtempSync(`${BUNDLE}-`);
  try {
    await build({
      root: ROOT,
      configFile: false,
      logLevel: "warn",
      // The one package that every start needs.
      ssr: { noExternal: ["smol-toml"] },
      build: {
        ssr: true,
        outDir: staging,
        emptyOutDir: false,
        target: "esnext",
        minify: false,
        rolldownOptions: {
          input: Object.fromEntries(
            Object.entries(ENTRIES).map(([name, file]) => [name, path.join(ROOT, file)]),
          ),
          output: {
            // Node.js starts these sooner than modules of ECMAScript, for which it evaluates all of a built-in module's exports.
            format: "cjs",
            entryFileNames: "[name].cjs",
            chunkFileNames: "[name]-[hash].cjs",
            codeSplitting: {
              // Each file costs a millisecond to load: so there is one with what every command needs, and one for machines.
              groups: [
                { name: (id, graph) => (isPartOf(id, PROGRAM, graph) ? "program" : null), priority: 2 },
                { name: (id, graph) => (isPartOf(id, MACHINE, graph) ? "machine" : null), priority: 1 },
              ],
            },
          },
          checks: { pluginTimings: false },
        },
      },
    });
    const sources = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
      .map((name) => path.posix.join("src", ...name.split(path.sep)))
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !name.startsWith("src/web/"))
      .sort();
    const manifest: BundleManifest = {
      sources: [...sources, "build/core.wasm"].map((name) => [name, fingerprint(name)]),
      codeVersion: hashOfSources(),
    };
    writeFileSync(path.join(staging, "manifest.json"), JSON.stringify(manifest));
    rmSync(BUNDLE, { recursive: true, force: true });
    renameSync(staging, BUNDLE);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

interface ModuleGraph {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

/** Whether a module is loaded with these entries. The entries themselves, which do something, stay by themselves. */
function isPartOf(id: string, entries: readonly string[], graph: ModuleGraph): boolean {
  const isEntry = Object.values(ENTRIES).some((file) => id === path.join(ROOT, file));
  return !isEntry && importedBy(entries, graph).has(id);
}

/** All modules that are loaded when these are. */
function importedBy(files: readonly string[], graph: ModuleGraph): Set<string> {
  const found = new Set<string>();
  const rest = files.map((file) => path.join(ROOT, file));
  for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    rest.push(...(graph.getModuleInfo(id)?.importedIds ?? []));
  }
  return found;
}

async function main(): Promise<void> {
  if (!existsSync(path.join(ROOT, "node_modules", "vite"))) return;
  if (!process.argv.includes("--force") && currentBundle() !== undefined) return;
  await buildBundle();
}

if (import.meta.main) await main();
