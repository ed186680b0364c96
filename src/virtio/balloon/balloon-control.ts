/** What the guest says of its memory, in bytes or counts; what it does not say is absent. */
export interface MemoryStatistics {
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  /** What programs could have without swapping. */
  readonly availableBytes?: number;
  readonly cacheBytes?: number;
  readonly majorFaults?: number;
  readonly minorFaults?: number;
  readonly swappedInBytes?: number;
  readonly swappedOutBytes?: number;
}

/** The device's end, from when a machine is built with it. */
export interface BalloonDevice {
  targetChanged(): void;
  askForStatistics(): void;
}

/** The host's end of a guest's balloon: how much memory the guest is to leave alone. It outlives resets. */
export class BalloonControl {
  #targetBytes = 0;
  /** What the guest has given up. */
  inflatedBytes = 0;
  /** Free pages that the guest has reported since the machine was built. */
  reportedBytes = 0;
  #device: BalloonDevice | undefined;
  #asked: ((statistics: MemoryStatistics) => void)[] = [];

  get targetBytes(): number {
    return this.#targetBytes;
  }

  /** The guest gives up so much memory, as soon as it can, or takes it back. */
  setTarget(bytes: number): void {
    this.#targetBytes = bytes;
    this.#device?.targetChanged();
  }

  /** Resolves when the guest's driver answers; a guest without one never does. */
  statistics(): Promise<MemoryStatistics> {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      this.#device?.askForStatistics();
    });
  }

  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  /** For the device. */
  attach(device: BalloonDevice): void {
    this.#device = device;
  }

  answer(statistics: MemoryStatistics): void {
    for (const resolve of this.#asked.splice(0)) resolve(statistics);
  }
}
