import path from "node:path";
import { readWholeFile } from "../../host/node/files.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { StoredImage } from "../image-store.ts";
import type { ContainerConfig } from "./container-image.ts";
import type { Accounts } from "./container-user.ts";
import { objectIn, parseObject, textIn, textsIn } from "./json-value.ts";

/** In an image's folder: what `readContainer` reads. */
export const CONTAINER_FILE = "container.json";

/** What an imported image keeps of its container image, so that a run can change how its program runs. */
export interface KeptContainer {
  readonly config: ContainerConfig;
  /** As they were when the image was imported: this host does not read the disks of machines. */
  readonly accounts: Accounts;
}

export function containerText(kept: KeptContainer): string {
  return `${JSON.stringify(kept, undefined, 2)}\n`;
}

/**
 * Undefined: the image is no container's, or an earlier Ringfence imported it.
 * @throws {VmError} `image-invalid`, `file-*`.
 */
export function readContainer({ folder, manifest }: StoredImage): KeptContainer | undefined {
  if (manifest.container === undefined) return undefined;
  const file = path.join(folder, manifest.container);
  const kept = parseObject(new TextDecoder().decode(readWholeFile(file)));
  const [config, accounts] = [objectIn(kept, "config"), objectIn(kept, "accounts")];
  if (config === undefined || accounts === undefined)
    throw new VmError({ code: "image-invalid", path: file, reason: "it describes no container" });
  return {
    config: {
      entryPoint: textsIn(config, "entryPoint"),
      command: textsIn(config, "command"),
      environment: textsIn(config, "environment"),
      user: textIn(config, "user") ?? "",
      workingFolder: textIn(config, "workingFolder") ?? "/",
      ports: textsIn(config, "ports"),
    },
    accounts: { passwd: textIn(accounts, "passwd") ?? "", group: textIn(accounts, "group") ?? "" },
  };
}
