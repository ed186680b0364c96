import { type AccessCount, allOnes, type Registration } from "./access-count.ts";

/** Width of an access in bytes. */
export type AccessBytes = 1 | 2 | 4;

/** A device behind a range of I/O ports. Offsets count from the start of its range. */
export interface PortDevice {
  /** The widest access the device takes whole; the bus splits wider and unaligned ones. 4 if absent. */
  readonly maxPortBytes?: AccessBytes;
  /** Returns an unsigned value of `bytes` bytes. */
  readPort(offset: number, bytes: AccessBytes): number;
  writePort(offset: number, bytes: AccessBytes, value: number): void;
}

const PORTS = 0x10000;

interface Claim {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly device: PortDevice;
  readonly maxBytes: AccessBytes;
  reads: number;
  writes: number;
}

/**
 * The I/O port space. An access belongs to the device that claims its first
 * port and goes there whole if the device takes its width: so the four-byte
 * register at 0xcf8 and the one-byte register at 0xcf9 live side by side, as in a chipset.
 */
export class PortBus {
  readonly #claims: Claim[] = [];
  readonly #claimOfPort: (Claim | undefined)[] = new Array<Claim | undefined>(PORTS).fill(undefined);
  readonly #unclaimed = new Map<number, number>();

  /** Claims `count` ports for a device. Overlap is a mistake in the wiring and throws. */
  register(firstPort: number, count: number, device: PortDevice, name = "unnamed"): Registration {
    for (let port = firstPort; port < firstPort + count; port++) {
      const owner = this.#claimOfPort[port];
      if (owner !== undefined) throw new RangeError(`port ${hex(port)} of ${name} belongs to ${owner.name}`);
    }
    return this.registerBehind(firstPort, count, device, name);
  }

  /** Like `register`, for ranges that the guest chooses: ports already claimed stay with their owner. */
  registerBehind(firstPort: number, count: number, device: PortDevice, name = "unnamed"): Registration {
    if (!Number.isInteger(firstPort) || firstPort < 0 || count < 1 || firstPort + count > PORTS) {
      throw new RangeError(`${name} claims ${count} ports from ${firstPort}; ports are 0..0xffff`);
    }
    const maxBytes = device.maxPortBytes ?? 4;
    const last = firstPort + count - 1;
    const claim: Claim = { name, first: firstPort, last, device, maxBytes, reads: 0, writes: 0 };
    this.#claims.push(claim);
    for (let port = firstPort; port <= last; port++) this.#claimOfPort[port] ??= claim;
    return { remove: () => this.#remove(claim) };
  }

  /** Reads an unsigned value. Ports past 0xffff wrap, as the 16 address lines do. */
  read(port: number, bytes: AccessBytes): number {
    const claim = this.#claimOfPort[port];
    if (claim === undefined) {
      this.#countUnclaimed(port);
      if (bytes === 1 || !this.#anyClaimed(port + 1, bytes - 1)) return allOnes(bytes);
      return this.#readSplit(port, bytes, 1);
    }
    if (bytes > claim.maxBytes || (port & (bytes - 1)) !== 0) {
      return this.#readSplit(port, bytes, this.#pieceBytes(claim, port, bytes));
    }
    claim.reads++;
    return claim.device.readPort(port - claim.first, bytes);
  }

  write(port: number, bytes: AccessBytes, value: number): void {
    const claim = this.#claimOfPort[port];
    if (claim === undefined) {
      this.#countUnclaimed(port);
      if (bytes > 1 && this.#anyClaimed(port + 1, bytes - 1)) this.#writeSplit(port, bytes, value, 1);
      return;
    }
    if (bytes > claim.maxBytes || (port & (bytes - 1)) !== 0) {
      this.#writeSplit(port, bytes, value, this.#pieceBytes(claim, port, bytes));
      return;
    }
    claim.writes++;
    claim.device.writePort(port - claim.first, bytes, value);
  }

  /** Accesses to ports that nobody claims: port -> count. */
  get unclaimed(): ReadonlyMap<number, number> {
    return this.#unclaimed;
  }

  get accessCounts(): AccessCount[] {
    return this.#claims.map(({ name, first, last, reads, writes }) => ({ name, first, last, reads, writes }));
  }

  /** Unaligned accesses go byte by byte, aligned ones in the device's width. */
  #pieceBytes(claim: Claim, port: number, bytes: AccessBytes): 1 | 2 {
    return claim.maxBytes === 2 && bytes === 4 && (port & 1) === 0 ? 2 : 1;
  }

  #readSplit(port: number, bytes: AccessBytes, pieceBytes: 1 | 2): number {
    let value = 0;
    for (let done = 0; done < bytes; done += pieceBytes) {
      value += this.read((port + done) & 0xffff, pieceBytes) * 2 ** (8 * done);
    }
    return value;
  }

  #writeSplit(port: number, bytes: AccessBytes, value: number, pieceBytes: 1 | 2): void {
    for (let done = 0; done < bytes; done += pieceBytes) {
      this.write((port + done) & 0xffff, pieceBytes, (value >>> (8 * done)) & allOnes(pieceBytes));
    }
  }

  #anyClaimed(port: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#claimOfPort[(port + i) & 0xffff] !== undefined) return true;
    return false;
  }

  #countUnclaimed(port: number): void {
    this.#unclaimed.set(port, (this.#unclaimed.get(port) ?? 0) + 1);
  }

  #remove(claim: Claim): void {
    const index = this.#claims.indexOf(claim);
    if (index < 0) return;
    this.#claims.splice(index, 1);
    for (let port = claim.first; port <= claim.last; port++) {
      if (this.#claimOfPort[port] !== claim) continue;
      this.#claimOfPort[port] = this.#claims.find((other) => other.first <= port && port <= other.last);
    }
  }
}

function hex(port: number): string {
  return `0x${port.toString(16)}`;
}
