/** Whom the entry point runs as, in numbers. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Account files of an image, "" where it has none. */
export interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Whom a container's configuration means: "", USER, UID, USER:GROUP, UID:GID and mixtures (OCI image-spec,
 * config.md). Undefined: the image knows no such user or group.
 */
export function resolveUser(user: string, { passwd, group }: Accounts): ContainerUser | undefined {
  const [who = "", groupName] = user.split(":", 2);
  const accounts = passwd.split("\n").map((line) => line.split(":"));
  const account =
    accounts.find(([name]) => name === who) ?? accounts.find(([, , uid]) => uid === (who === "" ? "0" : who));
  const uid = identity(account?.[2]) ?? (who === "" ? 0 : identity(who));
  const gid = groupName ? groupOf(groupName, group) : (identity(account?.[3]) ?? 0);
  if (uid === undefined || gid === undefined) return undefined;
  return { uid, gid, home: account?.[5] || (uid === 0 ? "/root" : "/") };
}

function groupOf(name: string, group: string): number | undefined {
  const groups = group.split("\n").map((line) => line.split(":"));
  return identity(groups.find(([known]) => known === name)?.[2]) ?? identity(name);
}

function identity(text: string | undefined): number | undefined {
  const value = /^\d{1,10}$/.test(text ?? "") ? Number(text) : Number.NaN;
  return value < 2 ** 32 - 1 ? value : undefined;
}
