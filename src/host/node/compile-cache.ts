import module from "node:module";
import path from "node:path";
import { defaultCacheFolder } from "./cache-folder.ts";

/** Keeps what Node.js makes of our sources for the next start: half of the time of starting. */
export function keepCompiledSources(): void {
  try {
    module.enableCompileCache(path.join(defaultCacheFolder(), "compiled"));
  } catch {
    // Without it we start more slowly.
  }
}
