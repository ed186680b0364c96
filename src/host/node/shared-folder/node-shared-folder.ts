// Longer than most: all that `SharedFolder` asks for.

import * as fs from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { type BytePieces, byteCount } from "../../byte-pieces.ts";
import { FolderError } from "../../linux-errors.ts";
import {
  type AttributeChanges,
  type Attributes,
  type ByteString,
  type Creator,
  type ExtendedAttributes,
  type FileSystemSpace,
  type FolderEntry,
  type HandleId,
  type ListedName,
  type NodeId,
  type OpenMode,
  type SharedFolder,
  TYPE_FILE,
  TYPE_FOLDER,
  TYPE_LINK,
} from "../../shared-folder.ts";
import { moveInGroups } from "../move-in-groups.ts";
import { AttributeChanger, allowedPermissions } from "./attribute-changer.ts";
import { CheckedPaths } from "./checked-paths.ts";
import { DescriptorPaths } from "./descriptor-paths.ts";
import { descriptorShare } from "./descriptor-share.ts";
import { NodeExtendedAttributes } from "./extended-attributes.ts";
import { FileAttributes, identityOf } from "./file-attributes.ts";
import { restoreFolder, saveFolder } from "./folder-snapshot.ts";
import { type FolderState, isFolderState } from "./folder-state.ts";
import type { HostPaths } from "./host-paths.ts";
import { byteString, checkName, checkTarget, type HostPath, hostPath } from "./names.ts";
import { NodeAccess, SAFELY } from "./node-access.ts";
import { type FolderNode, NodeTable } from "./node-table.ts";
import { OpenHandles, reopenFlags } from "./open-handles.ts";
import { type OwnerChoice, type OwnerMap, ownerMap } from "./owners.ts";

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = fs.constants;
const BIG = { bigint: true } as const;
const SET_ID_BITS = 0o6000;
const SET_GROUP_ID = 0o2000;
const PERMISSION_BITS = 0o7777;

export interface NodeSharedFolderOptions {
  readonly readOnly?: boolean;
  /** As whom the guest sees the files of the user who runs this process; root if absent. Root's own process passes owners as they are if absent. */
  readonly owner?: OwnerChoice;
  /** Passes extended attributes ("user." ones), which needs the package @napi-rs/xattr. */
  readonly extendedAttributes?: boolean;
}

/**
 * A folder of this computer as a `SharedFolder`.
 *
 * Every path is one checked name in a folder that was reached without
 * following links (`DescriptorPaths`), links at its end are not followed
 * either, and only regular files are opened. Bits that would make a program of
 * the host run as another user (set-user-ID, set-group-ID on files) are dropped.
 */
export class NodeSharedFolder implements SharedFolder {
  readonly readOnly: boolean;
  readonly extended?: ExtendedAttributes;
  readonly #paths: HostPaths;
  readonly #nodes: NodeTable;
  readonly #handles: OpenHandles;
  readonly #owners: OwnerMap;
  readonly #attributes: FileAttributes;
  readonly #access: NodeAccess;
  readonly #changer: AttributeChanger;

