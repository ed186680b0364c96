import type { EthernetPort, Frame } from "../../host/ethernet-port.ts";
import { plainFrames } from "../link/segmentation.ts";
import { captureFrame, captureHeader } from "./pcapng.ts";

const LONGEST_FRAME_BYTES = 262144;

/** A port that passes everything on and records it, cut to segments and with checksums as a wire would have it. */
export class CapturingPort implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #port: EthernetPort;
  readonly #record: (frame: Frame, inbound: boolean) => void;

  /** `write` takes the capture file's bytes; `unixTimeNs` gives the time since 1970. */
  constructor(port: EthernetPort, write: (bytes: Uint8Array) => void, unixTimeNs: () => bigint) {
    this.#port = port;
    write(captureHeader(LONGEST_FRAME_BYTES));
    this.#record = (frame, inbound) => {
      for (const plain of plainFrames(frame)) write(captureFrame(plain, unixTimeNs(), inbound));
    };
    port.onFrame = (frame) => {
      this.#record(frame, true);
      this.onFrame(frame);
    };
  }

  saveState(): unknown {
    return this.#port.saveState?.();
  }

  restoreState(state: unknown): void {
    this.#port.restoreState?.(state);
  }

  send(frame: Frame): void {
    this.#record(frame, false);
    this.#port.send(frame);
  }
}
