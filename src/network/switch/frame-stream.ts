import { readU32, writeU32 } from "../big-endian.ts";

/** Longer ones are not frames: the stream is out of step, or its sender is. */
const MAXIMUM_BYTES = 65536 + 64;
const LENGTH_BYTES = 4;

/** A frame as a stream has it: its length in four bytes, then itself. QEMU's `-netdev stream` speaks the same. */
export function frameMessage(frame: Uint8Array): Uint8Array {
  const message = new Uint8Array(LENGTH_BYTES + frame.length);
  writeU32(message, 0, frame.length);
  message.set(frame, LENGTH_BYTES);
  return message;
}

/** Finds frames in a stream of bytes. */
export class FrameReader {
  #rest = new Uint8Array();

  /** Takes what has come; undefined when it cannot be a stream of frames. */
  read(bytes: Uint8Array): Uint8Array[] | undefined {
    const all = this.#rest.length === 0 ? bytes : join(this.#rest, bytes);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at + LENGTH_BYTES <= all.length) {
      const length = readU32(all, at);
      if (length > MAXIMUM_BYTES) return undefined;
      if (at + LENGTH_BYTES + length > all.length) break;
      at += LENGTH_BYTES;
      frames.push(all.slice(at, at + length));
      at += length;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
