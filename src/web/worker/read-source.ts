import { VmError } from "../../layout/vm-error.ts";
import type { GuestSource } from "../protocol.ts";

/**
 * Reads the whole of a kernel, an initial RAM disk or a module of ours.
 * @throws {VmError} `file-not-found`, `file-unreadable`.
 */
export async function readSource(source: GuestSource): Promise<Uint8Array<ArrayBuffer>> {
  return source.from === "file" ? readFile(source.file, source.name) : readAddress(source.url);
}

async function readFile(file: Blob, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return notEmpty(name, await file.arrayBuffer());
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    // A file that has been changed or removed since it was chosen ends up here too.
    throw unreadable(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function readAddress(url: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    // Browsers keep the reason from scripts: a refused connection and a missing header look the same.
    const reason =
      new URL(url, location.href).origin === location.origin
        ? "the server does not answer"
        : "the server does not answer, or does not allow other sites to read it (CORS)";
    throw unreadable(url, reason, cause);
  }
  if (response.status === 404) throw new VmError({ code: "file-not-found", path: url });
  if (!response.ok) throw unreadable(url, `the server says ${response.status} ${response.statusText}`.trim());
  try {
    return notEmpty(url, await response.arrayBuffer());
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw unreadable(url, "the connection broke", cause);
  }
}

function notEmpty(path: string, buffer: ArrayBuffer): Uint8Array<ArrayBuffer> {
  if (buffer.byteLength === 0) throw unreadable(path, "it is empty");
  return new Uint8Array(buffer);
}

function unreadable(path: string, reason: string, cause?: unknown): VmError {
  return new VmError({ code: "file-unreadable", path, reason }, { cause });
}
