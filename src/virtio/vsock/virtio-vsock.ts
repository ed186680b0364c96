import type { AccessBytes } from "../../bus/port-bus.ts";
import type { HostStream, HostStreamEvents } from "../../host/network.ts";
import { readConfigBytes } from "../config-space.ts";
import type { VirtioDevice, VirtioDriver } from "../device.ts";
import type { DescriptorChain } from "../queue/descriptor-chain.ts";
import type { HostSockets, SocketDevice } from "./host-sockets.ts";
import {
  HEADER_BYTES,
  HOST_CID,
  OP,
  type PacketHeader,
  readHeader,
  TYPE_STREAM,
  writeHeader,
} from "./packet.ts";
import { VsockConnection } from "./vsock-connection.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
const EVENT = 2;
const QUEUE_SIZE = 128;
const EVENT_QUEUE_SIZE = 16;
/** Linux sends at most 64 KiB at a time. */
const MOST_PACKET_BYTES = 1 << 20;
const MOST_CONNECTIONS = 1024;
/** Packets without data that wait for buffers of the driver; until there are some, it is not listened to. */
const MOST_WAITING_PACKETS = 1024;
/** "The guest's connections are gone": the machine went on somewhere else. */
const EVENT_TRANSPORT_RESET = 0;

/** The guest's address, where none is asked for. */
export const GUEST_CID = 3;

interface Packet {
  readonly hostPort: number;
  readonly guestPort: number;
  readonly op: number;
  readonly flags: number;
  readonly connection: VsockConnection | undefined;
}

/**
 * Stream sockets between programs of the guest and the host (AF_VSOCK). The host has the address 2.
 *
 * Source: virtio 1.2, "Socket Device".
 */
