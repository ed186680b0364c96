import { folderName } from "../host/node/files.ts";
import {
  EXPECTED_TAG,
  isShareTag,
  SHARE_PROTOCOLS,
  type ShareProtocol,
  shareTag,
} from "../virtio/sharing/share.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What `--share` asks for. */
export interface ShareOption {
  readonly path: string;
  /** By which the guest mounts it. */
  readonly tag: string;
  readonly protocol: ShareProtocol;
  readonly readOnly: boolean;
  /** Passes extended attributes. */
  readonly xattrs: boolean;
  /** As whom the guest sees files of the user who runs this process. Undefined: root, or all owners as they are where root runs it. */
  readonly owner: { readonly owner: number; readonly group: number } | undefined;
}

const SWITCHES = ["readonly", "xattrs"];
const SETTINGS = ["tag", "protocol", "readonly", "owner", "xattrs"] as const;
const MOST_ID = 0xffff_fffe;

/** Reads all `--share` options. */
export function parseShares(texts: readonly string[] = []): ShareOption[] {
  const shares = texts.map(parseShare);
  for (const [index, { tag }] of shares.entries()) {
    if (shares.findIndex((other) => other.tag === tag) === index) continue;
    throw new UsageError(`--share ${texts[index]}: the tag ${tag} is taken; give another with tag=NAME`);
  }
  return shares;
}

/** Reads `PATH[,tag=NAME][,protocol=virtiofs|9p][,readonly][,owner=UID:GID][,xattrs]`. A comma in the path is written twice. */
function parseShare(text: string): ShareOption {
  const [folder = "", ...settings] = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(",,", ","));
  if (folder === "") throw new UsageError(`--share ${text}: no folder is named`);
  let tag = shareTag(folderName(folder));
  let protocol: ShareProtocol = "virtiofs";
  const switches = new Set<string>();
  let owner: ShareOption["owner"];
  for (const setting of settings) {
    const [name = "", value] = setting.split(/=(.*)/s);
    if (name === "tag") tag = parseTag(text, value);
    else if (name === "protocol") protocol = parseProtocol(text, value);
    else if (name === "owner") owner = parseOwner(text, value);
    else if (SWITCHES.includes(name) && value === undefined) switches.add(name);
    else throw unknownSetting(text, setting, name);
  }
  const [readOnly, xattrs] = SWITCHES.map((name) => switches.has(name)) as [boolean, boolean];
  return { path: folder, tag, protocol, readOnly, xattrs, owner };
}

function parseTag(text: string, value: string | undefined): string {
  if (value !== undefined && isShareTag(value)) return value;
  throw new UsageError(`--share ${text}: tag is ${EXPECTED_TAG}`);
}

function parseProtocol(text: string, value: string | undefined): ShareProtocol {
  const protocol = SHARE_PROTOCOLS.find((known) => known === value);
  if (protocol === undefined)
    throw new UsageError(`--share ${text}: protocol is one of ${SHARE_PROTOCOLS.join(", ")}`);
  return protocol;
}

function parseOwner(text: string, value: string | undefined): { owner: number; group: number } {
  const [, user, group] = /^(\d{1,10}):(\d{1,10})$/.exec(value ?? "") ?? [];
  const ids = { owner: Number(user ?? Number.NaN), group: Number(group ?? Number.NaN) };
  if (ids.owner <= MOST_ID && ids.group <= MOST_ID) return ids;
  throw new UsageError(`--share ${text}: owner is the guest's UID:GID, such as 1000:1000`);
}

function unknownSetting(text: string, setting: string, name: string): UsageError {
  const guess = nearest(name, SETTINGS);
  const hint = guess === undefined ? `known: ${SETTINGS.join(", ")}` : `did you mean ${guess}?`;
  return new UsageError(`--share ${text}: unknown option ${setting}; ${hint}`);
}
