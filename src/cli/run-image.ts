import path from "node:path";
import { machineDisks } from "../images/image-disks.ts";
import { checkFiles } from "../images/image-files.ts";
import { ImageStore } from "../images/image-store.ts";
import type { PortForward } from "../network/nat/user-network.ts";
import type { RunOptions } from "./command-line.ts";
import { parseForward } from "./network-option.ts";
import { checkTakes, givenArchive } from "./program-archive.ts";
import { parseMemorySize } from "./size.ts";

/** What a run with an image is: what the image says, and what was asked for goes before it. */
export async function withImage(asked: RunOptions, report: (line: string) => void): Promise<RunOptions> {
  if (asked.image === undefined) return asked;
  const { name, changes, program, given } = asked.image;
  const image = new ImageStore().open(name);
  const { folder, manifest } = image;
  checkTakes(asked.image, manifest);
  await checkFiles(folder, manifest, false);
  const archive = givenArchive(asked.image, image);
  const disks = await machineDisks(image, changes);
  const inFolder = (file: string | undefined) => file && path.join(folder, file);
  const isCut = manifest.network === "none" && !given.has("network");
  // Undefined: the cards that the snapshot's machine had.
  const networks = isCut ? [] : asked.networks;
  const port = manifest.exitStatusPort;
  const ownStatus =
    port === undefined || asked.debugExitPort !== undefined
      ? {}
      : { debugExitPort: port, guestGivesStatus: true };
  const hasUserNetwork =
    networks === undefined ? manifest.network === "user" : networks.some(({ kind }) => kind === "user");
  const own = hasUserNetwork ? manifest.forwards.map(parseForward) : [];
  const forwards = joinForwards(own, asked.forwards);
  for (const { protocol, host, guestPort } of forwards.filter((forward) => own.includes(forward)))
    report(`${protocol} port ${host.port} of ${host.address} leads to port ${guestPort} of the guest`);
  // The description of a container's image is what would run otherwise.
  const isOwn = program.command.length === 0 && program.entryPoint === undefined;
  const description = isOwn ? manifest.description : "";
  const what = `${manifest.name}${description && `: ${description}`}`;
  if (asked.restorePath === undefined) report(`booting ${what}${keysHint(asked)}`);
  // The kernel and what it starts with belong together; a snapshot has both.
  const boot =
    asked.restorePath !== undefined
      ? {}
      : {
          kernelPath: asked.kernelPath ?? inFolder(manifest.kernel),
          initrdPath:
            asked.initrdPath ?? (asked.kernelPath === undefined ? inFolder(manifest.initrd) : undefined),
          givenArchive: archive,
          append: [manifest.commandLine, ...(asked.append === undefined ? [] : [asked.append])].join(" "),
          memoryBytes: given.has("memory") ? asked.memoryBytes : checkedMemory(manifest.memoryBytes),
        };
  return {
    ...asked,
    ...boot,
    disks: [
      ...disks.map(({ path: file, format, serial, temporary }) => ({
        ...{ path: file, format, serial, readOnly: false, snapshot: temporary },
      })),
      ...asked.disks,
    ],
    networks,
    forwards,
    ...ownStatus,
  };
}

/** What follows on the message of a machine's start, where there is a console. */
export function keysHint({ detach }: Pick<RunOptions, "detach">): string {
  return detach ? "" : "; Ctrl-A H lists keys for Ringfence itself";
}

/** A manifest is checked as an option is. */
function checkedMemory(sizeBytes: number): number {
  return parseMemorySize(`${sizeBytes / 1024}K`);
}

/** A forward that was asked for takes the place of the image's to the same port of the guest. */
function joinForwards(own: readonly PortForward[], asked: readonly PortForward[]): PortForward[] {
  const isAsked = ({ protocol, guestPort }: PortForward) =>
    asked.some((other) => other.protocol === protocol && other.guestPort === guestPort);
  return [...own.filter((forward) => !isAsked(forward)), ...asked];
}
