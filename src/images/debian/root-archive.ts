import { readFileSync } from "node:fs";
import path from "node:path";
import { TarWriter } from "../tar-writer.ts";
import type { DownloadedPackages } from "./debian-packages.ts";
import { dpkgDatabase, informationName } from "./dpkg-database.ts";
import { MERGED_FOLDERS, unpackPackage } from "./unpack-package.ts";

/** In the archive and gone when the image is finished: what the builder works with. */
export const WORK_FOLDER = "ringfence-build";

/**
 * Writes the archive that the builder unpacks as the image's root file system: the base system as dpkg would have
 * unpacked it, the packages to install into it, and the kernel's modules.
 *
 * @param systemFiles Contents of files that belong to no package, by path.
 */
export async function writeRootArchive(
  target: string,
  packages: DownloadedPackages,
  systemFiles: Readonly<Record<string, string>>,
  progress: (done: number, total: number) => void,
): Promise<void> {
  const { base, included, kernel } = packages;
  const archive = new TarWriter(target);
  const scratch = `${target}.part`;
  try {
    for (const folder of MERGED_FOLDERS) {
      archive.begin({ kind: "directory", path: `usr/${folder}` });
      archive.begin({ kind: "symlink", path: folder, target: `usr/${folder}` });
    }
    const unpacked = [];
    for (const [index, deb] of base.entries()) {
      progress(index, base.length);
      unpacked.push(await unpackPackage(deb, archive, scratch));
    }
    for (const { member, bytes } of dpkgDatabase(unpacked)) {
      archive.begin(member);
      archive.data(bytes);
    }
    const scripted = unpacked.filter(({ scripts }) => scripts.has("preinst"));
    const first = scripted.map((one) => `${one.name} ${informationName(one)}\n`).join("");
    archive.begin({ kind: "directory", path: WORK_FOLDER, permissions: 0o700 });
    archive.file(`${WORK_FOLDER}/preinst`, Buffer.from(first));
    for (const deb of included) archive.file(`${WORK_FOLDER}/${path.basename(deb)}`, readFileSync(deb));
    await unpackPackage(kernel, archive, scratch);
    for (const [file, text] of Object.entries(systemFiles)) {
      addFolders(archive, file);
      archive.file(file, Buffer.from(text));
    }
    archive.close();
  } catch (error) {
    archive.abandon();
    throw error;
  }
}

function addFolders(archive: TarWriter, file: string): void {
  const parts = file.split("/").slice(0, -1);
  for (const index of parts.keys())
    archive.begin({ kind: "directory", path: parts.slice(0, index + 1).join("/") });
}
