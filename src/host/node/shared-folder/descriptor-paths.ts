import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { FolderError } from "../../linux-errors.ts";
import { isSameFile } from "./file-attributes.ts";
import type { HostPaths } from "./host-paths.ts";
import { type HostPath, hostPath } from "./names.ts";
import type { FolderNode } from "./node-table.ts";

/** Not in Node's constants. Source: Linux, include/uapi/asm-generic/fcntl.h. */
const O_PATH = 0o10000000;
const OPEN_FOLDER = O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY;
const OPEN_ANY = O_PATH | constants.O_NOFOLLOW;
/** Folders that are held open; the one that was used longest ago is closed for a new one. */
const MOST_DESCRIPTORS = 256;
/** Folders in folders; deeper ones are refused, since each must be opened on the way. */
const MOST_DEPTH = 2048;

/**
 * Paths on Linux, each one step from a descriptor of a folder that is held
 * open: /proc/self/fd/N/name, which works as openat(N, name) does. Whoever
 * renames folders or puts links in their place meanwhile, the step begins in a
 * folder that was reached from the root without following a link.
 */
export class DescriptorPaths implements HostPaths {
  readonly #root: number;
  /** In the order of their last use. */
  readonly #descriptors = new Map<FolderNode, number>();
  readonly #rootOf: () => FolderNode;
  /** The last two folders that were asked for: a call may have paths of both. */
  #given: readonly (FolderNode | undefined)[] = [];

  /** @param rootOf The root's node, which may be made later. */
  constructor(rootPath: string, rootOf: () => FolderNode) {
    this.#root = openSync(rootPath, O_PATH | constants.O_DIRECTORY);
    this.#rootOf = rootOf;
  }

  /** Of the root. */
  get rootDescriptor(): number {
    return this.#root;
  }

  inFolder(folder: FolderNode, name: string): HostPath {
    return hostPath(`/proc/self/fd/${this.#descriptor(folder)}/${name}`);
  }

  ofFolder(folder: FolderNode): HostPath {
    return `/proc/self/fd/${this.#descriptor(folder)}`;
  }

  withFile<T>(
    node: FolderNode,
    { parent, name }: { parent: FolderNode; name: string },
    use: (path: HostPath) => T,
  ): T {
    const descriptor = openChecked(node, this.inFolder(parent, name), OPEN_ANY);
    try {
      return use(`/proc/self/fd/${descriptor}`);
    } finally {
      closeSync(descriptor);
    }
  }

  forget(node: FolderNode): void {
    const descriptor = this.#descriptors.get(node);
    if (descriptor === undefined) return;
    this.#descriptors.delete(node);
    closeSync(descriptor);
  }

  dispose(): void {
    for (const node of [...this.#descriptors.keys()]) this.forget(node);
    closeSync(this.#root);
  }

  #descriptor(folder: FolderNode): number {
    if (this.#given[0] !== folder) this.#given = [folder, this.#given[0]];
    const root = this.#rootOf();
    const missing: FolderNode[] = [];
    let above = folder;
    let descriptor = this.#held(above, root);
    while (descriptor === undefined) {
      if (missing.push(above) > MOST_DEPTH) throw new FolderError("ENAMETOOLONG");
      const place = above.places[0];
      if (place === undefined) throw new FolderError("ESTALE");
      above = place.parent;
      descriptor = this.#held(above, root);
    }
    for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
      const path = hostPath(`/proc/self/fd/${descriptor}/${next.places[0]?.name}`);
      descriptor = openChecked(next, path, OPEN_FOLDER);
      this.#hold(next, descriptor);
    }
    return descriptor;
  }

  #held(node: FolderNode, root: FolderNode): number | undefined {
    if (node === root) return this.#root;
    const descriptor = this.#descriptors.get(node);
    if (descriptor === undefined) return undefined;
    this.#descriptors.delete(node);
    this.#descriptors.set(node, descriptor);
    return descriptor;
  }

  #hold(node: FolderNode, descriptor: number): void {
    for (const oldest of this.#descriptors.keys()) {
      if (this.#descriptors.size < MOST_DESCRIPTORS) break;
      if (!this.#given.includes(oldest)) this.forget(oldest);
    }
    this.#descriptors.set(node, descriptor);
  }
}

/** Opens what is there, if it is still the same file. */
function openChecked(node: FolderNode, path: HostPath, flags: number): number {
  const descriptor = openSync(path, flags);
  if (isSameFile(node, fstatSync(descriptor, { bigint: true }))) return descriptor;
  closeSync(descriptor);
  throw new FolderError("ESTALE");
}
