import type { MessageInterrupts } from "../../bus/message-interrupts.ts";
import type { MmioDevice } from "../../bus/mmio-bus.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import type { PciCapability } from "./pci-function.ts";

export const MSI_X_CAPABILITY = 0x11;
const ENTRY_BYTES = 16;
const ENTRY_WORDS = 4;
const VECTOR_CONTROL = 3;
const MASKED = 1;
/** Offset of the pending bits behind the table, in the range of `MSI_X_BYTES`. */
const PENDING_OFFSET = 0x800;
/** Size of the range that table and pending bits need. */
export const MSI_X_BYTES = 0x1000;
const MOST_VECTORS = PENDING_OFFSET / ENTRY_BYTES;
/** In the upper byte of message control. */
const CONTROL_ENABLE = 0x80;
const CONTROL_MASK_ALL = 0x40;

/** Everything a snapshot must carry. */
export interface MsiXState {
  /** Four words an entry: address low, address high, data, vector control */
  table: Uint32Array;
  /** A byte a vector: 1 when it was signalled while masked */
  pending: Uint8Array;
  /** Upper byte of message control: enable and function mask */
  control: number;
}

/**
 * Message-signalled interrupts of one PCI function: its table and pending
 * bits, for a range of memory of `MSI_X_BYTES`.
 *
 * Source: PCI Local Bus Specification 3.0, section "MSI-X Capability and Table Structure".
 */
export class MsiX implements MmioDevice {
  readonly vectors: number;
  readonly #messages: MessageInterrupts;
  readonly #state: MsiXState;

  /** @param vectors 1 to 128. */
  constructor(vectors: number, messages: MessageInterrupts, state?: MsiXState) {
    if (!(vectors >= 1 && vectors <= MOST_VECTORS)) throw new RangeError(`MSI-X with ${vectors} vectors`);
    this.vectors = vectors;
    this.#messages = messages;
    const table = new Uint32Array(vectors * ENTRY_WORDS);
    for (let vector = 0; vector < vectors; vector++) table[vector * ENTRY_WORDS + VECTOR_CONTROL] = MASKED;
    this.#state = state ?? { table, pending: new Uint8Array(vectors), control: 0 };
  }

  get state(): MsiXState {
    return cloneState(this.#state);
  }

  /** The capability for configuration space; the range begins at `offset` of memory range `bar`. */
  capability(bar: number, offset: number): PciCapability {
    const word = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
    const control = this.vectors - 1;
    return {
      id: MSI_X_CAPABILITY,
      body: [control & 0xff, control >> 8, ...word(offset | bar), ...word((offset + PENDING_OFFSET) | bar)],
      writable: [0, CONTROL_ENABLE | CONTROL_MASK_ALL],
    };
  }

  /** The function uses messages instead of its pin. */
  get enabled(): boolean {
    return (this.#state.control & CONTROL_ENABLE) !== 0;
  }

  /** Takes over the upper byte of message control. */
  setControl(value: number): void {
    this.#state.control = value;
    this.#sendPending();
  }

  /** Sends the message of a vector; while it is masked, it waits. Vectors that are not there are ignored. */
  signal(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    if (this.#isMasked(vector)) this.#state.pending[vector] = 1;
    else this.#send(vector);
  }

  readMemory(offset: number, bytes: AccessBytes): number {
    const word = offset >= PENDING_OFFSET ? this.#pendingWord(offset) : this.#state.table[offset >> 2];
    const value = (word ?? 0) >>> (8 * (offset & 3));
    return bytes === 4 ? value : value & (2 ** (8 * bytes) - 1);
  }

  writeMemory(offset: number, bytes: AccessBytes, value: number): void {
    const index = offset >> 2;
    if (offset >= PENDING_OFFSET || index >= this.#state.table.length) return;
    const shift = 8 * (offset & 3);
    const mask = bytes === 4 ? 0xffffffff : (2 ** (8 * bytes) - 1) << shift;
    this.#state.table[index] = ((this.#state.table[index] ?? 0) & ~mask) | ((value << shift) & mask);
    if (index % ENTRY_WORDS === VECTOR_CONTROL) this.#sendPending();
  }

  #pendingWord(offset: number): number {
    const first = ((offset - PENDING_OFFSET) >> 2) * 32;
    let word = 0;
    for (let bit = 0; bit < 32; bit++) if (this.#state.pending[first + bit] === 1) word |= 1 << bit;
    return word;
  }

  #isMasked(vector: number): boolean {
    const { control, table } = this.#state;
    const entryMasked = ((table[vector * ENTRY_WORDS + VECTOR_CONTROL] ?? 0) & MASKED) !== 0;
    return entryMasked || (control & CONTROL_MASK_ALL) !== 0;
  }

  #sendPending(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      if (this.#state.pending[vector] !== 1 || this.#isMasked(vector)) continue;
      this.#state.pending[vector] = 0;
      this.#send(vector);
    }
  }

  #send(vector: number): void {
    const [low = 0, high = 0, data = 0] = this.#state.table.subarray(vector * ENTRY_WORDS);
    if (high === 0) this.#messages.send(low - (low % 4), data);
  }
}
