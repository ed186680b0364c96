import { accessSync, constants, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { GuestCache } from "../../src/host/node/guest-cache.ts";
import { PackageClient } from "../../src/host/node/package-client.ts";

/** A Chromium to test with, or why there is none. */
export type Chromium =
  | {
      readonly available: true;
      readonly executablePath: string;
      readonly environment: Record<string, string>;
    }
  | { readonly available: false; readonly reason: string };

const NAMES = [
  "chromium",
  "chromium-headless-shell",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
];
const PACKAGE = "chromium-headless-shell";
/** Changes when the same packages must be unpacked again. */
const RECIPE = "chromium-1";
/** Where libraries lie in Debian's packages for this processor. */
const LIBRARIES = ["lib", "usr/lib"].map((folder) => `${folder}/x86_64-linux-gnu`);
/** The C library must fit to the system's dynamic linker, so it is the system's. */
const NEVER_UNPACKED = ["libc6"];

/** Looks on PATH first; then takes Debian's headless shell and the libraries this system lacks, without installing. */
export async function findChromium(): Promise<Chromium> {
  const installed = NAMES.flatMap(onPath)[0];
  if (installed !== undefined) return { available: true, executablePath: installed, environment: {} };
  if (process.platform !== "linux" || process.arch !== "x64") {
    return { available: false, reason: "there is no Chromium on PATH" };
  }
  try {
    return await unpackedChromium(new GuestCache());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { available: false, reason: `there is no Chromium on PATH, and no package of it: ${why}` };
  }
}

function onPath(name: string): string[] {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter(path.isAbsolute);
  return folders.map((folder) => path.join(folder, name)).filter(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

async function unpackedChromium(cache: GuestCache): Promise<Chromium> {
  const root = await cache.ensure(PACKAGE, RECIPE, async (staging) => {
    const client = new PackageClient(path.join(cache.folder, "apt"), () => {});
    const downloads = path.join(staging, "downloads");
    mkdirSync(downloads);
    for (const name of await client.missing(PACKAGE)) {
      if (NEVER_UNPACKED.includes(name)) continue;
      await client.unpack(await client.download(name, downloads), staging, ["./*"]);
    }
    rmSync(downloads, { recursive: true });
  });
  return {
    available: true,
    executablePath: path.join(root, "usr", "lib", "chromium", PACKAGE),
    environment: {
      LD_LIBRARY_PATH: LIBRARIES.flatMap((folder) => [folder, `${folder}/pulseaudio`])
        .map((folder) => path.join(root, folder))
        .join(":"),
      FONTCONFIG_FILE: writeFontSettings(cache.folder, root),
    },
  };
}

/** Lets fonts be found that are unpacked and not installed. */
function writeFontSettings(folder: string, root: string): string {
  const file = path.join(folder, `${PACKAGE}-fonts.conf`);
  const directories = [path.join(root, "usr/share/fonts"), "/usr/share/fonts"];
  const list = directories.map((directory) => `<dir>${directory}</dir>`).join("");
  const own = path.join(folder, `${PACKAGE}-fonts-cache`);
  writeFileSync(file, `<?xml version="1.0"?><fontconfig>${list}<cachedir>${own}</cachedir></fontconfig>\n`);
  return file;
}
