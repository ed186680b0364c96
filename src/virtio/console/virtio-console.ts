import type { AccessBytes } from "../../bus/port-bus.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { SplitQueue } from "../queue/split-queue.ts";
import type { HostPort } from "./host-port.ts";

const F_MULTIPORT = 1n << 1n;
const QUEUE_SIZE = 64;
const MOST_PORTS = 30;
const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
/** What one buffer may hold; Linux sends at most 32 KiB. */
const MOST_BUFFER_BYTES = 1 << 20;
const PIECE_BYTES = 65536;
/** Control messages that wait for a driver without buffers; it breaks the rules when it makes more. */
const MOST_MESSAGES = 1000;
const MESSAGE_BYTES = 8;

// "Multiport Device Operation": events of control messages.
const DEVICE_READY = 0;
const DEVICE_ADD = 1;
const PORT_READY = 3;
const CONSOLE_PORT = 4;
const PORT_OPEN = 6;
const PORT_NAME = 7;

interface PortState {
  /** The driver has added the port. */
  ready: boolean;
  /** The driver was told that the host has it open. */
  toldOpen: boolean;
}

/** Everything a snapshot must carry. */
interface ConsoleState {
  readonly ports: readonly (PortState & { readonly guestOpened: boolean })[];
  /** Control messages that the driver has not taken. */
  readonly messages: readonly Uint8Array[];
}

/**
 * Consoles and named channels between guest and host.
 *
 * Source: virtio 1.2, "Console Device".
 */
export class VirtioConsole implements VirtioDevice {
  readonly name = "virtio-console";
  readonly deviceId = 3;
  readonly classCode = 0x078000;
  readonly features = F_MULTIPORT;
  readonly queueSizes: readonly number[];
  readonly #ports: readonly HostPort[];
  readonly #config = new Uint8Array(12);
  #states: PortState[] = [];
  #messages: Uint8Array[] = [];
  #driver: VirtioDriver | undefined;
  /** Of a saved console, until its driver goes on. */
  #saved: ConsoleState | undefined;

