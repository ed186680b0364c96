import { constants, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build } from "vite";
import { prepareDefaultGuest } from "../../src/host/node/default-guest.ts";
import { OFFERED_GUEST, type OfferedGuest } from "../../src/web/protocol.ts";
import { buildCore, coreIsCurrent } from "../build-core.ts";

const ROOT = path.resolve(import.meta.dirname, "..", "..");

/** Where `npm run web` puts the page. */
export const WEB_FOLDER = path.join(ROOT, "build", "web");

/**
 * Bundles src/web and the compiled core into `folder`, which is emptied first. Any server that sends the headers of
 * serve.ts can serve it.
 */
export async function buildPage(folder: string): Promise<void> {
  const refusal = coreIsCurrent() ? undefined : buildCore();
  if (refusal !== undefined) throw new Error(`src/core does not compile:\n${refusal}`);
  await build({
    root: path.join(ROOT, "src", "web"),
    configFile: false,
    // The page may lie anywhere on its server.
    base: "./",
    logLevel: "warn",
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "esnext",
      sourcemap: true,
      chunkSizeWarningLimit: 2000,
      // No notices about how long the bundler's own plugins take.
      rolldownOptions: { checks: { pluginTimings: false } },
    },
    worker: { format: "es" },
  });
}

/**
 * Puts the default guest where the page in `folder` looks for one.
 * @throws {GuestUnavailableError} Where Debian's packages cannot be had. The page works without it.
 */
export async function addDefaultGuest(folder: string, progress: (line: string) => void): Promise<void> {
  const { kernelPath, initrdPath, commandLine } = await prepareDefaultGuest(progress);
  const manifest = path.join(folder, OFFERED_GUEST);
  const guest: OfferedGuest = {
    title: "Debian's cloud kernel with busybox",
    kernel: path.basename(kernelPath),
    initrd: path.basename(initrdPath),
    commandLine,
  };
  mkdirSync(path.dirname(manifest), { recursive: true });
  for (const file of [kernelPath, initrdPath]) {
    const copy = path.join(path.dirname(manifest), path.basename(file));
    copyFileSync(file, copy, constants.COPYFILE_FICLONE);
  }
  writeFileSync(manifest, `${JSON.stringify(guest, null, 2)}\n`);
}
