import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { requireSuccess } from "../../host/node/package-client.ts";
import { runProgram } from "../../host/node/run-program.ts";
import { TAR_TYPES } from "../../host/tar/tar-header.ts";
import { VmError } from "../../layout/vm-error.ts";
import { readTar, type TarEntry, wholeContents } from "../tar-reader.ts";
import type { TarMember, TarWriter } from "../tar-writer.ts";
import { configurationPaths, type UnpackedPackage } from "./dpkg-database.ts";

/** Folders that are links into /usr in every Debian since 12. */
export const MERGED_FOLDERS = ["bin", "sbin", "lib", "lib64"];
/** Control files are small. */
const MOST_CONTROL_BYTES = 16 << 20;

/**
 * Adds what a package holds to the archive of a root file system, where /bin and the like are links into /usr.
 * @param scratch A path for a file that is gone afterwards.
 */
export async function unpackPackage(
  deb: string,
  archive: TarWriter,
  scratch: string,
): Promise<UnpackedPackage> {
  const scripts = new Map<string, Uint8Array>();
  await readPart(deb, "--ctrl-tarfile", scratch, async (entry) => {
    if (entry.type !== "file") return;
    if (entry.sizeBytes > MOST_CONTROL_BYTES) throw damaged(deb, `${entry.name} is too large`);
    scripts.set(entry.name.replace(/^(\.\/)+/, ""), await wholeContents(entry));
  });
  const control = Buffer.from(scripts.get("control") ?? "").toString("utf8");
  const name = /^Package: *(\S+)/m.exec(control)?.[1];
  if (name === undefined) throw damaged(deb, "it does not say which package it is");
  const wanted = new Set(configurationPaths(Buffer.from(scripts.get("conffiles") ?? "").toString("utf8")));
  const configuration = new Map<string, string>();
  const paths: string[] = [];
  await readPart(deb, "--fsys-tarfile", scratch, async (entry) => {
    const path = entry.name.replace(/^(\.\/)+|\/+$/g, "");
    paths.push(path === "" || path === "." ? "/." : `/${path}`);
    const md5 = wanted.has(`/${path}`) ? createHash("md5") : undefined;
    await copyEntry(entry, archive, path, md5 && ((bytes) => md5.update(bytes)));
    if (md5 !== undefined) configuration.set(`/${path}`, md5.digest("hex"));
  });
  return { name, control, scripts, paths, configuration };
}

async function copyEntry(
  entry: TarEntry,
  archive: TarWriter,
  path: string,
  hash: ((bytes: Uint8Array) => void) | undefined,
): Promise<void> {
  // The archive has these already.
  if (path === "" || path === "." || MERGED_FOLDERS.includes(path)) return;
  if (!Object.hasOwn(TAR_TYPES, entry.type)) throw new Error(`a member of type ${entry.type} in a package`);
  const kind = entry.type as TarMember["kind"];
  const target = kind === "link" ? mergedPath(entry.target.replace(/^(\.\/)+/, "")) : entry.target;
  const { permissions, owner, group, modified } = entry;
  const sizeBytes = kind === "file" ? entry.sizeBytes : 0;
  archive.begin({ kind, path: mergedPath(path), target, permissions, owner, group, modified, sizeBytes });
  if (kind !== "file") return;
  for await (const bytes of entry.contents()) {
    archive.data(bytes);
    hash?.(bytes);
  }
}

/** Where a path lies when /bin is a link to /usr/bin. */
function mergedPath(path: string): string {
  const [first = ""] = path.split("/", 1);
  return MERGED_FOLDERS.includes(first) ? `usr/${path}` : path;
}

async function readPart(
  deb: string,
  option: string,
  scratch: string,
  take: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  try {
    requireSuccess("dpkg-deb", await runProgram("dpkg-deb", [option, deb], { stdoutPath: scratch }));
    await readTar(createReadStream(scratch, { highWaterMark: 1 << 20 }), take);
  } finally {
    rmSync(scratch, { force: true });
  }
}

function damaged(deb: string, reason: string): VmError {
  return new VmError({ code: "image-not-made", reason: `${deb}: ${reason}` });
}
