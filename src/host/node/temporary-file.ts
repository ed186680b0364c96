import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** Calls `use` with a path in a new folder, which is removed afterwards with all that is in it. */
export async function withTemporaryPath<T>(name: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "ringfence-"));
  try {
    return await use(path.join(folder, name));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
