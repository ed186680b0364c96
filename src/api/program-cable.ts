import type { EthernetPort, Frame } from "../host/ethernet-port.ts";
import { plainFrames } from "../network/link/segmentation.ts";

/** Frames that the program has not taken yet; more are lost. */
const MOST_WAITING_BYTES = 4 << 20;

/** In the machine's thread: the guest's end of a cable to the program. */
export class ProgramCable implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #post: (bytes: Uint8Array<ArrayBuffer>) => void;
  #waitingBytes = 0;

  constructor(post: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#post = post;
  }

  send(frame: Frame): void {
    for (const bytes of plainFrames(frame)) {
      if (this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) return;
      this.#waitingBytes += bytes.length;
      this.#post(Uint8Array.from(bytes));
    }
  }

  taken(bytes: number): void {
    this.#waitingBytes -= bytes;
  }
}
