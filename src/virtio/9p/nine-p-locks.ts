import { FolderError } from "../../host/linux-errors.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { LOCK_NONE, LOCK_SUCCESS } from "./protocol.ts";
import { readString, writeString } from "./structures.ts";

// Linux' driver takes a lock among the guest's own processes before it asks for it here, and nobody else uses the
// device: no lock is ever in the way. A second table could only err, since the protocol says neither whether a lock
// is fcntl's or flock's, nor which descriptors share one.

/** Tlock */
export function setLock(body: ByteReader): ByteWriter {
  const type = body.u8();
  body.skip(4 + 8 + 8 + 4); // whether to wait, start, length, process
  readString(body);
  if (type > LOCK_NONE) throw new FolderError("EINVAL");
  return new ByteWriter(1).u8(LOCK_SUCCESS);
}

/** Tgetlock: which lock would be in the way. */
export function getLock(body: ByteReader): ByteWriter {
  if (body.u8() > LOCK_NONE) throw new FolderError("EINVAL");
  const [start, length, process] = [body.u64(), body.u64(), body.u32()];
  return writeString(new ByteWriter().u8(LOCK_NONE).u64(start).u64(length).u32(process), readString(body));
}
