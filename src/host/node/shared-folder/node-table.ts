import { FolderError } from "../../linux-errors.ts";
import { type ByteString, type NodeId, ROOT, TYPE_FOLDER } from "../../shared-folder.ts";

/** More are refused: a guest of 3 GiB has no room for so many either. */
const MOST_NODES = 1 << 20;
/** Names of one file that are remembered; the others are found again when they are looked up. */
const MOST_PLACES = 16;

/** Where a node has its name. */
export interface Place {
  readonly parent: FolderNode;
  readonly name: ByteString;
}

/** A file, folder or link of the host that the guest refers to, or that holds one. */
export interface FolderNode {
  readonly id: NodeId;
  /** st_dev and st_ino */
  readonly device: bigint;
  readonly inode: bigint;
  /** The type bits of st_mode */
  readonly type: number;
  references: number;
  /** Handles that are open on it. */
  openHandles: number;
  /** Where it was last seen, the latest first. A folder has one place. */
  places: Place[];
  /** Nodes that have a place in here. */
  readonly entries: Map<ByteString, FolderNode>;
}

/** What identifies a file of the host. */
export interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly type: number;
}

/**
 * The nodes that a guest knows, as a tree by the names under which they were
 * last seen. The tree is a memory of what the host's folder looked like; who
 * reaches for a file through it must check that the file is still the one.
 */
export class NodeTable {
  readonly root: FolderNode;
  readonly #nodes = new Map<NodeId, FolderNode>();
  /** By device, then by inode. */
  readonly #byIdentity = new Map<bigint, Map<bigint, FolderNode>>();
  readonly #onGone: (node: FolderNode) => void;
  #nextId: NodeId = ROOT;

