import { FolderError } from "../../host/linux-errors.ts";
import type { NodeId } from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import type { Lock, LockTable } from "../sharing/lock-table.ts";
import * as P from "./protocol.ts";
import { readString, writeString } from "./structures.ts";

const END_OF_FILE = 2n ** 63n - 1n;

/** Tlock: a driver that is told "blocked" comes again after a while, if its process wants to wait. */
export function setLock(table: LockTable, node: NodeId, body: ByteReader): ByteWriter {
  const type = body.u8();
  body.skip(4); // whether to wait
  const { lock } = readRange(body, type);
  const reply = new ByteWriter(1);
  if (type === P.LOCK_NONE) {
    table.unlock(node, lock);
    return reply.u8(P.LOCK_SUCCESS);
  }
  return reply.u8(table.set(node, lock) ? P.LOCK_SUCCESS : P.LOCK_BLOCKED);
}

/** Tgetlock: which lock would be in the way. */
export function getLock(table: LockTable, node: NodeId, body: ByteReader): ByteWriter {
  const type = body.u8();
  const { lock, client } = readRange(body, type);
  const held = table.conflict(node, lock);
  const shown = held ?? lock;
  const shownType = held === undefined ? P.LOCK_NONE : held.exclusive ? P.LOCK_WRITE : P.LOCK_READ;
  const length = shown.end === END_OF_FILE ? 0n : shown.end - shown.start + 1n;
  const reply = new ByteWriter().u8(shownType).u64(shown.start).u64(length).u32(shown.process);
  return writeString(reply, client);
}

/** start[8] length[8] proc_id[4] client_id[s]; no length is up to the end of any file. */
function readRange(body: ByteReader, type: number): { lock: Lock; client: string } {
  const [start, length, process] = [body.u64(), body.u64(), body.u32()];
  const client = readString(body);
  if (type > P.LOCK_NONE || start > END_OF_FILE || client.length > 256) throw new FolderError("EINVAL");
  const end = length === 0n || start + length > END_OF_FILE ? END_OF_FILE : start + length - 1n;
  const owner = `${process}@${client}`;
  return { lock: { kind: "range", owner, start, end, process, exclusive: type === P.LOCK_WRITE }, client };
}
