import { DISK_FORMATS, type DiskFormat } from "../disk/open-disk.ts";
import type { DiskFile } from "../host/node/guest-disk.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What `--disk` asks for. */
export interface DiskOption extends DiskFile {
  readonly serial: string | undefined;
}

const SETTINGS = ["format", "readonly", "snapshot", "serial"] as const;
const SERIAL_BYTES = 20;

/** Reads `FILE[,format=raw|qcow2][,readonly][,snapshot][,serial=TEXT]`. A comma in the name is written twice. */
export function parseDisk(text: string): DiskOption {
  const [path = "", ...settings] = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(",,", ","));
  if (path === "") throw new UsageError(`--disk ${text}: no file is named`);
  let format: DiskFormat | undefined;
  let serial: string | undefined;
  const switches = new Set<string>();
  for (const setting of settings) {
    const [name = "", value] = setting.split(/=(.*)/s);
    if (name === "format") format = parseFormat(text, value);
    else if (name === "serial") serial = parseSerialNumber(text, value);
    else if ((name === "readonly" || name === "snapshot") && value === undefined) switches.add(name);
    else throw unknownSetting(text, setting, name);
  }
  if (switches.size === 2) throw new UsageError(`--disk ${text}: readonly and snapshot exclude each other`);
  return { path, format, readOnly: switches.has("readonly"), snapshot: switches.has("snapshot"), serial };
}

function parseFormat(text: string, value: string | undefined): DiskFormat {
  const format = DISK_FORMATS.find((known) => known === value);
  if (format === undefined)
    throw new UsageError(`--disk ${text}: format is one of ${DISK_FORMATS.join(", ")}`);
  return format;
}

function parseSerialNumber(text: string, value: string | undefined): string {
  if (value !== undefined && /^[\x20-\x7e]+$/.test(value) && value.length <= SERIAL_BYTES) return value;
  throw new UsageError(`--disk ${text}: serial is 1 to ${SERIAL_BYTES} ASCII characters`);
}

function unknownSetting(text: string, setting: string, name: string): UsageError {
  const guess = nearest(name, SETTINGS);
  const hint = guess === undefined ? `known: ${SETTINGS.join(", ")}` : `did you mean ${guess}?`;
  return new UsageError(`--disk ${text}: unknown option ${setting}; ${hint}`);
}
