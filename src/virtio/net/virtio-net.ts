import type { AccessBytes } from "../../bus/port-bus.ts";
import { type EthernetPort, type Frame, frameLength, MAXIMUM_FRAME_BYTES } from "../../host/ethernet-port.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import { HEADER_BYTES, isIpv6, packetHeader, readPacketHeader } from "./packet-header.ts";
import { ReceiveFilter, type ReceiveFilterState } from "./receive-filter.ts";

// virtio 1.2, "Network Device", "Feature bits".
const F_CSUM = 1n << 0n;
const F_GUEST_CSUM = 1n << 1n;
const F_MAC = 1n << 5n;
const F_GUEST_TSO4 = 1n << 7n;
const F_GUEST_TSO6 = 1n << 8n;
const F_HOST_TSO4 = 1n << 11n;
const F_HOST_TSO6 = 1n << 12n;
const F_MRG_RXBUF = 1n << 15n;
const F_STATUS = 1n << 16n;
const F_CTRL_VQ = 1n << 17n;
const F_CTRL_RX = 1n << 18n;
const F_CTRL_MAC_ADDR = 1n << 23n;

const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL = 2;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
const LINK_UP = 1;
const MINIMUM_FRAME_BYTES = 14;
/** Frames that wait for the driver to offer buffers; more are lost. */
const MAXIMUM_WAITING_BYTES = 4 * 2 ** 20;
const MAXIMUM_WAITING_FRAMES = 4096;

export interface VirtioNetParts {
  /** The cable. Its `onFrame` becomes this device's. */
  readonly port: EthernetPort;
  readonly mac: Uint8Array;
  /** Cuts a frame as on a wire, for a driver that does not take what is left undone in it. */
  readonly plainFrames: (frame: Frame) => readonly Uint8Array[];
  /** The guest was given a frame: if the machine sleeps, it has something to do. */
  readonly onReceive: () => void;
}

/** More addresses than the filter ever keeps. */
const MOST_FILTERED = 64;

interface NetworkCardState {
  readonly mac: Uint8Array;
  readonly filter: ReceiveFilterState;
  /** What the other end of the cable knows. */
  readonly network: unknown;
}

/**
 * A network card. Checksums and cutting to segments may be left undone in both
 * directions: at the other end is a program, not a wire.
 *
 * Source: virtio 1.2, "Network Device".
 */
