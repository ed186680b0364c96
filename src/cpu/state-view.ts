import { CPU_STATE, CPU_STATE_BYTES } from "../layout/memory-map.ts";
import { INDEX } from "../layout/record.ts";

/** Typed access to the processor state in the one memory, by the offsets of layout/cpu-state.ts. */
export class StateView {
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;

  constructor(buffer: ArrayBufferLike) {
    this.#i32 = new Int32Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#u8 = new Uint8Array(buffer);
  }

  /** The whole state; not a copy. */
  get bytes(): Uint8Array {
    return this.#u8.subarray(CPU_STATE, CPU_STATE + CPU_STATE_BYTES);
  }

  get16(field: number): number {
    return this.#u16[(CPU_STATE + field) >> 1]!;
  }
  set16(field: number, value: number): void {
    this.#u16[(CPU_STATE + field) >> 1] = value;
  }
  /** Signed. */
  get32(field: number): number {
    return this.#i32[(CPU_STATE + field) >> 2]!;
  }
  set32(field: number, value: number): void {
    this.#i32[(CPU_STATE + field) >> 2] = value;
  }
  /** Instructions of its block before a record. */
  recordIndex(record: number): number {
    return this.#u8[record + INDEX]!;
  }
  /** Unsigned. */
  get64(field: number): bigint {
    return BigInt.asUintN(64, this.#i64[(CPU_STATE + field) >> 3]!);
  }
  set64(field: number, value: bigint): void {
    this.#i64[(CPU_STATE + field) >> 3] = BigInt.asIntN(64, value);
  }
}
