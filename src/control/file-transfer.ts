import { VmError } from "../layout/vm-error.ts";
import type { GuestControl } from "./guest-control.ts";

/** Sent or fetched at a time: other requests get their turn between. */
export const PIECE_BYTES = 1 << 20;

/** A file of the guest, piece by piece. */
export async function* receiveFile(
  control: Pick<GuestControl, "readFile">,
  path: string,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const piece = await control.readFile(path, offset, PIECE_BYTES);
    if (piece.length > 0) yield piece;
    if (piece.length < PIECE_BYTES) return;
    offset += piece.length;
  }
}

/** Makes a file in the guest, or replaces what is in it. */
export async function sendFile(
  control: Pick<GuestControl, "writeFile">,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  path: string,
  mode?: number,
): Promise<void> {
  let append = false;
  for await (const piece of pieces) {
    await control.writeFile(path, piece, { append, mode: append ? undefined : mode });
    append = true;
  }
  if (!append) await control.writeFile(path, new Uint8Array(), { append, mode });
}

/** @throws {VmError} `guest-file-failed`, also where the file has more than `mostBytes`. */
export async function readWhole(control: GuestControl, path: string, mostBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of receiveFile(control, path)) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes > mostBytes)
      throw new VmError({ code: "guest-file-failed", path, reason: `it has more than ${mostBytes} bytes` });
  }
  return joinBytes(pieces);
}

export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
