import { invariant } from "../../src/layout/invariant.ts";

export const PAGE_BYTES = 4096;

interface Page {
  readonly bytes: Uint8Array;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** Linear memory: pages by number. */
export class Memory {
  readonly #pages = new Map<bigint, Page>();

  /** Maps a page at an address; later writes go to `bytes`. */
  map(address: bigint, bytes: Uint8Array, writable = true, executable = false): void {
    invariant(bytes.length === PAGE_BYTES && address % BigInt(PAGE_BYTES) === 0n, "a whole page");
    this.#pages.set(address / BigInt(PAGE_BYTES), { bytes, writable, executable });
  }

  isMapped(address: bigint): boolean {
    return this.#pageAt(address) !== undefined;
  }

  /** The first of some bytes that cannot be accessed so; undefined when all can. */
  firstBlocked(address: bigint, bytes: number, use: "read" | "write" | "execute"): bigint | undefined {
    for (let i = 0; i < bytes; i++) {
      const at = BigInt.asUintN(64, address + BigInt(i));
      const page = this.#pageAt(at);
      if (
        page === undefined ||
        (use === "write" && !page.writable) ||
        (use === "execute" && !page.executable)
      )
        return at;
    }
    return undefined;
  }

  read(address: bigint, bytes: number): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) {
      const at = BigInt.asUintN(64, address + BigInt(i));
      value = (value << 8n) | BigInt(this.#pageAt(at)!.bytes[Number(at % BigInt(PAGE_BYTES))]!);
    }
    return value;
  }

  write(address: bigint, bytes: number, value: bigint): void {
    for (let i = 0; i < bytes; i++) {
      const at = BigInt.asUintN(64, address + BigInt(i));
      this.#pageAt(at)!.bytes[Number(at % BigInt(PAGE_BYTES))] = Number((value >> BigInt(8 * i)) & 0xffn);
    }
  }

  #pageAt(address: bigint): Page | undefined {
    return this.#pages.get(address / BigInt(PAGE_BYTES));
  }
}
