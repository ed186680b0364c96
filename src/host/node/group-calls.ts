import * as fs from "node:fs";
import type { BytePieces } from "../byte-pieces.ts";

/** Reads as many pieces as one call of the host takes. One piece costs less by the plain call. */
export function readGroup(descriptor: number, group: BytePieces, at: number): number {
  const [only] = group;
  return only !== undefined && group.length === 1
    ? fs.readSync(descriptor, only, 0, only.length, at)
    : fs.readvSync(descriptor, group, at);
}

/** The same the other way. */
export function writeGroup(descriptor: number, group: BytePieces, at: number): number {
  const [only] = group;
  return only !== undefined && group.length === 1
    ? fs.writeSync(descriptor, only, 0, only.length, at)
    : fs.writevSync(descriptor, group, at);
}
