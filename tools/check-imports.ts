/**
 * Holds the layout of docs/architecture.md: a folder of src/ imports only from itself and from folders above it.
 *
 *     node tools/check-imports.ts [FOLDER]     # FOLDER has src/ in it; by default, this repository
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

/** The folders of src/, in the order data flows. */
const ORDER = [
  ...["layout", "wasm", "isa", "decode", "lower", "core", "memory", "cpu", "interpret", "translate"],
  ...[
    "bus",
    "devices",
    "virtio",
    "disk",
    "network",
    "host",
    "boot",
    "machine",
    "lockstep",
    "images",
    "control",
    "api",
    "cli",
    "daemon",
    "web",
  ],
];

/** Folders that may import only these, in place of everything above them. */
const ONLY: Record<string, readonly string[]> = {
  core: ["layout"],
  bus: ["layout"],
  devices: ["bus", "layout", "host"],
  virtio: ["bus", "devices", "layout", "host"],
  disk: ["layout", "host"],
  network: ["bus", "layout", "host"],
  control: ["layout"],
};

/** Folders that may never import these, though they stand above them. */
const NEVER: Record<string, readonly string[]> = { translate: ["interpret"], interpret: ["translate"] };

/** Folders from which these may take types, though they stand below them. */
const TYPES_FROM_BELOW: Record<string, readonly string[]> = { cpu: ["bus"] };

const HOST_PLATFORMS = ["node", "browser"];
/** Who may reach into host/node and host/browser: platform code itself, and what starts a machine on a platform. */
const MAY_USE_PLATFORM = ["host", "images", "api", "cli", "daemon", "web"];

/** One rule broken, in one line: "src/a/b.ts:3: what is wrong". */
export type Violation = string;

/** Checks one source file. `file` is its path from the repository's root, with forward slashes. */
export function checkSource(file: string, source: string): Violation[] {
  const violations: Violation[] = [];
  const text = blankComments(source);
  const report = (index: number, what: string) => {
    violations.push(`${file}:${text.slice(0, index).split("\n").length}: ${what}`);
  };
  for (const { index, specifier, typeOnly } of imports(text)) {
    const why = refuse(file, specifier, typeOnly);
    if (why !== undefined) report(index, why);
  }
  const folder = folderOf(file);
  for (const match of text.matchAll(/^\s*export\s+default\b/gm)) report(match.index, "default export");
  for (const match of text.matchAll(/^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/gm)) {
    report(match.index, "enum: not erasable, use a union of literals");
  }
  if (folder !== "api" && folder !== "core" && isBarrel(text)) report(0, "barrel: only src/api is one");
  return violations;
}

/** Checks every TypeScript file below ROOT/src. */
export function checkTree(root: string): { files: number; violations: Violation[] } {
  const names = readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .sort();
  const violations = names.flatMap((name) => {
    const file = path.posix.join("src", ...name.split(path.sep));
    return checkSource(file, readFileSync(path.join(root, file), "utf8"));
  });
  return { files: names.length, violations };
}

function refuse(file: string, specifier: string, typeOnly: boolean): string | undefined {
  const from = folderOf(file);
  if (!specifier.startsWith(".")) return refusePackage(file, specifier);
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (from !== "core" && !specifier.endsWith(".ts") && !specifier.endsWith(".json")) {
    return `import of ${specifier} lacks its extension .ts`;
  }
  if (!target.startsWith("src/")) {
    return isTest(file) || from === "cli" ? undefined : `import of ${specifier} leaves src/`;
  }
  const to = folderOf(target);
  if (!ORDER.includes(from)) return `folder src/${from} has no place in the layout`;
  if (!ORDER.includes(to)) return `folder src/${to} has no place in the layout`;
  if (isTest(file)) return undefined;
  const platform = target.split("/")[2] ?? "";
  if (to === "host" && HOST_PLATFORMS.includes(platform) && !MAY_USE_PLATFORM.includes(from)) {
    return `src/${from} imports platform code, host/${platform}; take an interface of host/ instead`;
  }
  if (from === to || to === "layout") return undefined;
  if (NEVER[from]?.includes(to)) return `src/${from} imports src/${to}; they meet only in src/cpu's Engine`;
  if (typeOnly && TYPES_FROM_BELOW[from]?.includes(to)) return undefined;
  const only = ONLY[from];
  if (only !== undefined) {
    return only.includes(to)
      ? undefined
      : `src/${from} imports src/${to}; it may import only ${only.join(", ")}`;
  }
  if (ORDER.indexOf(to) < ORDER.indexOf(from)) return undefined;
  return `src/${from} imports src/${to}, which stands below it`;
}

function refusePackage(file: string, specifier: string): string | undefined {
  const folder = folderOf(file);
  const platformCode = /^src\/(cli|daemon|images|web|host\/node|host\/browser)\//.test(file);
  if (platformCode || isTest(file)) return undefined;
  return `src/${folder} imports ${specifier}; only platform code may import packages`;
}

function* imports(text: string): Generator<{ index: number; specifier: string; typeOnly: boolean }> {
  const declaration = /\b(import|export)\s+(type\s+)?(?:[\w*\s{},$]*?\bfrom\s*)?["']([^"'\n]+)["']/g;
  for (const match of text.matchAll(declaration)) {
    yield { index: match.index, specifier: match[3] ?? "", typeOnly: match[2] !== undefined };
  }
  for (const match of text.matchAll(/\bimport\s*\(\s*["']([^"'\n]+)["']/g)) {
    yield { index: match.index, specifier: match[1] ?? "", typeOnly: false };
  }
}

/** Replaces comments by spaces, so that code in an example is not taken for code. Line ends stay. */
function blankComments(source: string): string {
  const pattern = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return source.replace(pattern, (all, literal: string | undefined) => {
    if (literal === undefined) return all.replace(/[^\n]/g, " ");
    // What a template literal spells is not code either.
    return literal.startsWith("`") ? literal.replace(/[^\n`]/g, " ") : literal;
  });
}

/** True for a file that only passes on what other files export. */
function isBarrel(text: string): boolean {
  const passedOn = /\bexport\s+(type\s+)?(\*|\{[^}]*\})[^;\n"']*?\bfrom\s*["'][^"'\n]+["'];?/g;
  const taken = /\bimport\s+(type\s+)?[\w*\s{},$]*?\bfrom\s*["'][^"'\n]+["'];?/g;
  return passedOn.test(text) && text.replace(passedOn, "").replace(taken, "").trim() === "";
}

function folderOf(file: string): string {
  return file.split("/")[1] ?? "";
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts");
}

function main(): void {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, ".."));
  const { files, violations } = checkTree(root);
  for (const violation of violations) console.error(violation);
  console.log(`imports: ${files} files, ${violations.length} violations`);
  if (violations.length > 0) process.exit(1);
}

if (import.meta.main) main();
