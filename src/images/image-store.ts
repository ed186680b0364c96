import {
  existsSync,
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
import { defaultImagesFolder } from "../host/node/data-folder.ts";
import { FileStore } from "../host/node/file-store.ts";
import { systemErrorCode, systemErrorText } from "../host/node/files.ts";
import { removeOnSignal } from "../host/node/remove-on-signal.ts";
import { VmError } from "../layout/vm-error.ts";
import { describeFile } from "./image-files.ts";
import {
  filesOf,
  IMAGE_NAME,
  type ImageManifest,
  MANIFEST_FILE,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  parseManifest,
} from "./image-manifest.ts";

/** An image that is there. */
export interface StoredImage {
  readonly folder: string;
  readonly manifest: ImageManifest;
}

/** What `ImageStore.list` finds under a name: an image, or what is wrong with it. */
export type ListedImage =
  | ({ readonly name: string; readonly bytesOnDisk: number } & StoredImage)
  | { readonly name: string; readonly error: VmError };

/** What a maker says of a new image; the store adds the rest. */
export type NewImage = Omit<ImageManifest, "format" | "version" | "name" | "created" | "files">;

const MOST_MANIFEST_BYTES = 1 << 20;

/** The user's images: a folder of folders, each with a manifest. */
export class ImageStore {
  readonly folder: string;

  constructor(folder: string = defaultImagesFolder()) {
    this.folder = folder;
  }

  /** Everything in the folder, in the order of names. */
  list(): ListedImage[] {
    return this.#names().map((name) => {
      const folder = path.join(this.folder, name);
      try {
        return { name, folder, manifest: readManifest(folder), bytesOnDisk: bytesOnDisk(folder) };
      } catch (error) {
        if (error instanceof VmError) return { name, error };
        throw error;
      }
    });
  }

  /**
   * The image of this name; with a slash in it, the one in this folder.
   * @throws {VmError} `image-not-found`, `image-invalid`, `image-too-new`.
   */
  open(name: string): StoredImage {
    const folder = this.#folderOf(name);
    return { folder, manifest: readManifest(folder) };
  }

  /** Removes an image with the changes that machines made to its disks. @throws {VmError} `image-not-found`, `file-locked`. */
  async remove(name: string): Promise<void> {
    const folder = this.#folderOf(name);
    await refuseIfInUse(folder);
    rmSync(folder, { recursive: true, force: true });
  }

  /** @throws {VmError} `option-invalid`, `image-exists`. */
  checkNew(name: string): void {
    if (!IMAGE_NAME.test(name)) {
      const expected = "a name of up to 64 letters, digits, dots, dashes and underscores, such as debian";
      throw new VmError({ code: "option-invalid", option: "--name", value: name, expected });
    }
    if (existsSync(path.join(this.folder, name))) throw new VmError({ code: "image-exists", name });
  }

  /**
   * Makes an image: `make` fills a new folder and says what is in it. The image appears whole or not at all.
   * @throws {VmError} `option-invalid`, `image-exists`, `file-unwritable`, and what `make` throws.
   */
  async create(name: string, make: (folder: string) => Promise<NewImage>): Promise<StoredImage> {
    this.checkNew(name);
    const staging = this.#makeStaging(name);
    const keep = removeOnSignal(staging);
    try {
      const made = await make(staging);
      const partial = { ...made, format: MANIFEST_FORMAT, version: MANIFEST_VERSION, name } as const;
      const manifest: ImageManifest = {
        ...partial,
        created: new Date().toISOString(),
        files: await describeFiles(staging, filesOf({ ...partial, created: "", files: {} })),
      };
      writeFileSync(path.join(staging, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
      const folder = path.join(this.folder, name);
      this.checkNew(name);
      renameSync(staging, folder);
      return { folder, manifest };
    } catch (cause) {
      // The host's disk is full, for one.
      if (systemErrorCode(cause) === undefined) throw cause;
      throw new VmError({ code: "image-not-made", reason: systemErrorText(cause) }, { cause });
    } finally {
      keep();
      rmSync(staging, { recursive: true, force: true });
    }
  }

  #folderOf(name: string): string {
    const inStore = !name.includes("/");
    const folder = inStore ? path.join(this.folder, name) : path.resolve(name);
    const isThere = (!inStore || IMAGE_NAME.test(name)) && existsSync(path.join(folder, MANIFEST_FILE));
    if (isThere) return folder;
    throw new VmError({ code: "image-not-found", name, known: inStore ? this.#names() : [] });
  }

  #names(): string[] {
    try {
      const members = readdirSync(this.folder, { withFileTypes: true });
      return members
        .filter((member) => member.isDirectory() && IMAGE_NAME.test(member.name))
        .map(({ name }) => name)
        .sort();
    } catch (cause) {
      if (systemErrorCode(cause) === "ENOENT") return [];
      throw new VmError(
        { code: "file-unreadable", path: this.folder, reason: systemErrorText(cause) },
        { cause },
      );
    }
  }

  /** A folder whose name is no image's, on the same file system. */
  #makeStaging(name: string): string {
    try {
      mkdirSync(this.folder, { recursive: true });
      return mkdtempSync(path.join(this.folder, `.${name}.making-`));
    } catch (cause) {
      const reason = systemErrorText(cause);
      throw new VmError({ code: "file-unwritable", path: this.folder, reason }, { cause });
    }
  }
}

function readManifest(folder: string): ImageManifest {
  const file = path.join(folder, MANIFEST_FILE);
  let text: string;
  try {
    if (statSync(file).size > MOST_MANIFEST_BYTES)
      throw new VmError({ code: "image-invalid", path: file, reason: "it is larger than 1 MiB" });
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    const reason = systemErrorText(cause);
    throw new VmError({ code: "image-invalid", path: file, reason }, { cause });
  }
  return parseManifest(text, file);
}

async function describeFiles(
  folder: string,
  names: readonly string[],
): Promise<Record<string, ImageManifest["files"][string]>> {
  const files: Record<string, ImageManifest["files"][string]> = {};
  for (const name of names) files[name] = await describeFile(path.join(folder, name));
  return files;
}

/** A machine holds the disks of its image open, and what is open for reading cannot be opened for writing. */
async function refuseIfInUse(folder: string): Promise<void> {
  let manifest: ImageManifest;
  try {
    manifest = readManifest(folder);
  } catch {
    return; // what cannot be started is not in use
  }
  for (const { file } of manifest.disks) {
    const disk = path.join(folder, file);
    if (existsSync(disk)) await (await FileStore.open(disk, { readOnly: false })).close();
  }
}

function bytesOnDisk(folder: string): number {
  const members = readdirSync(folder, { recursive: true, withFileTypes: true });
  return members
    .filter((member) => member.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).blocks * 512, 0);
}
