import type { HostStream, HostStreamEvents } from "./network.ts";

/** What waits in one direction; above it its sender is paused, below the half it goes on. */
const MOST_WAITING_BYTES = 256 << 10;

interface End {
  stream: HostStream | undefined;
  /** Written to it, and not yet taken. */
  waitingBytes: number;
  over: boolean;
}

/** Carries what comes from one stream to another, both ways, until both are over. */
export class JoinedStreams {
  readonly #near: End = { stream: undefined, waitingBytes: 0, over: false };
  readonly #far: End = { stream: undefined, waitingBytes: 0, over: false };
  readonly #onConnected: () => void;

  /** @param onConnected The far stream, which is being connected, is there. */
  constructor(onConnected: () => void) {
    this.#onConnected = onConnected;
  }

  set near(stream: HostStream) {
    this.#near.stream = stream;
  }

  set far(stream: HostStream) {
    this.#far.stream = stream;
  }

  get nearEvents(): HostStreamEvents {
    return this.#eventsOf(this.#near, this.#far, () => {});
  }

  get farEvents(): HostStreamEvents {
    return this.#eventsOf(this.#far, this.#near, this.#onConnected);
  }

  #eventsOf(own: End, other: End, connected: () => void): HostStreamEvents {
    return {
      connected,
      data: (bytes) => {
        other.waitingBytes += bytes.length;
        // The bytes are good for this call only.
        other.stream?.write(bytes.slice());
        if (other.waitingBytes > MOST_WAITING_BYTES) own.stream?.pause();
      },
      ended: () => other.stream?.end(),
      written: (bytes) => {
        own.waitingBytes -= bytes;
        if (own.waitingBytes <= MOST_WAITING_BYTES / 2) other.stream?.resume();
      },
      closed: (failure) => {
        own.over = true;
        if (!other.over && failure !== undefined) {
          other.over = true;
          other.stream?.reset();
        }
      },
    };
  }
}
