import { DISK_FORMATS, type DiskFormat } from "../disk/open-disk.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What `ringfence disk` is to do. */
export type DiskCommand = DiskAction & {
  /** Prints what the image is then, as JSON. */
  readonly json: boolean;
};

type DiskAction =
  | {
      readonly action: "create";
      readonly path: string;
      /** Undefined: that of the image below. */
      readonly sizeBytes: number | undefined;
      readonly format: DiskFormat | undefined;
      readonly backing: { readonly path: string; readonly format: DiskFormat | undefined } | undefined;
    }
  | {
      readonly action: "info";
      readonly path: string;
      readonly format: DiskFormat | undefined;
    }
  | {
      readonly action: "convert";
      readonly from: string;
      readonly fromFormat: DiskFormat | undefined;
      readonly to: string;
      readonly format: DiskFormat | undefined;
    }
  | {
      readonly action: "resize";
      readonly path: string;
      readonly format: DiskFormat | undefined;
      readonly sizeBytes: number;
      /** `sizeBytes` is added to what the disk has. */
      readonly relative: boolean;
      readonly shrink: boolean;
    };

const ACTIONS = ["create", "info", "convert", "resize"] as const;
const UNIT_BYTES: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const MOST_BYTES = 2 ** 46;

/** Reads the words of the command and its options, which are known to be ones it may have. */
export function parseDiskWords(words: readonly string[], given: ReadonlyMap<string, string>): DiskCommand {
  return { ...parseAction(words, given), json: given.has("json") };
}

function parseAction(words: readonly string[], given: ReadonlyMap<string, string>): DiskAction {
  const [name = "", first, second, third] = words;
  const action = ACTIONS.find((known) => known === name);
  const format = formatOption(given, "format");
  switch (action) {
    case "create": {
      const path = need(first, "create FILE SIZE");
      none(third);
      const below = given.get("backing");
      const backing =
        below === undefined ? undefined : { path: below, format: formatOption(given, "backing-format") };
      if (backing === undefined) need(second, `create ${path} SIZE`);
      if (backing !== undefined && (format ?? "qcow2") !== "qcow2")
        throw new UsageError("only a qcow2 image can have an image below");
      const sizeBytes = second === undefined ? undefined : parseDiskSize(second);
      return { action, path, sizeBytes, format: backing === undefined ? format : "qcow2", backing };
    }
    case "info":
      none(second);
      return { action, path: need(first, "info FILE"), format };
    case "convert": {
      none(third);
      const from = need(first, "convert FROM TO");
      const to = need(second, `convert ${from} TO`);
      return { action, from, fromFormat: formatOption(given, "from-format"), to, format };
    }
    case "resize": {
      none(third);
      const path = need(first, "resize FILE SIZE");
      const size = need(second, `resize ${path} SIZE`);
      const relative = size.startsWith("+");
      const sizeBytes = parseDiskSize(relative ? size.slice(1) : size);
      return { action, path, format, sizeBytes, relative, shrink: given.has("shrink") };
    }
    case undefined: {
      const guess = nearest(name, ACTIONS);
      const hint = guess === undefined ? `known: ${ACTIONS.join(", ")}` : `did you mean ${guess}?`;
      throw new UsageError(`unknown command disk ${name}; ${hint}`);
    }
  }
}

/** Reads the size of a disk: a number of bytes, or one with a unit, such as 20G. */
export function parseDiskSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT])?(?:i?B)?$/i.exec(text);
  const sizeBytes =
    match === null ? Number.NaN : Number(match[1]) * (UNIT_BYTES[(match[2] ?? "").toUpperCase()] ?? 1);
  if (!Number.isInteger(sizeBytes) || sizeBytes % 512 !== 0 || sizeBytes < 512 || sizeBytes > MOST_BYTES)
    throw new UsageError(
      `${text}: expected a size of whole sectors of 512 bytes, such as 512M or 20G, up to 64T`,
    );
  return sizeBytes;
}

function formatOption(given: ReadonlyMap<string, string>, name: string): DiskFormat | undefined {
  return DISK_FORMATS.find((known) => known === given.get(name));
}

function need(word: string | undefined, usage: string): string {
  if (word === undefined) throw new UsageError(`usage: ringfence disk ${usage}`);
  return word;
}

function none(word: string | undefined): void {
  if (word !== undefined) throw new UsageError(`unexpected argument "${word}"`);
}
