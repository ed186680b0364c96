import type { ByteString, HandleId, ListedName, NodeId } from "../../shared-folder.ts";

/** What a guest knows of a shared folder, by names: a snapshot may go on where inodes are others. */
export interface FolderState {
  /** Folders come before what is in them. */
  readonly nodes: readonly SavedNode[];
  readonly nextNode: NodeId;
  readonly handles: readonly SavedHandle[];
  readonly nextHandle: HandleId;
}

export interface SavedNode {
  readonly id: NodeId;
  readonly references: number;
  readonly type: number;
  /** Where it was seen; none for what has lost its name. */
  readonly places: readonly { readonly parent: NodeId; readonly name: ByteString }[];
}

export interface SavedHandle {
  readonly id: HandleId;
  readonly node: NodeId;
  /** Access and O_SYNC of a file; null for a folder. */
  readonly flags: number | null;
  /** A folder's listing. */
  readonly names: readonly ListedName[];
}

/** Whether numbers and names of a state, which may come from anyone, are such. */
export function isFolderState(state: unknown): state is FolderState {
  const { nodes, nextNode, handles, nextHandle } = (state ?? {}) as FolderState;
  return (
    [nextNode, nextHandle].every(isNumber) &&
    [nodes, handles].every(Array.isArray) &&
    nodes.every(isNode) &&
    handles.every(isHandle)
  );
}

function isNode(node: SavedNode): boolean {
  const { id, references, type, places } = node ?? {};
  const isPlace = (place: SavedNode["places"][number]) =>
    isNumber(place?.parent) && typeof place.name === "string";
  return [id, references, type].every(isNumber) && Array.isArray(places) && places.every(isPlace);
}

function isHandle(handle: SavedHandle): boolean {
  const { id, node, flags, names } = handle ?? {};
  const isName = (name: ListedName) => typeof name?.name === "string" && isNumber(name.type);
  return (
    [id, node].every(isNumber) &&
    (flags === null || isNumber(flags)) &&
    Array.isArray(names) &&
    names.every(isName)
  );
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