  /** @throws The host's error when `path` is no folder, or may not be read. */
  constructor(
    path: string,
    { readOnly = false, owner, extendedAttributes = false }: NodeSharedFolderOptions = {},
  ) {
    this.readOnly = readOnly;
    if (extendedAttributes)
      this.extended = new NodeExtendedAttributes(
        (node, use) => this.#access.atOwnPath(this.#nodes.get(node), use),
        () => this.#checkWritable(),
      );
    const root = fs.statSync(path, BIG);
    if (!root.isDirectory()) throw Object.assign(new Error(`ENOTDIR: ${path}`), { code: "ENOTDIR", path });
    this.#paths =
      process.platform === "linux"
        ? new DescriptorPaths(path, () => this.#nodes.root)
        : new CheckedPaths(path);
    this.#nodes = new NodeTable(identityOf(root), (node) => this.#paths.forget(node));
    this.#handles = new OpenHandles(descriptorShare(), (node) => this.#nodes.release(node));
    this.#owners = ownerMap(owner);
    this.#attributes = new FileAttributes(this.#owners, root.dev);
    this.#access = new NodeAccess(this.#paths, this.#nodes, this.#handles);
    this.#changer = new AttributeChanger({
      ...{ paths: this.#paths, nodes: this.#nodes, handles: this.#handles },
      ...{ access: this.#access, owners: this.#owners, attributes: this.#attributes },
    });
  }

  /** For tests: what is kept for the guest. */
  get counts(): { nodes: number; handles: number } {
    return { nodes: this.#nodes.size, handles: this.#handles.size };
  }

  lookup(parent: NodeId, name: ByteString): FolderEntry | undefined {
    const folder = this.#folder(parent);
    checkName(name);
    return this.#look(folder, name);
  }

  refer(node: NodeId): void {
    this.#nodes.get(node).references++;
  }

  forget(node: NodeId, references: number): void {
    this.#nodes.forget(this.#nodes.get(node), references);
  }

  placeOf(node: NodeId): { parent: NodeId; name: ByteString } | undefined {
    const place = this.#nodes.get(node).places[0];
    if (place === undefined) return undefined;
    place.parent.references++;
    return { parent: place.parent.id, name: place.name };
  }

  attributes(node: NodeId): Attributes {
    return this.#attributes.of(this.#access.stat(this.#nodes.get(node)));
  }

  change(node: NodeId, changes: AttributeChanges): Attributes {
    this.#checkWritable();
    const file = this.#nodes.get(node);
    this.#changer.change(file, changes);
    return this.attributes(node);
  }

  open(node: NodeId, mode: OpenMode): HandleId {
    if (mode.write || mode.truncate) this.#checkWritable();
    const file = this.#nodes.get(node);
    this.#handles.checkRoom();
    return this.#handles.addFile(
      file,
      this.#access.openFile(file, flagsOf(mode)),
      reopenFlags(flagsOf(mode)),
    );
  }

  create(
    parent: NodeId,
    name: ByteString,
    options: OpenMode & { permissions: number; exclusive: boolean; by: Creator },
  ): FolderEntry & { handle: HandleId } {
    this.#checkWritable();
    const folder = this.#folder(parent);
    checkName(name);
    this.#handles.checkRoom();
    const flags = flagsOf(options) | O_CREAT | O_EXCL | SAFELY;
    const path = this.#paths.inFolder(folder, name);
    let descriptor: number;
    try {
      descriptor = fs.openSync(path, flags, options.permissions & 0o777);
    } catch (error) {
      if (options.exclusive || !isCode(error, "EEXIST")) throw error;
      const entry = this.#look(folder, name);
      if (entry === undefined) throw error;
      return { ...entry, handle: this.#undoable(entry, () => this.open(entry.node, options)) };
    }
    try {
      this.#setUp(folder, descriptor, options.permissions, options.by);
      const stats = fs.fstatSync(descriptor, BIG);
      const node = this.#nodes.found(folder, name, identityOf(stats));
      const handle = this.#handles.addFile(node, descriptor, reopenFlags(flags));
      return { node: node.id, attributes: this.#attributes.of(stats), handle };
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }

  read(handle: HandleId, offset: number, into: BytePieces): number {
    checkOffset(offset, byteCount(into));
    const { descriptor } = this.#handles.file(handle);
    return moveInGroups(into, offset, (group, at) => fs.readvSync(descriptor, group, at));
  }

  write(handle: HandleId, offset: number, pieces: BytePieces): number {
    checkOffset(offset, byteCount(pieces));
    const { descriptor } = this.#handles.file(handle);
    return moveInGroups(pieces, offset, (group, at) => fs.writevSync(descriptor, group, at));
  }

  async flush(handle: HandleId, dataOnly: boolean): Promise<void> {
    const opened = this.#handles.any(handle);
    if (opened.kind === "file") {
      const sync = promisify(dataOnly ? fs.fdatasync : fs.fsync);
      return this.#handles.whileOpen(opened, () => sync(opened.descriptor));
    }
    const folder = await fs.promises.open(this.#paths.ofFolder(opened.node), O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  close(handle: HandleId): void {
    this.#handles.close(handle);
  }

  openFolder(node: NodeId): HandleId {
    const folder = this.#folder(node);
    fs.accessSync(this.#paths.ofFolder(folder), fs.constants.R_OK);
    return this.#handles.addFolder(folder);
  }

  rewind(handle: HandleId): void {
    const folder = this.#handles.folder(handle);
    const path = this.#paths.ofFolder(folder.node);
    const entries = fs.readdirSync(path, { withFileTypes: true, encoding: "buffer" });
    const names = entries.map((entry) => ({ name: byteString(entry.name), type: typeOf(entry) }));
    this.#handles.setNames(folder, names);
  }

  list(handle: HandleId, from: number): Iterable<ListedName> {
    return iterateFrom(this.#handles.folder(handle).names, from);
  }

  makeFile(parent: NodeId, name: ByteString, permissions: number, by: Creator): FolderEntry {
    const mode = { read: true, write: true, truncate: false, synchronous: false };
    const { handle, ...entry } = this.create(parent, name, { ...mode, permissions, exclusive: true, by });
    this.close(handle);
    return entry;
  }

  makeFolder(parent: NodeId, name: ByteString, permissions: number, by: Creator): FolderEntry {
    return this.#make(parent, name, (path) => fs.mkdirSync(path, permissions & 0o777), { permissions, by });
  }

  makeLink(parent: NodeId, name: ByteString, target: ByteString, by: Creator): FolderEntry {
    checkTarget(target);
    return this.#make(parent, name, (path) => fs.symlinkSync(hostPath(target), path), { by });
  }

  readLink(node: NodeId): ByteString {
    const link = this.#nodes.get(node);
    if (link.type !== TYPE_LINK) throw new FolderError("EINVAL");
    return this.#access.atPlace(link, (path) => byteString(fs.readlinkSync(path, "buffer")));
  }

  link(node: NodeId, parent: NodeId, name: ByteString): FolderEntry {
    this.#checkWritable();
    const file = this.#nodes.get(node);
    const folder = this.#folder(parent);
    checkName(name);
    if (file.type === TYPE_FOLDER) throw new FolderError("EPERM");
    this.#access.atPlace(file, (path) => fs.linkSync(path, this.#paths.inFolder(folder, name)));
    return this.#lookMade(folder, name);
  }

  rename(parent: NodeId, name: ByteString, newParent: NodeId, newName: ByteString, keep: boolean): void {
    this.#checkWritable();
    const from = this.#folder(parent);
    const to = this.#folder(newParent);
    checkName(name);
    checkName(newName);
    // Both folders by name first: reaching the one may close the other's descriptor.
    this.#paths.inFolder(from, name);
    const newPath = this.#paths.inFolder(to, newName);
    const taken = keep && fs.lstatSync(newPath, { throwIfNoEntry: false }) !== undefined;
    if (taken) throw new FolderError("EEXIST");
    fs.renameSync(this.#paths.inFolder(from, name), newPath);
    this.#nodes.move({ parent: from, name }, { parent: to, name: newName });
  }

  removeFile(parent: NodeId, name: ByteString): void {
    this.#remove(parent, name, (path) => fs.unlinkSync(path));
  }

  removeFolder(parent: NodeId, name: ByteString): void {
    this.#remove(parent, name, (path) => fs.rmdirSync(path));
  }

  space(): FileSystemSpace {
    const space = fs.statfsSync(this.#paths.ofFolder(this.#nodes.root), BIG);
    return {
      blockBytes: Number(space.bsize),
      blocks: space.blocks,
      freeBlocks: space.bfree,
      availableBlocks: space.bavail,
      files: space.files,
      freeFiles: space.ffree,
    };
  }

  saveState(): FolderState {
    return saveFolder(this.#nodes, this.#handles);
  }

  restoreState(state: unknown): string | undefined {
    this.reset();
    if (!isFolderState(state)) return "a shared folder of another version";
    try {
      restoreFolder(state, {
        ...{ nodes: this.#nodes, handles: this.#handles, paths: this.#paths },
        ...{ access: this.#access, readOnly: this.readOnly },
      });
      return undefined;
    } catch (error) {
      this.reset();
      if (error instanceof FolderError) return `a shared folder whose state is damaged (${error.message})`;
      throw error;
    }
  }

  reset(): void {
    this.#handles.closeAll();
    this.#nodes.reset();
  }

  dispose(): void {
    this.reset();
    this.#paths.dispose();
  }

  #folder(id: NodeId): FolderNode {
    const node = this.#nodes.get(id);
    if (node.type !== TYPE_FOLDER) throw new FolderError("ENOTDIR");
    return node;
  }

  #checkWritable(): void {
    if (this.readOnly) throw new FolderError("EROFS");
  }

  #look(folder: FolderNode, name: ByteString): FolderEntry | undefined {
    const path = this.#paths.inFolder(folder, name);
    const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) {
      this.#nodes.removePlace(folder, name);
      return undefined;
    }
    const node = this.#nodes.found(folder, name, identityOf(stats));
    return { node: node.id, attributes: this.#attributes.of(stats) };
  }

  /** What we have just made. */
  #lookMade(folder: FolderNode, name: ByteString): FolderEntry {
    const entry = this.#look(folder, name);
    if (entry === undefined) throw new FolderError("ENOENT");
    return entry;
  }

  /** Owner and permissions of a file that was just made, past the umask of this process. */
  #setUp(folder: FolderNode, descriptor: number, permissions: number, by: Creator): void {
    const stats = fs.fstatSync(descriptor);
    if (this.#owners.keepsOwners) fs.fchownSync(descriptor, by.owner, this.#groupIn(folder, by));
    const wanted = allowedPermissions(permissions, TYPE_FILE);
    if ((stats.mode & PERMISSION_BITS) !== wanted) fs.fchmodSync(descriptor, wanted);
  }

  /** A folder with the set-group-ID bit gives its group to what is made in it. */
  #groupIn(folder: FolderNode, by: Creator): number {
    const { mode, gid } = fs.statSync(this.#paths.ofFolder(folder));
    return (mode & SET_GROUP_ID) === 0 ? by.group : gid;
  }

  /** Makes a folder or a link; `permissions` are a folder's. */
  #make(
    parent: NodeId,
    name: ByteString,
    make: (path: HostPath) => void,
    { by, permissions }: { by: Creator; permissions?: number },
  ): FolderEntry {
    this.#checkWritable();
    const folder = this.#folder(parent);
    checkName(name);
    make(this.#paths.inFolder(folder, name));
    const entry = this.#lookMade(folder, name);
    return this.#undoable(entry, () => {
      const node = this.#nodes.get(entry.node);
      const stats = this.#access.stat(node);
      if (this.#owners.keepsOwners)
        this.#access.atPlace(node, (path) => fs.lchownSync(path, by.owner, this.#groupIn(folder, by)));
      if (permissions !== undefined && (Number(stats.mode) & 0o1777) !== (permissions & 0o1777))
        this.#changer.changeMode(node, (permissions & 0o1777) | (Number(stats.mode) & SET_ID_BITS));
      return { node: entry.node, attributes: this.attributes(entry.node) };
    });
  }

  /** Does what comes behind a lookup; when it fails, the reference is taken back. */
  #undoable<T>(entry: FolderEntry, action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.forget(entry.node, 1);
      throw error;
    }
  }

  #remove(parent: NodeId, name: ByteString, remove: (path: HostPath) => void): void {
    this.#checkWritable();
    const folder = this.#folder(parent);
    checkName(name);
    remove(this.#paths.inFolder(folder, name));
    this.#nodes.removePlace(folder, name);
  }
}

function flagsOf({ read, write, truncate, synchronous }: OpenMode): number {
  const access = write ? (read ? O_RDWR : O_WRONLY) : truncate ? O_RDWR : O_RDONLY;
  return access | (truncate ? O_TRUNC : 0) | (synchronous ? O_SYNC : 0);
}

function checkOffset(offset: number, length: number): void {
  if (!Number.isSafeInteger(offset + length) || offset < 0) throw new FolderError("EINVAL");
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function typeOf(entry: fs.Dirent<Buffer>): number {
  if (entry.isFile()) return TYPE_FILE;
  if (entry.isDirectory()) return TYPE_FOLDER;
  return entry.isSymbolicLink() ? TYPE_LINK : 0;
}

function* iterateFrom(names: readonly ListedName[], from: number): Generator<ListedName> {
  for (let index = from; index < names.length; index++) yield names[index]!;
}
