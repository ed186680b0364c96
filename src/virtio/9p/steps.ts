import { FolderError } from "../../host/linux-errors.ts";
import { type FolderEntry, type NodeId, ROOT, type SharedFolder } from "../../host/shared-folder.ts";

/** One name further; ".." leads up, but not out of the shared folder. */
export function step(folder: SharedFolder, node: NodeId, name: string): FolderEntry | undefined {
  if (name !== "..") return folder.lookup(node, name);
  if (node === ROOT) return same(folder, ROOT);
  const place = folder.placeOf(node);
  if (place === undefined) throw new FolderError("ESTALE");
  return same(folder, place.parent, 0);
}

/** The node itself as an entry, with so many more references. */
export function same(folder: SharedFolder, node: NodeId, references = 1): FolderEntry {
  const attributes = folder.attributes(node);
  if (references > 0) folder.refer(node);
  return { node, attributes };
}

/** Calls `use` with where the node has its name. */
export function atPlace(
  folder: SharedFolder,
  node: NodeId,
  use: (parent: NodeId, name: string) => void,
): void {
  const place = folder.placeOf(node);
  if (place === undefined) throw new FolderError("EBUSY");
  try {
    use(place.parent, place.name);
  } finally {
    folder.forget(place.parent, 1);
  }
}
