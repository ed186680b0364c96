import { type AccessCount, allOnes, type Registration } from "./access-count.ts";
import type { AccessBytes } from "./port-bus.ts";

/**
 * A device behind a range of physical addresses. Eight-byte accesses arrive as
 * two of four bytes, low half first.
 */
export interface MmioDevice {
  /** Returns an unsigned value of `bytes` bytes. */
  readMemory(offset: number, bytes: AccessBytes): number;
  writeMemory(offset: number, bytes: AccessBytes, value: number): void;
}

const PAGE_BYTES = 4096;

interface Claim {
  readonly name: string;
  readonly base: number;
  /** First address after the range. */
  readonly end: number;
  readonly device: MmioDevice;
  reads: number;
  writes: number;
}

/** Pages that are counted one by one: a guest that touches all addresses must not fill the host's memory. */
const MOST_UNCLAIMED_PAGES = 1000;

/** Physical addresses outside of RAM. Accesses that leave their device's range are split into bytes. */
export class MmioBus {
  readonly #claims: Claim[] = [];
  /** The claim of the last access: devices are few and accesses come in runs. */
  #recent: Claim | undefined;
  readonly #unclaimed = new Map<number, number>();

  /** Claims a range for a device. Overlap is a mistake in the wiring and throws. */
  register(base: number, sizeBytes: number, device: MmioDevice, name = "unnamed"): Registration {
    const owner = this.#claims.find((claim) => base < claim.end && claim.base < base + sizeBytes);
    if (owner !== undefined) throw new RangeError(`${name} at ${hex(base)} overlaps ${owner.name}`);
    return this.registerBehind(base, sizeBytes, device, name);
  }

  /** Like `register`, for ranges that the guest chooses: addresses already claimed stay with their owner. */
  registerBehind(base: number, sizeBytes: number, device: MmioDevice, name = "unnamed"): Registration {
    if (!Number.isSafeInteger(base) || base < 0 || sizeBytes < 1) {
      throw new RangeError(`${name} claims ${sizeBytes} bytes from ${base}`);
    }
    const claim: Claim = { name, base, end: base + sizeBytes, device, reads: 0, writes: 0 };
    this.#claims.push(claim);
    return { remove: () => this.#remove(claim) };
  }

  /** Reads an unsigned value. */
  read(address: number, bytes: AccessBytes): number {
    const claim = this.#find(address);
    if (claim === undefined) {
      this.#countUnclaimed(address);
      return allOnes(bytes);
    }
    if (address + bytes > claim.end) {
      let value = 0;
      for (let done = 0; done < bytes; done++) value += this.read(address + done, 1) * 2 ** (8 * done);
      return value;
    }
    claim.reads++;
    return claim.device.readMemory(address - claim.base, bytes);
  }

  write(address: number, bytes: AccessBytes, value: number): void {
    const claim = this.#find(address);
    if (claim === undefined) {
      this.#countUnclaimed(address);
      return;
    }
    if (address + bytes > claim.end) {
      for (let done = 0; done < bytes; done++) this.write(address + done, 1, (value >>> (8 * done)) & 0xff);
      return;
    }
    claim.writes++;
    claim.device.writeMemory(address - claim.base, bytes, value);
  }

  /** Whether a device answers at `address`. */
  claims(address: number): boolean {
    return this.#find(address) !== undefined;
  }

  /** Accesses to addresses that nobody claims, by page: address of the page -> count. */
  get unclaimed(): ReadonlyMap<number, number> {
    return this.#unclaimed;
  }

  get accessCounts(): AccessCount[] {
    return this.#claims.map(({ name, base, end, reads, writes }) => ({
      name,
      first: base,
      last: end - 1,
      reads,
      writes,
    }));
  }

  #find(address: number): Claim | undefined {
    const recent = this.#recent;
    if (recent !== undefined && address >= recent.base && address < recent.end) return recent;
    for (const claim of this.#claims) {
      if (address >= claim.base && address < claim.end) {
        // With overlapping ranges the claim found last need not be the first that matches.
        if (!this.#overlapped(claim)) this.#recent = claim;
        return claim;
      }
    }
    return undefined;
  }

  #overlapped(claim: Claim): boolean {
    return this.#claims.some((other) => other !== claim && other.base < claim.end && claim.base < other.end);
  }

  #countUnclaimed(address: number): void {
    const page = address - (address % PAGE_BYTES);
    const count = this.#unclaimed.get(page);
    if (count !== undefined || this.#unclaimed.size < MOST_UNCLAIMED_PAGES)
      this.#unclaimed.set(page, (count ?? 0) + 1);
  }

  #remove(claim: Claim): void {
    const index = this.#claims.indexOf(claim);
    if (index >= 0) this.#claims.splice(index, 1);
    this.#recent = undefined;
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
