import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { VmError } from "../../layout/vm-error.ts";
import { defaultCacheFolder } from "./cache-folder.ts";
import { systemErrorText } from "./files.ts";

const MANIFEST = "manifest.json";

interface Manifest {
  /** Names how the files were made; another recipe makes them anew. */
  readonly recipe: string;
  readonly files: Readonly<Record<string, { readonly sizeBytes: number; readonly sha256: string }>>;
}

/**
 * Folders of files that are slow to make. A folder appears whole or not at all,
 * with a manifest of its files' sizes and hashes; one that does not match its
 * manifest is made again.
 */
export class GuestCache {
  readonly folder: string;

  constructor(folder: string = defaultCacheFolder()) {
    this.folder = folder;
  }

  /** Returns the folder `name`, which `make` has filled, now or in an earlier process. */
  async ensure(name: string, recipe: string, make: (folder: string) => Promise<void>): Promise<string> {
    const wanted = path.join(this.folder, name);
    if (isIntact(wanted, recipe)) return wanted;
    const staging = this.#makeStaging(name);
    try {
      await make(staging);
      writeManifest(staging, recipe);
      this.#install(staging, wanted, recipe);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
    return wanted;
  }

  #makeStaging(name: string): string {
    try {
      mkdirSync(this.folder, { recursive: true });
      return mkdtempSync(path.join(this.folder, `${name}.making-`));
    } catch (cause) {
      throw new VmError(
        { code: "file-unwritable", path: this.folder, reason: systemErrorText(cause) },
        { cause },
      );
    }
  }

  /** A rename puts the folder into place; when another process was faster with the same, its folder is taken. */
  #install(staging: string, wanted: string, recipe: string): void {
    for (let attempt = 0; ; attempt++) {
      rmSync(wanted, { recursive: true, force: true });
      try {
        renameSync(staging, wanted);
        return;
      } catch (cause) {
        if (isIntact(wanted, recipe)) return;
        if (attempt < 3) continue;
        throw new VmError(
          { code: "file-unwritable", path: wanted, reason: systemErrorText(cause) },
          { cause },
        );
      }
    }
  }
}

/** True when the folder holds what its manifest promises, made by this recipe. */
function isIntact(folder: string, recipe: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(path.join(folder, MANIFEST), "utf8")) as Manifest;
    if (manifest.recipe !== recipe) return false;
    return Object.entries(manifest.files).every(([name, { sizeBytes, sha256 }]) => {
      const file = path.join(folder, name);
      return statSync(file).size === sizeBytes && hashOf(file) === sha256;
    });
  } catch {
    // Absent, half-made, or not ours: whatever it is, it is made again.
    return false;
  }
}

function writeManifest(folder: string, recipe: string): void {
  const members = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = Object.fromEntries(
    members
      .filter((member) => member.isFile())
      .map((member) => {
        const file = path.join(member.parentPath, member.name);
        return [path.relative(folder, file), { sizeBytes: statSync(file).size, sha256: hashOf(file) }];
      }),
  );
  const manifest: Manifest = { recipe, files };
  writeFileSync(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

function hashOf(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
