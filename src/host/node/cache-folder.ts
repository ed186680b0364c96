import os from "node:os";
import path from "node:path";
import process from "node:process";

/** Ringfence's folder for what can be made again, by the XDG Base Directory Specification. */
export function defaultCacheFolder(): string {
  const given = process.env["XDG_CACHE_HOME"];
  const base = given !== undefined && path.isAbsolute(given) ? given : path.join(os.homedir(), ".cache");
  return path.join(base, "ringfence");
}
