import type { DescriptorChain } from "../queue/descriptor-chain.ts";

// virtio 1.2, "Control Virtqueue": classes, commands and answers.
const CLASS_RX = 0;
const CLASS_MAC = 1;
const RX_PROMISCUOUS = 0;
const RX_ALL_MULTICAST = 1;
const MAC_TABLE_SET = 0;
const MAC_ADDRESS_SET = 1;
const OK = 0;
const ERROR = 1;
/** A longer table is taken as "all". */
const MAXIMUM_ADDRESSES = 64;
const MAXIMUM_COMMAND_BYTES = 4096;

/** Everything a snapshot must carry. */
export interface ReceiveFilterState {
  mac: Uint8Array;
  promiscuous: boolean;
  allMulticast: boolean;
  active: boolean;
  /** 6 bytes each. */
  addresses: Uint8Array[];
}

/** Which frames the driver wants, as it says through its control queue. Without one it gets everything. */
export class ReceiveFilter {
  #mac: Uint8Array;
  #promiscuous = false;
  #allMulticast = true;
  #addresses = new Set<string>();
  #active = false;

  constructor(mac: Uint8Array, state?: ReceiveFilterState) {
    this.#mac = state?.mac ?? mac;
    if (state === undefined) return;
    this.#promiscuous = state.promiscuous;
    this.#allMulticast = state.allMulticast;
    this.#active = state.active;
    this.#addresses = new Set(state.addresses.map(keyOf));
  }

  get state(): ReceiveFilterState {
    return {
      mac: Uint8Array.from(this.#mac),
      promiscuous: this.#promiscuous,
      allMulticast: this.#allMulticast,
      active: this.#active,
      addresses: [...this.#addresses].map((key) => Uint8Array.from(key, (letter) => letter.charCodeAt(0))),
    };
  }

  /** The driver has a control queue and will say what it wants. */
  activate(): void {
    this.#active = true;
  }

  wants(frame: Uint8Array): boolean {
    if (!this.#active || this.#promiscuous) return true;
    if ((frame[0]! & 1) !== 0) {
      const isBroadcast = frame.subarray(0, 6).every((byte) => byte === 0xff);
      return isBroadcast || this.#allMulticast || this.#addresses.has(keyOf(frame));
    }
    return keyOf(frame) === keyOf(this.#mac) || this.#addresses.has(keyOf(frame));
  }

  /** Obeys one command; false when it has no room for the answer. */
  command(chain: DescriptorChain): boolean {
    const { readable, writable } = chain;
    if (writable.length < 1) return false;
    const command = readable.length <= MAXIMUM_COMMAND_BYTES && this.#obey(readable.read());
    writable.write(Uint8Array.of(command ? OK : ERROR));
    return true;
  }

  #obey(command: Uint8Array): boolean {
    const [commandClass, name, value] = command;
    if (commandClass === CLASS_RX && value !== undefined) {
      if (name === RX_PROMISCUOUS) this.#promiscuous = value !== 0;
      else if (name === RX_ALL_MULTICAST) this.#allMulticast = value !== 0;
      else return false;
      return true;
    }
    if (commandClass !== CLASS_MAC) return false;
    if (name === MAC_ADDRESS_SET && command.length === 8) {
      this.#mac = command.slice(2);
      return true;
    }
    return name === MAC_TABLE_SET && this.#setTables(command);
  }

  /** Two tables, of unicast and of multicast addresses, each after its length. */
  #setTables(command: Uint8Array): boolean {
    const view = new DataView(command.buffer, command.byteOffset, command.length);
    const addresses = new Set<string>();
    let at = 2;
    for (let table = 0; table < 2; table++) {
      if (at + 4 > command.length) return false;
      const count = view.getUint32(at, true);
      at += 4;
      if (count * 6 > command.length - at) return false;
      for (let i = 0; i < count; i++, at += 6) addresses.add(keyOf(command.subarray(at)));
    }
    const tooMany = addresses.size > MAXIMUM_ADDRESSES;
    this.#allMulticast = tooMany;
    this.#promiscuous ||= tooMany;
    this.#addresses = tooMany ? new Set() : addresses;
    return true;
  }
}

function keyOf(bytes: Uint8Array): string {
  return String.fromCharCode(bytes[0]!, bytes[1]!, bytes[2]!, bytes[3]!, bytes[4]!, bytes[5]!);
}
