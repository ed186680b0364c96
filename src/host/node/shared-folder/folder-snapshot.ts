import { lstatSync } from "node:fs";
import { FolderError } from "../../linux-errors.ts";
import { ROOT, TYPE_FOLDER } from "../../shared-folder.ts";
import { identityOf } from "./file-attributes.ts";
import type { FolderState, SavedHandle, SavedNode } from "./folder-state.ts";
import type { HostPaths } from "./host-paths.ts";
import { checkName } from "./names.ts";
import type { NodeAccess } from "./node-access.ts";
import type { FolderNode, Identity, NodeTable } from "./node-table.ts";
import { type OpenHandles, reopenFlags } from "./open-handles.ts";

interface FolderParts {
  readonly nodes: NodeTable;
  readonly handles: OpenHandles;
  readonly paths: HostPaths;
  readonly access: NodeAccess;
  readonly readOnly: boolean;
}

export function saveFolder(nodes: NodeTable, handles: OpenHandles): FolderState {
  return {
    nodes: [...nodes.fromRoot()].map(({ id, references, type, places }) => ({
      ...{ id, references, type },
      places: places.map(({ parent, name }) => ({ parent: parent.id, name })),
    })),
    nextNode: nodes.nextId,
    handles: [...handles.all].map(([id, handle]) => ({
      ...{ id, node: handle.node.id },
      flags: handle.kind === "file" ? handle.flags : null,
      names: handle.kind === "file" ? [] : [...handle.names],
    })),
    nextHandle: handles.nextId,
  };
}

/**
 * Finds nodes and handles of a saved guest again, into tables that are empty. Nothing of the state is trusted: names are
 * checked as a guest's are, and reached as a guest reaches them.
 */
export function restoreFolder(state: FolderState, parts: FolderParts): void {
  const { nodes, handles } = parts;
  for (const node of state.nodes) restoreNode(node, state.nextNode, parts);
  // Places in folders that came later: other names of a file.
  for (const node of state.nodes) restorePlaces(node, parts);
  nodes.continueFrom(state.nextNode);
  for (const handle of state.handles) restoreHandle(handle, state.nextHandle, parts);
  handles.continueFrom(Math.max(state.nextHandle, handles.nextId));
}

function restoreNode(saved: SavedNode, nextId: number, parts: FolderParts): void {
  const { id, references, type, places } = saved;
  const { nodes } = parts;
  if (id === ROOT) {
    nodes.root.references = Math.max(1, references);
    return;
  }
  if (id >= nextId || nodes.restored(id) !== undefined) throw new FolderError("EINVAL");
  const found = places.flatMap(({ parent, name }) => {
    const folder = nodes.restored(parent);
    const identity = folder && look(folder, name, type, parts);
    return folder && identity ? [{ folder, name, identity }] : [];
  });
  const node = nodes.restore(id, references, type, found[0]?.identity);
  if (found[0] !== undefined) nodes.restorePlace(node, found[0].folder, found[0].name);
}

/** The first place counts as the latest, so the others are put in behind it. */
function restorePlaces({ id, type, places }: SavedNode, parts: FolderParts): void {
  const node = parts.nodes.restored(id);
  if (node === undefined || id === ROOT || type === TYPE_FOLDER || places.length < 2) return;
  for (const { parent, name } of [...places].reverse()) {
    const folder = parts.nodes.restored(parent);
    const identity = folder && look(folder, name, type, parts);
    if (folder !== undefined && identity?.inode === node.inode && identity.device === node.device)
      parts.nodes.restorePlace(node, folder, name);
  }
}

/** What has the name now; undefined for nothing, or another kind of thing. */
function look(folder: FolderNode, name: string, type: number, { paths }: FolderParts): Identity | undefined {
  checkName(name);
  if (folder.type !== TYPE_FOLDER) throw new FolderError("ENOTDIR");
  try {
    const stats = lstatSync(paths.inFolder(folder, name), { bigint: true, throwIfNoEntry: false });
    const identity = stats && identityOf(stats);
    return identity?.type === type ? identity : undefined;
  } catch {
    return undefined; // its folder is gone, or may not be read any more
  }
}

function restoreHandle({ id, node, flags, names }: SavedHandle, nextId: number, parts: FolderParts): void {
  const { nodes, handles, access, readOnly } = parts;
  if (id >= nextId || handles.has(id)) throw new FolderError("EINVAL");
  try {
    const opened = nodes.restored(node);
    if (opened === undefined) throw new FolderError("ESTALE");
    handles.continueFrom(id);
    if (flags !== null) {
      const wanted = reopenFlags(flags);
      if (readOnly && wanted !== 0) throw new FolderError("EROFS");
      handles.checkRoom();
      handles.addFile(opened, access.openFile(opened, wanted), wanted);
    } else if (opened.type === TYPE_FOLDER)
      handles.setNames(handles.folder(handles.addFolder(opened)), names);
    else throw new FolderError("ENOTDIR");
  } catch {
    handles.lose(id);
  }
}
