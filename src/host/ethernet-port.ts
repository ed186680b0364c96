/**
 * An Ethernet frame from its destination address on, without preamble and
 * check sequence. Whoever is given a frame may keep its bytes, and nobody
 * changes them any more.
 */
export interface Frame {
  readonly bytes: Uint8Array;
  /** What follows `bytes`, which then end with the headers: so the data of a stream need not be copied. Only with an offload. */
  readonly data?: Uint8Array;
  /** What its sender has left to whoever puts it on a real wire; absent when nothing. */
  readonly offload?: Offload;
}

/** A transport checksum that is not computed yet and, for TCP, a payload that is not cut to segments yet. */
export interface Offload {
  /** Where the transport header begins. Its checksum field has the sum of the pseudo-header. */
  readonly checksumStart: number;
  /** The checksum field, from `checksumStart`. */
  readonly checksumOffset: number;
  /** How much payload each TCP segment is to have; 0 when the frame is one packet. */
  readonly segmentBytes: number;
}

export function frameLength({ bytes, data }: Frame): number {
  return bytes.length + (data?.length ?? 0);
}

/** One end of a cable. */
export interface EthernetPort {
  /** Sends a frame to the other end. A frame for which there is no room is lost. */
  send(frame: Frame): void;
  /** Called with each frame that comes from the other end; set by who holds the port. */
  onFrame: (frame: Frame) => void;
  /** Plain data: what the other end knows of the guest that it has to know again behind a snapshot. */
  saveState?(): unknown;
  /** Takes over what `saveState` gave, perhaps in another process. Anything else is passed over. */
  restoreState?(state: unknown): void;
}

/** The longest frame that may travel with an offload: an IP packet has at most 65535 bytes. */
export const MAXIMUM_FRAME_BYTES = 14 + 65535;
