import os from "node:os";
import path from "node:path";
import process from "node:process";

/** Where images of systems are kept: `$RINGFENCE_IMAGES`, else in the user's data folder by the XDG Base Directory Specification. */
export function defaultImagesFolder(): string {
  const chosen = process.env["RINGFENCE_IMAGES"];
  if (chosen !== undefined && chosen !== "") return path.resolve(chosen);
  const given = process.env["XDG_DATA_HOME"];
  const base =
    given !== undefined && path.isAbsolute(given) ? given : path.join(os.homedir(), ".local", "share");
  return path.join(base, "ringfence", "images");
}
