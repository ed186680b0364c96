import type { HostPath } from "./names.ts";
import type { FolderNode } from "./node-table.ts";

/** How nodes become paths for calls of the host, without leaving the shared folder. */
export interface HostPaths {
  /** A path of `name` in `folder`. The call that takes it must not follow a link at its end. */
  inFolder(folder: FolderNode, name: string): HostPath;
  /** A path of the folder itself, safe to follow. */
  ofFolder(folder: FolderNode): HostPath;
  /** Calls `use` with a path of the very file that has a place here, safe to follow. Never for a symbolic link. */
  withFile<T>(node: FolderNode, place: { parent: FolderNode; name: string }, use: (path: HostPath) => T): T;
  /** The node is gone. */
  forget(node: FolderNode): void;
  dispose(): void;
}
