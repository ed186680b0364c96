import type { BytePieces } from "../../host/byte-pieces.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";

/** The guest's memory behind a message: files are read and written there, without a copy of ours. */
export interface MessageMemory {
  /** Room for the reply, without its header. */
  readonly room: number;
  /** `length` bytes that the driver has sent, or as many as there are, from `offset` behind the message's header on. */
  sent(offset: number, length: number): BytePieces;
  /** Has `fill` put up to `length` bytes into the reply, from `offset` behind its header on; returns how many it did. */
  reply(offset: number, length: number, fill: (into: BytePieces) => number): number;
}

/** A reply whose data are in place already, behind its head. */
export class DataReply {
  readonly head: Uint8Array;
  readonly dataBytes: number;

  constructor(head: Uint8Array, dataBytes: number) {
    this.head = head;
    this.dataBytes = dataBytes;
  }
}

/** The memory of a message whose headers have these lengths. */
export function messageMemory(
  { readable, writable }: DescriptorChain,
  requestHeaderBytes: number,
  replyHeaderBytes: number,
): MessageMemory {
  return {
    room: Math.max(0, writable.length - replyHeaderBytes),
    sent: (offset, length) => readable.views(requestHeaderBytes + offset, length),
    reply: (offset, length, fill) => {
      const filled = fill(writable.views(replyHeaderBytes + offset, length));
      writable.noteWritten(replyHeaderBytes + offset, filled);
      return filled;
    },
  };
}