  /** @param onGone Is called when nothing refers to a node any more. */
  constructor(root: Identity, onGone: (node: FolderNode) => void) {
    this.#onGone = onGone;
    this.root = this.#add(root);
    this.root.references = 1;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** @throws {FolderError} ESTALE for a number that stands for nothing. */
  get(id: NodeId): FolderNode {
    const node = this.#nodes.get(id);
    // One that is kept for what is in it alone is no longer the guest's.
    if (node === undefined || node.references === 0) throw new FolderError("ESTALE");
    return node;
  }

  /** The node of what was seen under `name`, with one more reference. */
  found(parent: FolderNode, name: ByteString, identity: Identity): FolderNode {
    const node = this.#known(identity) ?? this.#add(identity);
    node.references++;
    if (node !== this.root) this.#place(node, parent, name);
    return node;
  }

  /** Takes references away; the root keeps its own. */
  forget(node: FolderNode, references: number): void {
    node.references = Math.max(node === this.root ? 1 : 0, node.references - references);
    this.release(node);
  }

  /** `name` no longer is what was seen there. */
  removePlace(parent: FolderNode, name: ByteString): void {
    const node = parent.entries.get(name);
    if (node === undefined) return;
    parent.entries.delete(name);
    node.places = node.places.filter((place) => place.parent !== parent || place.name !== name);
    // The host may give its inode to another file now.
    if (node.places.length === 0 && node.openHandles === 0) this.#forgetIdentity(node);
    this.release(parent);
  }

  /** The host has renamed what was at the one place to the other. */
  move(from: Place, to: Place): void {
    const node = from.parent.entries.get(from.name);
    if (node === undefined) {
      this.removePlace(to.parent, to.name);
      return;
    }
    if (to.parent.entries.get(to.name) === node) return; // two names of one file: rename() leaves both
    this.#place(node, to.parent, to.name);
    this.removePlace(from.parent, from.name);
  }

  /** Every node, folders before what is in them. */
  *fromRoot(): Generator<FolderNode> {
    const told = new Set<FolderNode>();
    const pending = [this.root];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (told.has(next)) continue;
      told.add(next);
      yield next;
      pending.push(...next.entries.values());
    }
    for (const node of this.#nodes.values()) if (!told.has(node)) yield node;
  }

  get nextId(): NodeId {
    return this.#nextId;
  }

  /** Makes a node of a saved one; without an identity it is one that is no longer there. Numbers below `nextId` only. */
  restore(id: NodeId, references: number, type: number, identity: Identity | undefined): FolderNode {
    if (this.#nodes.size >= MOST_NODES) throw new FolderError("ENFILE");
    const { device, inode } = identity ?? { device: -1n, inode: -1n };
    const node: FolderNode = {
      ...{ id, device, inode, type, references },
      ...{ openHandles: 0, places: [], entries: new Map() },
    };
    this.#nodes.set(id, node);
    if (identity !== undefined && this.#known(identity) === undefined) this.#remember(node);
    return node;
  }

  /** A saved node is known by the number, whether the guest refers to it or not. */
  restored(id: NodeId): FolderNode | undefined {
    return this.#nodes.get(id);
  }

  restorePlace(node: FolderNode, parent: FolderNode, name: ByteString): void {
    this.#place(node, parent, name);
  }

  continueFrom(nextId: NodeId): void {
    this.#nextId = Math.max(this.#nextId, nextId);
  }

  /** Drops all references but the root's. */
  reset(): void {
    for (const node of [...this.#nodes.values()]) {
      if (node !== this.root) this.#drop(node);
      node.entries.clear();
    }
    this.root.references = 1;
  }

  /** Forgets a node when nothing refers to it, and then the folders that were only kept for it. */
  release(node: FolderNode): void {
    const pending = [node];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (next === this.root || next.references > 0 || next.entries.size > 0 || next.openHandles > 0)
        continue;
      if (!this.#nodes.has(next.id)) continue;
      this.#drop(next);
      for (const { parent, name } of next.places) {
        parent.entries.delete(name);
        pending.push(parent);
      }
      next.places = [];
    }
  }

  #known({ device, inode, type }: Identity): FolderNode | undefined {
    const node = this.#byIdentity.get(device)?.get(inode);
    return node?.type === type ? node : undefined;
  }

  #add({ device, inode, type }: Identity): FolderNode {
    if (this.#nodes.size >= MOST_NODES) throw new FolderError("ENFILE");
    const node: FolderNode = {
      ...{ id: this.#nextId++, device, inode, type },
      ...{ references: 0, openHandles: 0, places: [], entries: new Map() },
    };
    this.#nodes.set(node.id, node);
    this.#remember(node);
    return node;
  }

  #remember(node: FolderNode): void {
    const ofDevice = this.#byIdentity.get(node.device) ?? new Map<bigint, FolderNode>();
    this.#byIdentity.set(node.device, ofDevice.set(node.inode, node));
  }

  #place(node: FolderNode, parent: FolderNode, name: ByteString): void {
    if (parent.entries.get(name) === node) return;
    this.removePlace(parent, name);
    if (node.type === TYPE_FOLDER) this.#cutCycle(node, parent);
    const most = node.type === TYPE_FOLDER ? 1 : MOST_PLACES;
    while (node.places.length >= most) {
      const oldest = node.places.pop();
      if (oldest === undefined) break;
      oldest.parent.entries.delete(oldest.name);
      this.release(oldest.parent);
    }
    node.places.unshift({ parent, name });
    parent.entries.set(name, node);
  }

  /** When the host has moved folders into each other's place, the older memory goes. */
  #cutCycle(node: FolderNode, parent: FolderNode): void {
    for (let above: FolderNode | undefined = parent; above !== undefined; above = above.places[0]?.parent) {
      const place: Place | undefined = above.places[0];
      if (above === node) {
        for (const old of node.places.splice(0)) old.parent.entries.delete(old.name);
        return;
      }
      if (place?.parent !== node) continue;
      above.places = [];
      node.entries.delete(place.name);
      return;
    }
  }

  #drop(node: FolderNode): void {
    this.#nodes.delete(node.id);
    this.#forgetIdentity(node);
    this.#onGone(node);
  }

  #forgetIdentity(node: FolderNode): void {
    const ofDevice = this.#byIdentity.get(node.device);
    if (ofDevice?.get(node.inode) !== node) return;
    ofDevice.delete(node.inode);
    if (ofDevice.size === 0) this.#byIdentity.delete(node.device);
  }
}
