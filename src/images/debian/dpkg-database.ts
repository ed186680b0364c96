import type { TarMember } from "../tar-writer.ts";

/** A package as dpkg's database describes one that is unpacked and not configured yet. */
export interface UnpackedPackage {
  readonly name: string;
  /** The text of its file `control`, which ends with a line's end. */
  readonly control: string;
  /** Its other control files, by name. */
  readonly scripts: ReadonlyMap<string, Uint8Array>;
  /** What it holds, by the names that the package has for it, from "/." on. */
  readonly paths: readonly string[];
  /** MD5 of its configuration files, by path. */
  readonly configuration: ReadonlyMap<string, string>;
}

/** A file for an archive. */
export interface DatabaseFile {
  readonly member: TarMember;
  readonly bytes: Uint8Array;
}

const FOLDER = "var/lib/dpkg";
/** Control files that dpkg keeps elsewhere, or not at all. */
const NOT_KEPT = new Set(["control", "conffiles"]);

/** The paths that a package's `conffiles` names. A word in front of one is a flag, which only says what is to go. */
export function configurationPaths(conffiles: string): string[] {
  return conffiles.split("\n").filter((line) => line.startsWith("/"));
}

/**
 * dpkg's database (dpkg(1), FILES; deb-triggers(5)) as `dpkg --unpack` would leave it, so that `dpkg --configure`
 * can go on from there.
 */
export function dpkgDatabase(packages: readonly UnpackedPackage[]): DatabaseFile[] {
  const folders = ["", "/alternatives", "/info", "/parts", "/triggers", "/updates"];
  const status = packages.map(statusStanza).join("\n");
  return [
    ...folders.map((inside) => ({
      member: { kind: "directory", path: `${FOLDER}${inside}` } as const,
      bytes: new Uint8Array(),
    })),
    file("status", status),
    ...["available", "diversions", "statoverride", "triggers/Unincorp"].map((name) => file(name, "")),
    file("info/format", "1\n"),
    ...packages.flatMap(informationFiles),
    ...triggerFiles(packages),
  ];
}

function statusStanza({ control, configuration }: UnpackedPackage): string {
  const lines = control.trimEnd().split("\n");
  const at = lines.findIndex((line) => line.startsWith("Package:"));
  lines.splice(at + 1, 0, "Status: install ok unpacked");
  if (configuration.size > 0) {
    lines.push("Conffiles:");
    for (const [path, md5] of configuration) lines.push(` ${path} ${md5}`);
  }
  return `${lines.join("\n")}\n`;
}

function informationFiles(unpacked: UnpackedPackage): DatabaseFile[] {
  const { scripts, paths } = unpacked;
  const name = informationName(unpacked);
  const kept = [...scripts].filter(([script]) => !NOT_KEPT.has(script));
  const configuration = scripts.get("conffiles");
  return [
    file(`info/${name}.list`, paths.map((path) => `${path}\n`).join("")),
    ...(configuration === undefined ? [] : [file(`info/${name}.conffiles`, configuration)]),
    ...kept.map(([script, bytes]) =>
      file(`info/${name}.${script}`, bytes, /^(pre|post)(inst|rm)$|^config$/.test(script) ? 0o755 : 0o644),
    ),
  ];
}

/** Packages of which several architectures can be there have theirs in the name. */
export function informationName({ name, control }: UnpackedPackage): string {
  if (!/^Multi-Arch: *same *$/im.test(control)) return name;
  return `${name}:${/^Architecture: *(\S+)/im.exec(control)?.[1] ?? "amd64"}`;
}

/** Who is interested in what: paths in one file, and a file for every other trigger. */
function triggerFiles(packages: readonly UnpackedPackage[]): DatabaseFile[] {
  const onPaths: string[] = [];
  const byName = new Map<string, string[]>();
  for (const { name, scripts } of packages) {
    const text = Buffer.from(scripts.get("triggers") ?? "").toString("utf8");
    for (const [, kind, trigger = ""] of text.matchAll(/^\s*interest(-noawait|-await)?\s+(\S+)/gm)) {
      const interested = kind === "-noawait" ? `${name}/noawait` : name;
      if (trigger.startsWith("/")) onPaths.push(`${trigger} ${interested}\n`);
      else if (/^[\w.:+-]+$/.test(trigger)) byName.set(trigger, [...(byName.get(trigger) ?? []), interested]);
    }
  }
  return [
    file("triggers/File", onPaths.join("")),
    ...Array.from(byName, ([trigger, names]) =>
      file(`triggers/${trigger}`, names.map((name) => `${name}\n`).join("")),
    ),
  ];
}

function file(name: string, contents: string | Uint8Array, permissions = 0o644): DatabaseFile {
  const bytes = typeof contents === "string" ? Buffer.from(contents) : contents;
  const path = `${FOLDER}/${name}`;
  return { member: { kind: "file", path, permissions, sizeBytes: bytes.length }, bytes };
}
