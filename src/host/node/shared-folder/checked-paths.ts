import { lstatSync, realpathSync } from "node:fs";
import path from "node:path";
import { FolderError } from "../../linux-errors.ts";
import { isSameFile } from "./file-attributes.ts";
import type { HostPaths } from "./host-paths.ts";
import { type HostPath, hostPath } from "./names.ts";
import type { FolderNode } from "./node-table.ts";

/**
 * Paths on hosts that have no /proc: the folder's real path must be what its
 * names say, or there is a link on the way. Weaker than `DescriptorPaths`:
 * another process of the host that swaps a folder for a link between the check
 * and the call leads it astray; the guest alone cannot.
 */
export class CheckedPaths implements HostPaths {
  readonly #root: string;

  constructor(rootPath: string) {
    this.#root = realpathSync.native(rootPath);
  }

  inFolder(folder: FolderNode, name: string): HostPath {
    return path.join(String(this.ofFolder(folder)), String(hostPath(name)));
  }

  ofFolder(folder: FolderNode): HostPath {
    const names: string[] = [];
    for (let node = folder; node.places[0] !== undefined; node = node.places[0].parent)
      names.unshift(String(hostPath(node.places[0].name)));
    const wanted = path.join(this.#root, ...names);
    if (realpathSync.native(wanted) !== wanted) throw new FolderError("ESTALE");
    return wanted;
  }

  withFile<T>(
    node: FolderNode,
    { parent, name }: { parent: FolderNode; name: string },
    use: (path: HostPath) => T,
  ): T {
    const file = this.inFolder(parent, name);
    if (!isSameFile(node, lstatSync(file, { bigint: true }))) throw new FolderError("ESTALE");
    return use(file);
  }

  forget(): void {}

  dispose(): void {}
}
