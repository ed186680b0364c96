import * as fs from "node:fs";
import { FolderError } from "../../linux-errors.ts";
import { type AttributeChanges, TYPE_FOLDER } from "../../shared-folder.ts";
import type { FileAttributes } from "./file-attributes.ts";
import type { HostPaths } from "./host-paths.ts";
import type { NodeAccess } from "./node-access.ts";
import type { FolderNode, NodeTable } from "./node-table.ts";
import type { OpenHandles } from "./open-handles.ts";
import type { OwnerMap } from "./owners.ts";

const SET_ID_BITS = 0o6000;
const PERMISSION_BITS = 0o7777;

/** What files of this type may get of the permissions that a guest asks for. */
export function allowedPermissions(mode: number, type: number): number {
  return mode & (type === TYPE_FOLDER ? PERMISSION_BITS : PERMISSION_BITS & ~SET_ID_BITS);
}

interface ChangerParts {
  readonly paths: HostPaths;
  readonly nodes: NodeTable;
  readonly handles: OpenHandles;
  readonly access: NodeAccess;
  readonly owners: OwnerMap;
  readonly attributes: FileAttributes;
}

/** Changes size, owner, permissions and times of files: by a descriptor where one is open, and else by name. */
export class AttributeChanger {
  readonly #paths: HostPaths;
  readonly #nodes: NodeTable;
  readonly #handles: OpenHandles;
  readonly #access: NodeAccess;
  readonly #owners: OwnerMap;
  readonly #attributes: FileAttributes;

  constructor({ paths, nodes, handles, access, owners, attributes }: ChangerParts) {
    this.#paths = paths;
    this.#nodes = nodes;
    this.#handles = handles;
    this.#access = access;
    this.#owners = owners;
    this.#attributes = attributes;
  }

  change(file: FolderNode, changes: AttributeChanges): void {
    if (changes.sizeBytes !== undefined) this.#truncate(file, changes.sizeBytes);
    if (changes.owner !== undefined || changes.group !== undefined) this.#changeOwner(file, changes);
    // Changing the owner may take permissions away, so these come behind it.
    if (changes.mode !== undefined) this.changeMode(file, changes.mode);
    if (changes.accessedNs !== undefined || changes.modifiedNs !== undefined)
      this.#changeTimes(file, changes);
  }

  #truncate(node: FolderNode, sizeBytes: number): void {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new FolderError("EFBIG");
    const open = this.#handles.openOn(node, true);
    if (open !== undefined) return fs.ftruncateSync(open.descriptor, sizeBytes);
    const descriptor = this.#access.openFile(node, fs.constants.O_WRONLY);
    try {
      fs.ftruncateSync(descriptor, sizeBytes);
    } finally {
      fs.closeSync(descriptor);
    }
  }

  #changeOwner(node: FolderNode, changes: AttributeChanges): void {
    const now = this.#attributes.of(this.#access.stat(node));
    const { owner = now.owner, group = now.group } = changes;
    if (owner === now.owner && group === now.group) return;
    const host = this.#owners.toHost(owner, group);
    const open = this.#handles.openOn(node, false);
    if (open !== undefined) fs.fchownSync(open.descriptor, host.owner, host.group);
    else if (node === this.#nodes.root) fs.chownSync(this.#paths.ofFolder(node), host.owner, host.group);
    else this.#access.atPlace(node, (path) => fs.lchownSync(path, host.owner, host.group));
  }

  changeMode(node: FolderNode, mode: number): void {
    const allowed = allowedPermissions(mode, node.type);
    const open = this.#handles.openOn(node, false);
    if (open !== undefined) fs.fchmodSync(open.descriptor, allowed);
    else this.#access.withFile(node, (path) => fs.chmodSync(path, allowed));
  }

  #changeTimes(node: FolderNode, { accessedNs, modifiedNs }: AttributeChanges): void {
    const now = BigInt(Date.now()) * 1_000_000n;
    const stats = this.#access.stat(node);
    const seconds = (given: bigint | "now" | undefined, old: bigint) =>
      Math.max(0, Number(given === "now" ? now : (given ?? old)) / 1e9);
    const times = [seconds(accessedNs, stats.atimeNs), seconds(modifiedNs, stats.mtimeNs)] as const;
    const open = this.#handles.openOn(node, false);
    if (open !== undefined) fs.futimesSync(open.descriptor, ...times);
    else if (node === this.#nodes.root) fs.utimesSync(this.#paths.ofFolder(node), ...times);
    else this.#access.atPlace(node, (path) => fs.lutimesSync(path, ...times));
  }
}
