import type { BytePieces } from "./byte-pieces.ts";

/** A file, folder or link inside a shared folder, from a `lookup` to its last `forget`. Numbers are not used again. */
export type NodeId = number;

/** A file or folder that is open. Numbers are not used again. */
export type HandleId = number;

/** The shared folder itself; it is always there. */
export const ROOT: NodeId = 1;

/** One name inside a folder, a character a byte: Linux' names are bytes, in no fixed encoding. */
export type ByteString = string;

/** The type bits of `Attributes.mode`. Source: Linux, include/uapi/linux/stat.h. */
export const TYPE_MASK = 0o170000;
export const TYPE_FILE = 0o100000;
export const TYPE_FOLDER = 0o040000;
export const TYPE_LINK = 0o120000;

/** What the guest's stat() shows. */
export interface Attributes {
  readonly inode: bigint;
  /** Type and permissions. */
  readonly mode: number;
  readonly links: number;
  /** Owner and group as the guest sees them. */
  readonly owner: number;
  readonly group: number;
  /** Of a device node. */
  readonly device: number;
  readonly sizeBytes: bigint;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  readonly blockBytes: number;
  /** Since 1970. */
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** What `change` is to set; what is absent stays. */
export interface AttributeChanges {
  /** Permissions; other bits are ignored. */
  readonly mode?: number;
  readonly owner?: number;
  readonly group?: number;
  readonly sizeBytes?: number;
  readonly accessedNs?: bigint | "now";
  readonly modifiedNs?: bigint | "now";
}

export interface FolderEntry {
  readonly node: NodeId;
  readonly attributes: Attributes;
}

/** The user of the guest on whose behalf something is made. */
export interface Creator {
  readonly owner: number;
  readonly group: number;
}

export interface OpenMode {
  readonly read: boolean;
  readonly write: boolean;
  readonly truncate: boolean;
  /** Writes are on disk before they return (O_SYNC). */
  readonly synchronous: boolean;
}

/** A line of a folder's listing. */
export interface ListedName {
  readonly name: ByteString;
  /** The type bits of a mode; 0 where the host does not say. */
  readonly type: number;
}

/** What the guest's statfs() shows. */
export interface FileSystemSpace {
  readonly blockBytes: number;
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}

/** Extended attributes; names are byte strings such as "user.comment". */
export interface ExtendedAttributes {
  get(node: NodeId, name: ByteString): Uint8Array;
  list(node: NodeId): readonly ByteString[];
  /** @param how What must be so: the attribute is new, is there already, or either. */
  set(node: NodeId, name: ByteString, value: Uint8Array, how: "create" | "replace" | "either"): void;
  remove(node: NodeId, name: ByteString): void;
}

/**
 * A folder of the host that a guest sees. Every number and name comes from the
 * guest, and is checked here: nothing outside of the folder is ever reached.
 *
 * Operations are made at once, since a thread for each costs many times what
 * they take; only what waits for a disk is a promise. What fails throws a
 * `FolderError`, or an error of the host that `errnoOf` translates.
 *
 * `lookup`, `create`, `make...` and `link` add a reference to the node that
 * they return; `forget` takes them away.
 */
export interface SharedFolder {
  readonly readOnly: boolean;
  /** Absent where the host, or who shares the folder, offers none. */
  readonly extended?: ExtendedAttributes;
  /** Undefined: there is no such name. */
  lookup(parent: NodeId, name: ByteString): FolderEntry | undefined;
  /** One more reference to a node that is known. */
  refer(node: NodeId): void;
  forget(node: NodeId, references: number): void;
  /** Where the node was last seen, with one more reference to the folder; undefined for the root, and where its name is gone. */
  placeOf(node: NodeId): { readonly parent: NodeId; readonly name: ByteString } | undefined;
  attributes(node: NodeId): Attributes;
  change(node: NodeId, changes: AttributeChanges): Attributes;
  /** Regular files only: the host's devices and pipes stay closed. */
  open(node: NodeId, mode: OpenMode): HandleId;
  /** Opens the file if it is there and `exclusive` is not asked for. */
  create(
    parent: NodeId,
    name: ByteString,
    options: OpenMode & { readonly permissions: number; readonly exclusive: boolean; readonly by: Creator },
  ): FolderEntry & { readonly handle: HandleId };
  /** Fills the pieces one after the other; returns how many bytes there were. */
  read(handle: HandleId, offset: number, into: BytePieces): number;
  /** Writes the pieces one behind the other; returns how many bytes it was. */
  write(handle: HandleId, offset: number, pieces: BytePieces): number;
  /** Resolves when what was written survives a crash of the host. */
  flush(handle: HandleId, dataOnly: boolean): Promise<void>;
  close(handle: HandleId): void;
  openFolder(node: NodeId): HandleId;
  /** Reads the names anew. Until then a listing stays as it is, so that a place in it keeps its meaning. */
  rewind(handle: HandleId): void;
  /** The names from the `from`th on, without "." and "..". Empty before the first `rewind`. */
  list(handle: HandleId, from: number): Iterable<ListedName>;
  /** An empty file, folder, or link to `target`. */
  makeFile(parent: NodeId, name: ByteString, permissions: number, by: Creator): FolderEntry;
  makeFolder(parent: NodeId, name: ByteString, permissions: number, by: Creator): FolderEntry;
  makeLink(parent: NodeId, name: ByteString, target: ByteString, by: Creator): FolderEntry;
  readLink(node: NodeId): ByteString;
  /** Another name for a file. */
  link(node: NodeId, parent: NodeId, name: ByteString): FolderEntry;
  /** @param keep Fail when the new name is taken. */
  rename(parent: NodeId, name: ByteString, newParent: NodeId, newName: ByteString, keep: boolean): void;
  removeFile(parent: NodeId, name: ByteString): void;
  removeFolder(parent: NodeId, name: ByteString): void;
  space(): FileSystemSpace;
  /** Plain data: the guest's nodes and handles, for a snapshot. */
  saveState(): unknown;
  /**
   * Takes over what `saveState` gave, perhaps in another process: nodes and handles are found again by their names. What
   * is not there any more is stale, and the rest works. Returns what is wrong with a state that is none.
   */
  restoreState(state: unknown): string | undefined;
  /** The driver is gone: closes all handles and forgets all references. */
  reset(): void;
  /** Lets go of everything; the folder is of no use afterwards. */
  dispose(): void;
}
