import { VmError } from "../layout/vm-error.ts";

export const MANIFEST_FILE = "manifest.json";
export const MANIFEST_FORMAT = "ringfence-image";
/** Of the manifest's members and what they mean. A reader refuses newer ones. */
export const MANIFEST_VERSION = 1;

/** A file of an image as it was when the image was made. */
export interface ImageFile {
  readonly sizeBytes: number;
  /** Its modification time in milliseconds since 1970: while size and time are these, it is taken for unchanged. */
  readonly modifiedMs: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** A disk of the machine. Machines never write the file itself but an overlay over it. */
export interface ImageDisk {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  /** What the guest reads as its serial number. */
  readonly serial: string;
}

/** What `manifest.json` in an image's folder says: everything that a machine starts from. */
export interface ImageManifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly version: number;
  readonly name: string;
  readonly description: string;
  /** ISO 8601. */
  readonly created: string;
  /** Files are named by their names in the folder. */
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly disks: readonly ImageDisk[];
  readonly network: "user" | "none";
  /** Ports of the host that lead to the guest, as `--forward` takes them. */
  readonly forwards: readonly string[];
  /** An I/O port: a byte written there ends the machine and is the exit status of `ringfence run`. */
  readonly exitStatusPort?: number;
  /** Its initial RAM disk reads the script that a second archive brings (see `givenScript`). Absent: false. */
  readonly takesCommand?: boolean;
  /** A file with what its container image says of its program (see `readContainer`), which a run may change. */
  readonly container?: string;
  readonly files: Readonly<Record<string, ImageFile>>;
}

/** An image's name: letters, digits, dots, dashes and underscores, up to 64, not beginning with a dot or a dash. */
export const IMAGE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/**
 * Reads a manifest. It may come from anywhere, so nothing in it is believed: files are plain names in the
 * image's own folder, and every value is of its type.
 *
 * @param path For messages.
 * @throws {VmError} `image-invalid`, `image-too-new`.
 */
export function parseManifest(text: string, path: string): ImageManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(path, "it is not JSON");
  }
  const top = new Fields(value, path, "the manifest");
  if (top.optional("format", "string") !== MANIFEST_FORMAT)
    throw invalid(path, `its "format" is not "${MANIFEST_FORMAT}"`);
  const version = top.whole("version");
  if (version > MANIFEST_VERSION || version < 1)
    throw new VmError({ code: "image-too-new", path, version, newestKnown: MANIFEST_VERSION });
  const initrd = top.has("initrd") ? { initrd: top.file("initrd") } : {};
  const exitStatusPort = top.has("exitStatusPort") ? { exitStatusPort: top.port("exitStatusPort") } : {};
  const takesCommand = top.has("takesCommand") ? { takesCommand: top.flag("takesCommand") } : {};
  const container = top.has("container") ? { container: top.file("container") } : {};
  const manifest: ImageManifest = {
    format: MANIFEST_FORMAT,
    version,
    name: top.text("name"),
    description: top.optional("description", "string") ?? "",
    created: top.text("created"),
    kernel: top.file("kernel"),
    ...initrd,
    commandLine: top.text("commandLine"),
    memoryBytes: top.whole("memoryBytes"),
    disks: top.list("disks").map((disk) => parseDisk(disk, path)),
    network: top.choice("network", ["user", "none"]),
    forwards: top.list("forwards").map((forward) => {
      if (typeof forward === "string") return forward;
      throw invalid(path, '"forwards" is not a list of texts');
    }),
    ...exitStatusPort,
    ...takesCommand,
    ...container,
    files: parseFiles(top.value("files"), path),
  };
  for (const file of filesOf(manifest))
    if (manifest.files[file] === undefined) throw invalid(path, `"files" says nothing of ${file}`);
  return manifest;
}

/** The names of the files that a machine starts from. */
export function filesOf({ kernel, initrd, disks, container }: ImageManifest): string[] {
  const single = [kernel, initrd, container].filter((file) => file !== undefined);
  return [...single, ...disks.map(({ file }) => file)];
}

function parseDisk(value: unknown, path: string): ImageDisk {
  const disk = new Fields(value, path, "a disk");
  const serial = disk.text("serial");
  if (!/^[\x20-\x7e]{1,20}$/.test(serial)) throw invalid(path, "a disk's serial is 1 to 20 ASCII characters");
  return { file: disk.file("file"), format: disk.choice("format", ["raw", "qcow2"]), serial };
}

function parseFiles(value: unknown, path: string): Record<string, ImageFile> {
  const files = new Fields(value, path, '"files"');
  const parsed: Record<string, ImageFile> = {};
  for (const name of files.names()) {
    const file = new Fields(files.value(name), path, `"files" on ${name}`);
    const sha256 = file.text("sha256");
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw invalid(path, `the SHA-256 of ${name} has not 64 digits`);
    parsed[name] = { sizeBytes: file.whole("sizeBytes"), modifiedMs: file.number("modifiedMs"), sha256 };
  }
  return parsed;
}

/** Members of an object that has been read from JSON, each asked for by its type. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #what: string;

  constructor(value: unknown, path: string, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw invalid(path, `${what} is not an object`);
    this.#fields = value as Record<string, unknown>;
    this.#path = path;
    this.#what = what;
  }

  names(): string[] {
    return Object.keys(this.#fields);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  value(name: string): unknown {
    return this.has(name) ? this.#fields[name] : undefined;
  }

  optional(name: string, type: "string"): string | undefined {
    const value = this.value(name);
    return typeof value === type ? (value as string) : undefined;
  }

  text(name: string): string {
    return this.optional(name, "string") ?? this.#refuse(name, "a text");
  }

  number(name: string): number {
    const value = this.value(name);
    return typeof value === "number" && Number.isFinite(value) ? value : this.#refuse(name, "a number");
  }

  whole(name: string): number {
    const value = this.number(name);
    return Number.isSafeInteger(value) && value >= 0 ? value : this.#refuse(name, "a whole number");
  }

  port(name: string): number {
    const value = this.whole(name);
    return value <= 0xffff ? value : this.#refuse(name, "an I/O port up to 65535");
  }

  flag(name: string): boolean {
    const value = this.value(name);
    return typeof value === "boolean" ? value : this.#refuse(name, "true or false");
  }

  list(name: string): unknown[] {
    const value = this.value(name);
    return Array.isArray(value) ? value : this.#refuse(name, "a list");
  }

  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.value(name);
    return choices.find((choice) => choice === value) ?? this.#refuse(name, `one of ${choices.join(", ")}`);
  }

  /** A file in the image's own folder; no path leads out of it. */
  file(name: string): string {
    const value = this.text(name);
    return IMAGE_NAME.test(value) ? value : this.#refuse(name, "the name of a file in the image's folder");
  }

  #refuse(name: string, expected: string): never {
    throw invalid(this.#path, `${this.#what} has no "${name}" that is ${expected}`);
  }
}

function invalid(path: string, reason: string): VmError {
  return new VmError({ code: "image-invalid", path, reason });
}
