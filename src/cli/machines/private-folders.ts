import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { systemErrorText } from "../../host/node/files.ts";
import { VmError } from "../../layout/vm-error.ts";

/**
 * The folder of what lives as long as a machine's process: sockets. By the XDG Base Directory Specification; where the
 * system has none, one of this user's below the folder for temporary files. Nobody else may look into it.
 * @throws {VmError} `file-unwritable`.
 */
export function runtimeFolder(): string {
  const given = process.env["XDG_RUNTIME_DIR"];
  const folder =
    given !== undefined && path.isAbsolute(given)
      ? path.join(given, "ringfence")
      : path.join(os.tmpdir(), `ringfence-${os.userInfo().username.replace(/\W/g, "_")}`);
  return makePrivate(folder);
}

/** The folder of logs of serial consoles. @throws {VmError} `file-unwritable`. */
export function logFolder(): string {
  const given = process.env["XDG_STATE_HOME"];
  const base =
    given !== undefined && path.isAbsolute(given) ? given : path.join(os.homedir(), ".local", "state");
  return makePrivate(path.join(base, "ringfence", "logs"));
}

function makePrivate(folder: string): string {
  const refuse = (reason: string, cause?: unknown) =>
    new VmError({ code: "file-unwritable", path: folder, reason }, { cause });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (process.platform === "win32") return folder;
    const status = lstatSync(folder);
    // In a folder for everybody, somebody else may have been there first.
    if (!status.isDirectory()) throw refuse("it is no folder; remove it");
    if (status.uid !== process.getuid?.()) throw refuse("it belongs to another user; set XDG_RUNTIME_DIR");
    if ((status.mode & 0o077) !== 0) chmodSync(folder, 0o700);
    return folder;
  } catch (cause) {
    throw cause instanceof VmError ? cause : refuse(systemErrorText(cause), cause);
  }
}