export class VirtioNet implements VirtioDevice {
  readonly name = "virtio-net";
  readonly deviceId = 1;
  readonly classCode = 0x020000;
  readonly features =
    F_CSUM |
    F_GUEST_CSUM |
    F_MAC |
    F_GUEST_TSO4 |
    F_GUEST_TSO6 |
    F_HOST_TSO4 |
    F_HOST_TSO6 |
    F_MRG_RXBUF |
    F_STATUS |
    F_CTRL_VQ |
    F_CTRL_RX |
    F_CTRL_MAC_ADDR;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE];
  readonly #parts: VirtioNetParts;
  readonly #config = new Uint8Array(12);
  #driver: VirtioDriver | undefined;
  #filter: ReceiveFilter;
  /** Of a saved card, until its driver goes on. */
  #savedFilter: ReceiveFilterState | undefined;
  #savedNetwork: unknown;
  #waiting: Frame[] = [];
  #waitingBytes = 0;
  /** Buffers taken for a frame that needs more than there are. */
  #held: DescriptorChain[] = [];

  constructor(parts: VirtioNetParts) {
    this.#parts = parts;
    this.#config.set(parts.mac);
    this.#config.set([LINK_UP, 0, 1, 0], 6);
    this.#filter = new ReceiveFilter(parts.mac);
    parts.port.onFrame = (frame) => this.#receive(frame);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#filter = new ReceiveFilter(this.#parts.mac, this.#savedFilter);
    this.#savedFilter = undefined;
    if ((driver.features & F_CTRL_RX) !== 0n) this.#filter.activate();
    if (this.#savedNetwork !== undefined) this.#parts.port.restoreState?.(this.#savedNetwork);
    this.#savedNetwork = undefined;
  }

  /** Frames that wait stay here: nets lose frames. */
  saveState(): object {
    this.#driver?.queues[RECEIVE]?.putBack(this.#held.length);
    this.#held = [];
    const network = this.#parts.port.saveState?.() ?? null;
    return { mac: this.#config.slice(0, 6), filter: this.#filter.state, network };
  }

  restoreState(state: unknown): string | undefined {
    const { mac, filter, network } = state as NetworkCardState;
    const isMac = (bytes: unknown) => bytes instanceof Uint8Array && bytes.length === 6;
    if (!isMac(mac) || !isMac(filter?.mac) || !Array.isArray(filter.addresses))
      return "a card of another kind";
    if (filter.addresses.length > MOST_FILTERED || !filter.addresses.every(isMac))
      return "a card of another kind";
    this.#config.set(mac);
    this.#savedFilter = filter;
    this.#savedNetwork = network;
    return undefined;
  }

  handle(queue: number): void {
    if (queue === TRANSMIT) this.#transmit();
    else if (queue === CONTROL) this.#control();
    else if (queue === RECEIVE) this.#deliver();
  }

  reset(): void {
    this.#driver = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#held = [];
  }

  #transmit(): void {
    const driver = this.#driver;
    const queue = driver?.queues[TRANSMIT];
    if (driver === undefined || queue === undefined) return;
    for (const chain of queue.requests()) {
      const length = chain.readable.length - HEADER_BYTES;
      // A frame that no wire would carry is lost like a damaged one.
      if (length >= MINIMUM_FRAME_BYTES && length <= MAXIMUM_FRAME_BYTES) this.#send(chain, driver);
      queue.complete(chain, 0);
    }
    queue.signal();
  }

  #send(chain: DescriptorChain, driver: VirtioDriver): void {
    // Copied: the guest can change its buffer at any time.
    const bytes = chain.readable.read(HEADER_BYTES);
    const offload = readPacketHeader(chain.readable.read(0, HEADER_BYTES), bytes);
    if (offload === "broken" || (offload !== undefined && (driver.features & F_CSUM) === 0n)) return;
    this.#parts.port.send(offload === undefined ? { bytes } : { bytes, offload });
  }

  #control(): void {
    const queue = this.#driver?.queues[CONTROL];
    if (queue === undefined) return;
    for (const chain of queue.requests()) {
      if (!this.#filter.command(chain))
        this.#driver?.needsReset("a network command without room for its answer");
      queue.complete(chain, 1);
    }
    queue.signal();
  }

  #receive(frame: Frame): void {
    const driver = this.#driver;
    if (driver === undefined || frame.bytes.length < MINIMUM_FRAME_BYTES || !this.#filter.wants(frame.bytes))
      return;
    const isPlain = frame.offload === undefined || takesOffload(frame, driver.features);
    const frames = isPlain ? [frame] : this.#parts.plainFrames(frame).map((bytes): Frame => ({ bytes }));
    for (const each of frames) {
      const isFull = this.#waitingBytes + frameLength(each) > MAXIMUM_WAITING_BYTES;
      if (isFull || this.#waiting.length >= MAXIMUM_WAITING_FRAMES) break;
      this.#waiting.push(each);
      this.#waitingBytes += frameLength(each);
    }
    this.#deliver();
    this.#parts.onReceive();
  }

  /** Puts waiting frames into the driver's buffers while there are any. */
  #deliver(): void {
    const driver = this.#driver;
    const queue = driver?.queues[RECEIVE];
    if (driver === undefined || queue === undefined) return;
    const mergeable = (driver.features & F_MRG_RXBUF) !== 0n;
    let done = 0;
    for (const frame of this.#waiting) {
      const neededBytes = HEADER_BYTES + frameLength(frame);
      let room = this.#held.reduce((sum, chain) => sum + chain.writable.length, 0);
      while (room < neededBytes && (mergeable || this.#held.length === 0)) {
        const chain = queue.take();
        if (chain === undefined) break;
        this.#held.push(chain);
        room += chain.writable.length;
        // Buffers without room would be taken without end.
        if (this.#held.length > QUEUE_SIZE) return driver.needsReset("receive buffers without room");
      }
      if (room < neededBytes && (mergeable || this.#held.length === 0)) break;
      if (room >= neededBytes) this.#fill(frame);
      done++;
      this.#waitingBytes -= frameLength(frame);
    }
    if (done > 0) this.#waiting.splice(0, done);
    queue.signal();
  }

  /** Writes a frame to the buffers held, which have room for it. */
  #fill(frame: Frame): void {
    const queue = this.#driver!.queues[RECEIVE]!;
    const parts = [packetHeader(frame, this.#held.length), frame.bytes, frame.data ?? NOTHING];
    let part = 0;
    let at = 0;
    for (const chain of this.#held) {
      let written = 0;
      while (part < parts.length && written < chain.writable.length) {
        const bytes = parts[part]!;
        const put = chain.writable.write(at === 0 ? bytes : bytes.subarray(at), written);
        written += put;
        at += put;
        if (at < bytes.length) continue;
        part++;
        at = 0;
      }
      queue.complete(chain, written);
    }
    this.#held = [];
  }
}

const NOTHING = new Uint8Array();

/** True when a driver with `features` takes the frame with what is left undone in it. */
function takesOffload({ bytes, offload }: Frame, features: bigint): boolean {
  const cut = isIpv6(bytes) ? F_GUEST_TSO6 : F_GUEST_TSO4;
  return (features & F_GUEST_CSUM) !== 0n && (offload?.segmentBytes === 0 || (features & cut) !== 0n);
}
