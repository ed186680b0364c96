import { readFileSync } from "node:fs";
import path from "node:path";
import type { CpioEntry } from "../cpio.ts";

/**
 * Linux modules for an initial RAM disk, with the indexes by which `modprobe`
 * finds them. Debian's package has none: they are made where it is installed.
 */
export function moduleEntries(modulePaths: readonly string[]): CpioEntry[] {
  const modules = modulePaths.map((file) => {
    const bytes = readFileSync(file);
    return { name: path.basename(file), bytes, info: moduleInfo(bytes) };
  });
  const release = modules[0]?.info.get("vermagic")?.[0]?.split(" ")[0];
  if (release === undefined) return [];
  const byName = new Map(modules.map((module) => [moduleName(module.name), module]));
  const dependenciesOf = (name: string): string[] => {
    const direct = (byName.get(name)?.info.get("depends")?.[0] ?? "").split(",").map(moduleName);
    const present = direct.filter((other) => byName.has(other));
    return present.flatMap((other) => [other, ...dependenciesOf(other)]);
  };
  const dependencyLines = modules.map(({ name }) => {
    // What something needs stands behind it, so the last of several places counts.
    const order = [...new Set(dependenciesOf(moduleName(name)).reverse())].reverse();
    const files = order.map((other) => byName.get(other)?.name);
    return `${name}: ${files.join(" ")}`.trimEnd();
  });
  const aliasLines = modules.flatMap(({ name, info }) =>
    (info.get("alias") ?? []).map((alias) => `alias ${alias} ${moduleName(name)}`),
  );
  const folder = `lib/modules/${release}`;
  const text = (lines: string[]) => new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
  return [
    ...["lib", "lib/modules", folder].map((folderPath): CpioEntry => ({ kind: "folder", path: folderPath })),
    ...modules.map(({ name, bytes }): CpioEntry => ({ kind: "file", path: `${folder}/${name}`, bytes })),
    { kind: "file", path: `${folder}/modules.dep`, bytes: text(dependencyLines) },
    { kind: "file", path: `${folder}/modules.alias`, bytes: text(aliasLines) },
  ];
}

/** A file's module by its name inside the kernel. */
function moduleName(file: string): string {
  return file.replace(/\.ko$/, "").replaceAll("-", "_");
}

/** The "name=value" strings of a module's section .modinfo. */
function moduleInfo(bytes: Uint8Array): Map<string, string[]> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const info = new Map<string, string[]>();
  for (const [, name = "", value = ""] of text.matchAll(/(?<=\0)(alias|depends|vermagic)=([^\0]*)(?=\0)/g))
    info.set(name, [...(info.get(name) ?? []), value]);
  return info;
}
