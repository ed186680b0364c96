import path from "node:path";
import { nodeDecompressor } from "./decompressor.ts";
import { FileStore } from "./file-store.ts";

/** Disks in files of this host. */
export const nodeDiskHost = {
  decompressor: nodeDecompressor,
  openFile: (file: string, { readOnly, from }: { readOnly: boolean; from?: string }): Promise<FileStore> =>
    FileStore.open(from === undefined ? file : path.resolve(path.dirname(from), file), { readOnly }),
};
