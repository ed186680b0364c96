import type { BootRequest as GuestToBoot } from "../boot/boot-plan.ts";
import { readWholeFile } from "../host/node/files.ts";
import type { BootRequest } from "./thread-protocol.ts";

/** Reads what is to be booted; the default guest where no kernel is named. */
export async function readGuest(
  { kernel, initrd, commandLine }: BootRequest,
  shareTags: readonly string[],
  progress: (line: string) => void,
): Promise<GuestToBoot> {
  if (kernel !== undefined) {
    const modules = initrd === undefined ? [] : [{ bytes: bytesOf(initrd), commandLine: "" }];
    return { kernel: bytesOf(kernel), commandLine, modules };
  }
  // A restored machine needs none of it.
  const { prepareDefaultGuest, shareWords } = await import("../host/node/default-guest.ts");
  const guest = await prepareDefaultGuest(progress);
  return {
    kernel: readWholeFile(guest.kernelPath),
    commandLine: [
      guest.commandLine,
      ...shareWords(shareTags),
      ...(commandLine === "" ? [] : [commandLine]),
    ].join(" "),
    modules: [{ bytes: readWholeFile(guest.initrdPath), commandLine: "" }],
  };
}

function bytesOf(file: string | Uint8Array): Uint8Array {
  return typeof file === "string" ? readWholeFile(file) : file;
}
