import * as fs from "node:fs";
import { FolderError } from "../../linux-errors.ts";
import { TYPE_FILE, TYPE_FOLDER, TYPE_LINK } from "../../shared-folder.ts";
import { isSameFile } from "./file-attributes.ts";
import type { HostPaths } from "./host-paths.ts";
import type { HostPath } from "./names.ts";
import type { FolderNode, NodeTable, Place } from "./node-table.ts";
import type { OpenHandles } from "./open-handles.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_TRUNC } = fs.constants;
const BIG = { bigint: true } as const;
/** Neither a link nor a pipe at the end of a path may keep us, or lead us elsewhere. Absent on Windows. */
export const SAFELY = (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0);

/** How a node, which is a memory of what was seen, becomes the file of the host that it still is. */
export class NodeAccess {
  readonly #paths: HostPaths;
  readonly #nodes: NodeTable;
  readonly #handles: OpenHandles;

  constructor(paths: HostPaths, nodes: NodeTable, handles: OpenHandles) {
    this.#paths = paths;
    this.#nodes = nodes;
    this.#handles = handles;
  }

  /** By a descriptor where there is one, and else by the name under which it was last seen, if it still is there. */
  stat(node: FolderNode): fs.BigIntStats {
    const open = this.#handles.openOn(node, false);
    if (open !== undefined) return fs.fstatSync(open.descriptor, BIG);
    if (node === this.#nodes.root) return fs.statSync(this.#paths.ofFolder(node), BIG);
    for (const { parent, name } of [...node.places]) {
      const path = this.#paths.inFolder(parent, name);
      const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats !== undefined && isSameFile(node, stats)) return stats;
      this.#nodes.removePlace(parent, name);
    }
    throw new FolderError("ESTALE");
  }

  /** A place where the node still is; `root` has none. */
  #place(node: FolderNode): Place {
    this.stat(node);
    const place = node.places[0];
    if (place === undefined) throw new FolderError("ESTALE");
    return place;
  }

  /** Calls `use` with a path of the node itself, which must not be followed if it is a link. */
  atPlace<T>(node: FolderNode, use: (path: HostPath) => T): T {
    const { parent, name } = this.#place(node);
    return use(this.#paths.inFolder(parent, name));
  }

  /** The same for the root too. */
  atOwnPath<T>(node: FolderNode, use: (path: HostPath) => T): T {
    if (node === this.#nodes.root) return use(`${this.#paths.ofFolder(node)}/.`);
    return this.atPlace(node, use);
  }

  /** Calls `use` with a path of the node that may be followed. */
  withFile<T>(node: FolderNode, use: (path: HostPath) => T): T {
    if (node.type === TYPE_LINK) throw new FolderError("EOPNOTSUPP");
    if (node.type === TYPE_FOLDER) return use(this.#paths.ofFolder(node));
    return this.#paths.withFile(node, this.#place(node), use);
  }

  openFile(node: FolderNode, flags: number): number {
    if (node.type === TYPE_FOLDER) throw new FolderError("EISDIR");
    if (node.type !== TYPE_FILE) throw new FolderError(node.type === TYPE_LINK ? "ELOOP" : "ENXIO");
    const descriptor = this.atPlace(node, (path) => fs.openSync(path, (flags & ~O_TRUNC) | SAFELY));
    try {
      if (!isSameFile(node, fs.fstatSync(descriptor, BIG))) throw new FolderError("ESTALE");
      if ((flags & O_TRUNC) !== 0) fs.ftruncateSync(descriptor, 0);
      return descriptor;
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }
}