export class VirtioVsock implements VirtioDevice, SocketDevice {
  readonly name = "virtio-vsock";
  readonly deviceId = 19;
  readonly classCode = 0x078000;
  readonly features = 0n;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, EVENT_QUEUE_SIZE];
  readonly #sockets: HostSockets;
  readonly #onSend: () => void;
  readonly #cid: bigint;
  readonly #config = new Uint8Array(8);
  readonly #connections = new Map<string, VsockConnection>();
  readonly #withData = new Set<VsockConnection>();
  #packets: Packet[] = [];
  #driver: VirtioDriver | undefined;
  #wasRestored = false;

  /** @param wake The guest was given something: if the machine sleeps, it has something to do. */
  constructor({ sockets, wake, cid = GUEST_CID }: { sockets: HostSockets; wake: () => void; cid?: number }) {
    this.#sockets = sockets;
    this.#onSend = wake;
    this.#cid = BigInt(cid);
    new DataView(this.#config.buffer).setBigUint64(0, this.#cid, true);
    sockets.attach(this);
  }

  readConfig(offset: number, bytes: AccessBytes): number {
    return readConfigBytes(this.#config, offset, bytes);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  handle(queue: number): void {
    if (queue === TRANSMIT) this.#receive();
    else if (queue === RECEIVE) {
      this.#send();
      // What had to wait for room for its answers.
      this.#receive();
    } else this.#tellRestored();
  }

  reset(): void {
    this.#driver = undefined;
    this.#packets = [];
    this.#withData.clear();
    for (const connection of [...this.#connections.values()]) connection.finish("reset");
  }

  /** Connections are not saved: the driver is told that they are gone. */
  saveState(): object {
    return { cid: Number(this.#cid) };
  }

  restoreState(state: unknown): string | undefined {
    const { cid } = state as { cid?: unknown };
    if (cid !== Number(this.#cid)) return `the address ${String(cid)}`;
    this.#wasRestored = true;
    return undefined;
  }

  connect(hostPort: number, guestPort: number, events: HostStreamEvents): HostStream | undefined {
    if (this.#driver === undefined || this.#connections.size >= MOST_CONNECTIONS) return undefined;
    const connection = this.#add(hostPort, guestPort, true);
    if (connection === undefined) return undefined;
    connection.events = events;
    this.#queue({ hostPort, guestPort, op: OP.REQUEST, flags: 0, connection });
    return connection;
  }

  #add(hostPort: number, guestPort: number, asking: boolean): VsockConnection | undefined {
    const key = `${guestPort}:${hostPort}`;
    if (this.#connections.has(key)) return undefined;
    const connection: VsockConnection = new VsockConnection({ guest: guestPort, host: hostPort }, asking, {
      send: (op, flags) => this.#queue({ hostPort, guestPort, op, flags, connection }),
      hasData: () => {
        this.#withData.add(connection);
        this.#send();
      },
      gone: () => {
        this.#connections.delete(key);
        this.#withData.delete(connection);
      },
    });
    this.#connections.set(key, connection);
    return connection;
  }

  /** Takes packets of the driver while there is room for what they may cause. */
  #receive(): void {
    const driver = this.#driver;
    const queue = driver?.queues[TRANSMIT];
    if (driver === undefined || queue === undefined) return;
    for (let left = queue.size; left > 0 && this.#packets.length < MOST_WAITING_PACKETS; left--) {
      const chain = queue.take();
      if (chain === undefined) break;
      if (!this.#take(driver, chain)) return;
      queue.complete(chain, 0);
    }
    queue.signal();
  }

  /** False: the driver broke the rules. */
  #take(driver: VirtioDriver, { readable }: DescriptorChain): boolean {
    const data = readable.length - HEADER_BYTES;
    if (data < 0 || data > MOST_PACKET_BYTES) {
      driver.needsReset(`a socket packet of ${readable.length} bytes`);
      return false;
    }
    const header = readHeader(readable.read(0, HEADER_BYTES));
    if (header.length > data) {
      driver.needsReset(`a socket packet of ${data} bytes that says it has ${header.length}`);
      return false;
    }
    // Not from this guest: nobody could be answered.
    if (header.sourceCid !== this.#cid) return true;
    const { sourcePort: guestPort, destinationPort: hostPort, op } = header;
    const isForUs = header.destinationCid === HOST_CID && header.type === TYPE_STREAM;
    const connection = isForUs ? this.#connections.get(`${guestPort}:${hostPort}`) : undefined;
    if (connection !== undefined && op !== OP.REQUEST)
      connection.receive(header, op === OP.RW ? readable.read(HEADER_BYTES, header.length) : NOTHING);
    else if (connection === undefined && isForUs && op === OP.REQUEST) this.#asked(header);
    else if (op !== OP.RST) {
      connection?.finish("reset");
      this.#queue({ hostPort, guestPort, op: OP.RST, flags: 0, connection: undefined });
    }
    return true;
  }

  #asked(header: PacketHeader): void {
    const { sourcePort: guestPort, destinationPort: hostPort } = header;
    const accept = this.#sockets.listener(hostPort);
    const hasRoom = this.#connections.size < MOST_CONNECTIONS;
    const connection = accept && hasRoom ? this.#add(hostPort, guestPort, false) : undefined;
    if (accept === undefined || connection === undefined) {
      this.#queue({ hostPort, guestPort, op: OP.RST, flags: 0, connection: undefined });
      return;
    }
    connection.noteCredit(header);
    connection.events = accept(connection);
  }

  #queue(packet: Packet): void {
    this.#packets.push(packet);
    this.#send();
  }

  /** Fills buffers of the driver: first with packets that have no data, then with data of each connection in turn. */
  #send(): void {
    const queue = this.#driver?.queues[RECEIVE];
    if (queue === undefined || (this.#packets.length === 0 && this.#withData.size === 0)) return;
    let anything = false;
    const sent: [VsockConnection, number][] = [];
    for (;;) {
      const packet = this.#packets[0];
      const [connection] = packet === undefined ? this.#sendable() : [];
      if (packet === undefined && connection === undefined) break;
      const chain = queue.take();
      if (chain === undefined) break;
      if (chain.writable.length < HEADER_BYTES) {
        this.#driver?.needsReset("a socket buffer without room for a header");
        return;
      }
      anything = true;
      if (packet !== undefined) {
        this.#packets.shift();
        this.#fill(chain, packet, NOTHING);
      } else if (connection !== undefined) {
        const data = connection.takeData(chain.writable.length - HEADER_BYTES);
        const { hostPort, guestPort } = connection;
        this.#fill(chain, { hostPort, guestPort, op: OP.RW, flags: 0, connection }, data);
        sent.push([connection, data.length]);
        // The others' turn.
        this.#withData.delete(connection);
        if (connection.sendableBytes > 0) this.#withData.add(connection);
      }
    }
    if (!anything) return;
    queue.signal();
    this.#onSend();
    for (const [connection, bytes] of sent) connection.sent(bytes);
  }

  *#sendable(): Generator<VsockConnection> {
    for (const connection of this.#withData) {
      if (connection.sendableBytes > 0) yield connection;
      else this.#withData.delete(connection);
    }
  }

  #fill(chain: DescriptorChain, packet: Packet, data: Uint8Array): void {
    const { hostPort, guestPort, op, flags, connection } = packet;
    const header = writeHeader({
      sourceCid: HOST_CID,
      destinationCid: this.#cid,
      sourcePort: hostPort,
      destinationPort: guestPort,
      length: data.length,
      type: TYPE_STREAM,
      ...{ op, flags },
      ...(connection?.credit ?? { bufferBytes: 0, forwardedBytes: 0 }),
    });
    chain.writable.write(header);
    chain.writable.write(data, HEADER_BYTES);
    this.#driver?.queues[RECEIVE]?.complete(chain, HEADER_BYTES + data.length);
  }

  /** Behind a restore; `handle` is called for each queue then. */
  #tellRestored(): void {
    const queue = this.#driver?.queues[EVENT];
    if (!this.#wasRestored || queue === undefined) return;
    const chain = queue.take();
    if (chain === undefined) return;
    this.#wasRestored = false;
    const event = new Uint8Array(4);
    new DataView(event.buffer).setUint32(0, EVENT_TRANSPORT_RESET, true);
    queue.complete(chain, chain.writable.write(event));
    queue.signal();
  }
}

const NOTHING = new Uint8Array();
