import process from "node:process";
import { FolderError } from "../../linux-errors.ts";

/** What users and groups that the guest has no name for appear as. */
const NOBODY = 65534;

/** As whom the guest sees the files of whoever runs this process. */
export interface OwnerChoice {
  readonly owner: number;
  readonly group: number;
}

/** How owners of files pass between host and guest. */
export interface OwnerMap {
  /** Files that are made belong to the guest's user who made them. */
  readonly keepsOwners: boolean;
  toGuest(owner: number, group: number): { owner: number; group: number };
  /** @throws {FolderError} EPERM for an owner that the host would not allow. */
  toHost(owner: number, group: number): { owner: number; group: number };
}

/** Chooses how: root of the host passes owners as they are; an ordinary user appears as `choice`, and nobody else can be named. */
export function ownerMap(choice: OwnerChoice | undefined): OwnerMap {
  const owner = process.geteuid?.() ?? 0;
  const group = process.getegid?.() ?? 0;
  if (owner === 0 && choice === undefined && process.geteuid !== undefined) return unchanged;
  return squashed({ owner, group }, choice ?? { owner: 0, group: 0 });
}

const unchanged: OwnerMap = {
  keepsOwners: true,
  toGuest: (owner, group) => ({ owner, group }),
  toHost: (owner, group) => ({ owner, group }),
};

function squashed(host: OwnerChoice, guest: OwnerChoice): OwnerMap {
  return {
    keepsOwners: false,
    toGuest: (owner, group) => ({
      owner: owner === host.owner ? guest.owner : NOBODY,
      group: group === host.group ? guest.group : NOBODY,
    }),
    toHost: (owner, group) => {
      if (owner !== guest.owner || group !== guest.group) throw new FolderError("EPERM");
      return host;
    },
  };
}
