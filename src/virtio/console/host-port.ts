/** More than this waits for a guest that does not read: `write` says so. */
const PLENTY_BYTES = 256 << 10;

/** The device's end of a port, from when a machine is built with it. */
export interface PortDevice {
  /** The host has written, opened or closed, or takes bytes again. */
  changed(): void;
}

/**
 * The host's end of a port of the guest's console device: a stream of bytes
 * each way. It outlives resets of the machine.
 */
export class HostPort {
  /** What the guest finds as the port's name, such as org.qemu.guest_agent.0. */
  readonly name: string;
  /** A console of the guest (/dev/hvc0), and not a channel (/dev/vport0p1). */
  readonly isConsole: boolean;
  readonly #receive: (bytes: Uint8Array) => void;
  readonly #guestOpened: (open: boolean) => void;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #open = false;
  #congested = false;
  #guestHasItOpen = false;
  #device: PortDevice | undefined;

  /**
   * @param events.receive Gets what the guest sends, at most 64 KiB at a time.
   * @param events.guestOpened Tells whether a program of the guest has the port open.
   */
  constructor(
    name: string,
    events: { receive(bytes: Uint8Array): void; guestOpened?(open: boolean): void },
    { isConsole = false }: { isConsole?: boolean } = {},
  ) {
    this.name = name;
    this.isConsole = isConsole;
    this.#receive = (bytes) => events.receive(bytes);
    this.#guestOpened = (open) => events.guestOpened?.(open);
  }

  /** The host listens: the guest may open the port. What still waits at a `close` is dropped. */
  open(): void {
    this.#open = true;
    this.#device?.changed();
  }

  close(): void {
    this.#open = false;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#device?.changed();
  }

  /** Sends bytes to the guest. False: plenty waits already; ask `waitingBytes` before more. */
  write(bytes: Uint8Array): boolean {
    if (bytes.length > 0) {
      this.#waiting.push(bytes.slice());
      this.#waitingBytes += bytes.length;
      this.#device?.changed();
    }
    return this.#waitingBytes < PLENTY_BYTES;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** While true, what the guest sends stays with the guest. */
  set congested(congested: boolean) {
    this.#congested = congested;
    if (!congested) this.#device?.changed();
  }

  get congested(): boolean {
    return this.#congested;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether a program of the guest has the port open. */
  get guestOpened(): boolean {
    return this.#guestHasItOpen;
  }

  /** For the device: takes over the guest's end, which no program has open yet. */
  connect(device: PortDevice): void {
    this.tellGuestOpened(false);
    this.#device = device;
  }

  /** For the device: up to `most` bytes for the guest, which are gone from here. */
  take(most: number): Uint8Array {
    const first = this.#waiting[0] ?? new Uint8Array();
    const taken = first.subarray(0, most);
    if (taken.length === first.length) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(taken.length);
    this.#waitingBytes -= taken.length;
    return taken;
  }

  /** For the device: bytes of the guest. */
  deliver(bytes: Uint8Array): void {
    if (this.#open) this.#receive(bytes);
  }

  /** For the device: a program of the guest has opened or closed the port. */
  tellGuestOpened(open: boolean): void {
    if (open === this.#guestHasItOpen) return;
    this.#guestHasItOpen = open;
    this.#guestOpened(open);
  }
}