  /** @param ports 1 to 30; the first is the only one that a driver without multiport support sees. */
  constructor(ports: readonly HostPort[]) {
    if (ports.length < 1 || ports.length > MOST_PORTS)
      throw new RangeError(`a console with ${ports.length} ports; 1 to ${MOST_PORTS} are possible`);
    this.#ports = ports;
    // Each port has a queue either way; the second pair is for control.
    this.queueSizes = new Array<number>(2 * ports.length + 2).fill(QUEUE_SIZE);
    new DataView(this.#config.buffer).setUint32(4, ports.length, true);
    for (const [index, port] of ports.entries()) port.connect({ changed: () => this.#portChanged(index) });
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#messages = [];
    this.#states = this.#ports.map(() => ({ ready: !this.#isMultiport, toldOpen: false }));
    const saved = this.#saved;
    this.#saved = undefined;
    if (saved === undefined) return;
    this.#messages = [...saved.messages];
    for (const [index, { ready, toldOpen, guestOpened }] of saved.ports.entries()) {
      this.#states[index] = { ready, toldOpen };
      this.#ports[index]?.tellGuestOpened(guestOpened);
    }
  }

  saveState(): ConsoleState {
    const none = { ready: false, toldOpen: false };
    const ports = this.#ports.map((port, index) => ({
      ...(this.#states[index] ?? none),
      guestOpened: port.guestOpened,
    }));
    return { ports, messages: this.#messages.map((message) => Uint8Array.from(message)) };
  }

  restoreState(state: unknown): string | undefined {
    const { ports, messages } = state as ConsoleState;
    const isPort = (port: ConsoleState["ports"][number]) =>
      [port.ready, port.toldOpen, port.guestOpened].every((flag) => typeof flag === "boolean");
    const fits =
      Array.isArray(ports) &&
      Array.isArray(messages) &&
      messages.length <= MOST_MESSAGES &&
      messages.every((message) => message instanceof Uint8Array) &&
      ports.every(isPort);
    if (!fits || ports.length !== this.#ports.length) return `a console of ${ports?.length} ports`;
    this.#saved = { ports, messages };
    return undefined;
  }

  handle(queue: number): void {
    if (queue === CONTROL_TRANSMIT) this.#handleControl();
    else if (queue === CONTROL_RECEIVE) this.#sendMessages();
    else {
      const port = portOf(queue);
      if ((queue & 1) === 0) this.#fillReceive(port);
      else this.#drainTransmit(port);
    }
  }

  reset(): void {
    this.#driver = undefined;
    for (const [index, state] of this.#states.entries())
      if (state.ready) this.#ports[index]?.tellGuestOpened(false);
    this.#states = [];
  }

  get #isMultiport(): boolean {
    return this.#driver !== undefined && (this.#driver.features & F_MULTIPORT) !== 0n;
  }

  #portChanged(index: number): void {
    const state = this.#states[index];
    const port = this.#ports[index];
    if (this.#driver === undefined || state === undefined || port === undefined || !state.ready) return;
    if (this.#isMultiport && state.toldOpen !== port.isOpen) {
      state.toldOpen = port.isOpen;
      this.#tell(index, PORT_OPEN, port.isOpen ? 1 : 0);
    }
    this.#fillReceive(index);
    this.#drainTransmit(index);
  }

  /** Moves what the host has written into buffers of the driver. */
  #fillReceive(index: number): void {
    const port = this.#ports[index];
    const queue = this.#queue(receiveQueueOf(index));
    if (port === undefined || queue === undefined || this.#states[index]?.ready !== true) return;
    if (port.waitingBytes === 0) return;
    for (const request of queue.requests()) {
      const bytes = port.take(Math.min(request.writable.length, PIECE_BYTES));
      queue.complete(request, request.writable.write(bytes));
      if (port.waitingBytes === 0) break;
    }
    queue.signal();
  }

  #drainTransmit(index: number): void {
    const port = this.#ports[index];
    const queue = this.#queue(receiveQueueOf(index) + 1);
    if (port === undefined || queue === undefined || port.congested) return;
    for (const { readable, request } of this.#sent(queue)) {
      for (let at = 0; at < readable.length; at += PIECE_BYTES) port.deliver(readable.read(at, PIECE_BYTES));
      queue.complete(request, 0);
      if (port.congested) break;
    }
    queue.signal();
  }

  #handleControl(): void {
    const queue = this.#queue(CONTROL_TRANSMIT);
    if (queue === undefined || !this.#isMultiport) return;
    for (const { readable, request } of this.#sent(queue)) {
      if (readable.length >= MESSAGE_BYTES) {
        const view = new DataView(readable.read(0, MESSAGE_BYTES).buffer);
        this.#control(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
      }
      queue.complete(request, 0);
    }
    queue.signal();
    this.#sendMessages();
  }

  /** Requests of the driver, up to the first that is too long for any driver to make. */
  *#sent(queue: SplitQueue) {
    for (const request of queue.requests()) {
      const { readable } = request;
      if (readable.length > MOST_BUFFER_BYTES) {
        this.#driver?.needsReset(`a console buffer of ${readable.length} bytes`);
        return;
      }
      yield { readable, request };
    }
  }

  /** A message of the driver. */
  #control(id: number, event: number, value: number): void {
    const port = this.#ports[id];
    const state = this.#states[id];
    if (event === DEVICE_READY) {
      if (value === 1) for (const index of this.#ports.keys()) this.#tell(index, DEVICE_ADD, 1);
    } else if (port === undefined || state === undefined) return;
    else if (event === PORT_READY && value === 1 && !state.ready) {
      state.ready = true;
      if (port.isConsole) this.#tell(id, CONSOLE_PORT, 1);
      this.#tell(id, PORT_NAME, 1, new TextEncoder().encode(port.name));
      this.#portChanged(id);
    } else if (event === PORT_OPEN) port.tellGuestOpened(value === 1);
  }

  /** Sends a message to the driver. */
  #tell(id: number, event: number, value: number, text: Uint8Array = new Uint8Array()): void {
    const message = new Uint8Array(MESSAGE_BYTES + text.length);
    const view = new DataView(message.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    message.set(text, MESSAGE_BYTES);
    this.#messages.push(message);
    if (this.#messages.length > MOST_MESSAGES) {
      this.#messages = [];
      this.#driver?.needsReset("a driver that asks and does not listen");
    }
    this.#sendMessages();
  }

  #sendMessages(): void {
    const queue = this.#queue(CONTROL_RECEIVE);
    if (queue === undefined) return;
    for (let message = this.#messages[0]; message !== undefined; message = this.#messages[0]) {
      const request = queue.take();
      if (request === undefined) break;
      this.#messages.shift();
      queue.complete(request, request.writable.write(message));
    }
    queue.signal();
  }

  #queue(index: number): SplitQueue | undefined {
    return this.#driver?.queues[index];
  }
}

/** Queue pairs: port 0, control, port 1, port 2, ... */
function receiveQueueOf(port: number): number {
  return port === 0 ? 0 : 2 * port + 2;
}

function portOf(queue: number): number {
  return queue < 2 ? 0 : (queue >> 1) - 1;
}
