import type { BigIntStats } from "node:fs";
import { type Attributes, TYPE_MASK } from "../../shared-folder.ts";
import type { Identity } from "./node-table.ts";
import type { OwnerMap } from "./owners.ts";

/** Where the number of the file system is put in an inode's, if it is not the root's. */
const DEVICE_SHIFT = 48n;

/** What the guest is shown of the host's files. */
export class FileAttributes {
  readonly #owners: OwnerMap;
  readonly #rootDevice: bigint;
  /** Other file systems below the root, in the order in which they were met. */
  readonly #devices: bigint[] = [];

  constructor(owners: OwnerMap, rootDevice: bigint) {
    this.#owners = owners;
    this.#rootDevice = rootDevice;
  }

  of(stats: BigIntStats): Attributes {
    return {
      inode: this.#inode(stats),
      mode: Number(stats.mode),
      links: Number(stats.nlink),
      ...this.#owners.toGuest(Number(stats.uid), Number(stats.gid)),
      device: Number(stats.rdev),
      sizeBytes: stats.size,
      blocks: stats.blocks,
      blockBytes: Number(stats.blksize),
      accessedNs: stats.atimeNs,
      modifiedNs: stats.mtimeNs,
      changedNs: stats.ctimeNs,
    };
  }

  /** The guest sees one file system: equal numbers in two of the host's must differ. */
  #inode({ dev, ino }: BigIntStats): bigint {
    if (dev === this.#rootDevice) return ino;
    let index = this.#devices.indexOf(dev);
    if (index < 0) index = this.#devices.push(dev) - 1;
    return BigInt.asUintN(64, ino ^ (BigInt(index + 1) << DEVICE_SHIFT));
  }
}

/** Whether what was found is still the file that a node stands for. One that is made may get the inode of one that has gone. */
export function isSameFile(node: Identity, stats: BigIntStats): boolean {
  const { device, inode, type } = identityOf(stats);
  return device === node.device && inode === node.inode && type === node.type;
}

export function identityOf({ dev, ino, mode }: BigIntStats): Identity {
  return { device: dev, inode: ino, type: Number(mode) & TYPE_MASK };
}
