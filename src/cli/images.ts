import process from "node:process";
import { readContainer } from "../images/container/kept-container.ts";
import { shellWord } from "../images/container/shell-word.ts";
import { checkFiles } from "../images/image-files.ts";
import { ImageStore, type ListedImage, type StoredImage } from "../images/image-store.ts";
import { EXIT_POWERED_OFF } from "./exit-codes.ts";
import type { ImageCommand } from "./image-command.ts";
import { imageAsJson } from "./image-json.ts";

/** `ringfence pull`, `import`, `images`, `inspect` and `rm`. */
export async function runImageCommand(command: ImageCommand): Promise<number> {
  const store = new ImageStore();
  switch (command.action) {
    case "pull": {
      const { pull } = await import("./pull.ts");
      await pull(command, store);
      break;
    }
    case "import": {
      const { importImage } = await import("./import.ts");
      await importImage(command, store);
      break;
    }
    case "images":
      process.stdout.write(listImages(store.list(), command));
      break;
    case "inspect": {
      const image = store.open(command.name);
      if (command.verify) await checkFiles(image.folder, image.manifest, true);
      process.stdout.write(command.json ? imageAsJson(image) : asText(image, command.verify));
      break;
    }
    case "rm":
      for (const name of command.names) store.open(name);
      for (const name of command.names) await store.remove(name);
      if (command.json) process.stdout.write(`${JSON.stringify({ removed: command.names })}\n`);
  }
  return EXIT_POWERED_OFF;
}

function listImages(
  images: readonly ListedImage[],
  { json, quiet }: { json: boolean; quiet: boolean },
): string {
  if (json) return listAsJson(images);
  return quiet ? images.map(({ name }) => `${name}\n`).join("") : listAsTable(images);
}

function listAsJson(images: readonly ListedImage[]): string {
  const rows = images.map((image) =>
    "error" in image
      ? { name: image.name, error: image.error.message }
      : {
          name: image.name,
          created: image.manifest.created,
          bytesOnDisk: image.bytesOnDisk,
          description: image.manifest.description,
          folder: image.folder,
        },
  );
  return `${JSON.stringify(rows, undefined, 2)}\n`;
}

function listAsTable(images: readonly ListedImage[]): string {
  const rows = images.map((image) => {
    if ("error" in image) return [image.name, "", "", image.error.message];
    const { created, description } = image.manifest;
    const day = created.slice(0, 16).replace("T", " ");
    return [image.name, day, megabytes(image.bytesOnDisk), description];
  });
  const all = [["NAME", "CREATED", "ON DISK", "DESCRIPTION"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function asText(image: StoredImage, verified: boolean): string {
  const { folder, manifest } = image;
  const { disks, forwards, initrd, exitStatusPort, files } = manifest;
  const facts: [string, string | undefined][] = [
    ["name", manifest.name],
    ["description", manifest.description],
    ["created", manifest.created],
    ["folder", folder],
    ["kernel", manifest.kernel],
    ["initrd", initrd],
    ["command line", manifest.commandLine],
    ["memory", megabytes(manifest.memoryBytes)],
    ...disks.map(({ file, format }): [string, string] => ["disk", `${file} (${format})`]),
    ["network", manifest.network],
    ...forwards.map((forward): [string, string] => ["forward", forward]),
    ["exit port", exitStatusPort === undefined ? undefined : `0x${exitStatusPort.toString(16)}`],
    ...programFacts(image),
    ...Object.entries(files).map(([name, { sha256 }]): [string, string] => ["sha-256", `${sha256}  ${name}`]),
    ["verified", verified ? "every file is as it was when the image was made" : undefined],
  ];
  return facts
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`)
    .join("");
}

/** What the options of `run` change. */
function programFacts(image: StoredImage): [string, string | undefined][] {
  const program = readContainer(image)?.config;
  if (program === undefined)
    return [["command", image.manifest.takesCommand ? "its own, or what ringfence run gives it" : undefined]];
  const { entryPoint, command, environment, user, workingFolder } = program;
  return [
    ["entry point", entryPoint.map(shellWord).join(" ")],
    ["command", command.map(shellWord).join(" ")],
    ...environment.map((setting): [string, string] => ["variable", shellWord(setting)]),
    ["user", user || "root"],
    ["starts in", workingFolder],
  ];
}

function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
