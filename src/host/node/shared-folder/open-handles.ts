import { closeSync, constants } from "node:fs";
import { FolderError } from "../../linux-errors.ts";
import type { HandleId, ListedName } from "../../shared-folder.ts";
import type { FolderNode } from "./node-table.ts";

const { O_RDWR, O_WRONLY } = constants;
/** Names in listings of folders that are open, of all together. */
const MOST_LISTED = 1 << 20;

interface OpenFile {
  readonly kind: "file";
  readonly node: FolderNode;
  readonly descriptor: number;
  readonly writable: boolean;
  /** Access and O_SYNC, with which it can be opened again. */
  readonly flags: number;
  /** Calls of the host that use the descriptor still; it is closed behind the last. */
  uses: number;
  closed: boolean;
}

export interface OpenFolder {
  readonly kind: "folder";
  readonly node: FolderNode;
  names: readonly ListedName[];
}

/** The files and folders that a guest has open. */
export class OpenHandles {
  readonly #most: number;
  readonly #onClosed: (node: FolderNode) => void;
  readonly #handles = new Map<HandleId, OpenFile | OpenFolder>();
  /** Files open on a node, for calls that would rather use a descriptor than a name. */
  readonly #byNode = new Map<FolderNode, Set<OpenFile>>();
  /** Handles of a saved guest that could not be opened again. */
  readonly #lost = new Set<HandleId>();
  #listed = 0;
  #nextId: HandleId = 1;

  /** @param most Handles at a time. */
  constructor(most: number, onClosed: (node: FolderNode) => void) {
    this.#most = most;
    this.#onClosed = onClosed;
  }

  get size(): number {
    return this.#handles.size;
  }

  /** To be asked before a descriptor is opened for `addFile`. */
  checkRoom(): void {
    if (this.#handles.size >= this.#most) throw new FolderError("ENFILE");
  }

  addFile(node: FolderNode, descriptor: number, flags: number): HandleId {
    const writable = (flags & (O_WRONLY | O_RDWR)) !== 0;
    const file: OpenFile = { kind: "file", node, descriptor, writable, flags, uses: 0, closed: false };
    this.#byNode.set(node, (this.#byNode.get(node) ?? new Set()).add(file));
    return this.#add(file);
  }

  addFolder(node: FolderNode): HandleId {
    return this.#add({ kind: "folder", node, names: [] });
  }

  file(id: HandleId): OpenFile {
    const handle = this.any(id);
    if (handle.kind !== "file") throw new FolderError("EBADF");
    return handle;
  }

  folder(id: HandleId): OpenFolder {
    const handle = this.any(id);
    if (handle.kind !== "folder") throw new FolderError("EBADF");
    return handle;
  }

  any(id: HandleId): OpenFile | OpenFolder {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FolderError(this.#lost.has(id) ? "ESTALE" : "EBADF");
    return handle;
  }

  has(id: HandleId): boolean {
    return this.#handles.has(id);
  }

  get nextId(): HandleId {
    return this.#nextId;
  }

  get all(): IterableIterator<[HandleId, OpenFile | OpenFolder]> {
    return this.#handles.entries();
  }

  /** The next handle gets this number, which must not be taken. */
  continueFrom(nextId: HandleId): void {
    this.#nextId = nextId;
  }

  /** A saved handle could not be opened again. */
  lose(id: HandleId): void {
    this.#lost.add(id);
  }

  /** A file open on the node, for writing if that matters. */
  openOn(node: FolderNode, writable: boolean): OpenFile | undefined {
    for (const file of this.#byNode.get(node) ?? []) if (file.writable || !writable) return file;
    return undefined;
  }

  setNames(folder: OpenFolder, names: readonly ListedName[]): void {
    const listed = this.#listed - folder.names.length + names.length;
    if (listed > MOST_LISTED) throw new FolderError("ENOMEM");
    this.#listed = listed;
    folder.names = names;
  }

  /** Keeps the descriptor open until `operation` has settled. */
  async whileOpen(file: OpenFile, operation: () => Promise<void>): Promise<void> {
    file.uses++;
    try {
      await operation();
    } finally {
      file.uses--;
      if (file.closed && file.uses === 0) closeSync(file.descriptor);
    }
  }

  close(id: HandleId): void {
    if (this.#lost.delete(id)) return;
    const handle = this.any(id);
    this.#handles.delete(id);
    if (handle.kind === "folder") this.setNames(handle, []);
    else this.#closeFile(handle);
    handle.node.openHandles--;
    this.#onClosed(handle.node);
  }

  closeAll(): void {
    for (const id of [...this.#handles.keys()]) this.close(id);
    this.#lost.clear();
  }

  #closeFile(file: OpenFile): void {
    file.closed = true;
    if (file.uses === 0) closeSync(file.descriptor);
    const others = this.#byNode.get(file.node);
    others?.delete(file);
    if (others?.size === 0) this.#byNode.delete(file.node);
  }

  #add(handle: OpenFile | OpenFolder): HandleId {
    this.checkRoom();
    handle.node.openHandles++;
    const id = this.#nextId++;
    this.#handles.set(id, handle);
    return id;
  }
}

/** What of the flags of open() is needed to open a file again. */
export function reopenFlags(flags: number): number {
  return flags & (O_WRONLY | O_RDWR | constants.O_SYNC);
}
