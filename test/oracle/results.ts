import {
  HASH_START,
  hashChange,
  IMAGE_COMPARED_WORDS,
  IMAGE_YMM,
  MAX_CHANGED_WORDS,
  type Patch,
  RESULT_BATCH_HEADER_BYTES,
  RESULT_HEADER_BYTES,
  RESULT_MAGIC,
  STATUS_TIMEOUT,
  type TestCase,
  type TestResult,
  X87_ERROR_SUMMARY,
  YMM_WORDS,
} from "./protocol.ts";

/** Results of a batch and where each begins. */
export interface ResultIndex {
  readonly bytes: Uint8Array;
  readonly cycles: bigint;
  readonly offsets: readonly number[];
}

/** Finds the results in their bytes. */
export function indexResults(bytes: Uint8Array): ResultIndex {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== RESULT_MAGIC) throw new RangeError("not a batch of test results");
  const offsets: number[] = [];
  let at = RESULT_BATCH_HEADER_BYTES;
  for (let left = view.getUint32(8, true); left > 0; left--) {
    offsets.push(at);
    at += view.getUint16(at, true);
  }
  return { bytes, cycles: view.getBigUint64(16, true), offsets };
}

/** Reads one result; what did not change comes from its case. */
export function decodeResult(results: ResultIndex, index: number, from: TestCase): TestResult {
  const at = results.offsets[index];
  if (at === undefined)
    throw new RangeError(`${results.offsets.length} results have none with number ${index}`);
  const view = new DataView(results.bytes.buffer, results.bytes.byteOffset + at);
  const registerMask = view.getUint32(32, true);
  const imageMask = view.getBigUint64(40, true);
  let next = RESULT_HEADER_BYTES;
  const take = () => {
    next += 8;
    return view.getBigUint64(next - 8, true);
  };
  const changed = (bit: number, old: bigint) => (registerMask & (1 << bit) ? take() : old);
  const registers = from.registers.map((old, i) => changed(i, old));
  const fsBase = changed(16, from.fsBase);
  const gsBase = changed(17, from.gsBase);
  const image = from.image.slice();
  const imageView = new DataView(image.buffer);
  for (let i = 0; i < IMAGE_COMPARED_WORDS; i++)
    if ((imageMask >> BigInt(i)) & 1n) imageView.setBigUint64(8 * i, take(), true);
  const ymmMask = view.getUint32(52, true);
  for (let i = 0; i < YMM_WORDS; i++)
    if ((ymmMask >>> i) & 1) imageView.setBigUint64(IMAGE_YMM + 8 * i, take(), true);
  const changedWords = view.getUint32(36, true);
  const changes: Patch[] = [];
  for (let i = 0; i < Math.min(changedWords, MAX_CHANGED_WORDS); i++)
    changes.push({ address: Number(take()), value: take() });
  return {
    status: view.getUint8(2),
    vector: view.getUint8(3),
    errorCode: view.getUint32(4, true),
    rip: view.getBigUint64(8, true),
    rflags: view.getBigUint64(16, true),
    cr2: view.getBigUint64(24, true),
    fsBase,
    gsBase,
    registers,
    image,
    changedWords,
    memoryHash: view.getUint32(48, true),
    changes,
  };
}

/** The state that an engine hands to `ResultBuilder`; 64-bit values as low and high half. */
export interface FinalState {
  status: number;
  vector: number;
  errorCode: number;
  readonly rip: Uint32Array;
  readonly rflags: Uint32Array;
  readonly cr2: Uint32Array;
  /** 16 general registers, FS base, GS base. */
  readonly registers: Uint32Array;
  /** As in a case. */
  readonly image: Uint32Array;
  /** Changed memory words in the order of their addresses: address, low, high. */
  readonly changes: Uint32Array;
  changedWords: number;
}

/** A final state with room for every word of the writable pages to have changed. */
export function emptyFinalState(): FinalState {
  return {
    status: 0,
    vector: 0,
    errorCode: 0,
    rip: new Uint32Array(2),
    rflags: new Uint32Array(2),
    cr2: new Uint32Array(2),
    registers: new Uint32Array(36),
    image: new Uint32Array(192),
    changes: new Uint32Array(3 * 2048),
    changedWords: 0,
  };
}

/** Collects results in the runner's format. */
export class ResultBuilder {
  #u32: Uint32Array;
  #at = RESULT_BATCH_HEADER_BYTES >> 2;
  #results = 0;

  constructor(capacityBytes = 4 << 20) {
    this.#u32 = new Uint32Array(capacityBytes >> 2);
  }

  /** Adds the result of the case at byte `caseAt` of a batch. `batch` and `images` are the same bytes as 32-bit words. */
  add(batch: Uint32Array, caseAt: number, imageAt: number, state: FinalState): void {
    if (this.#at + 512 > this.#u32.length) this.#grow();
    const u32 = this.#u32;
    const start = this.#at;
    const header = caseAt >> 2;
    u32.fill(0, start, start + 14);
    let at = start + 14;
    let registerMask = 0;
    let imageLow = 0;
    let imageHigh = 0;
    let ymmMask = 0;
    let hash = 0;
    let changedWords = 0;
    if (state.status !== STATUS_TIMEOUT) {
      const put = (source: Uint32Array, i: number) => {
        u32[at++] = source[2 * i]!;
        u32[at++] = source[2 * i + 1]!;
      };
      for (let i = 0; i < 18; i++) {
        const was = header + (i < 16 ? 8 + 2 * i : 2 * (i - 14)); // registers, or FS and GS base before them
        if (batch[was] === state.registers[2 * i] && batch[was + 1] === state.registers[2 * i + 1]) continue;
        registerMask |= 1 << i;
        put(state.registers, i);
      }
      leaveUnreported(state.image, batch, imageAt >> 2);
      for (let i = 0; i < IMAGE_COMPARED_WORDS; i++) {
        const was = (imageAt >> 2) + 2 * i;
        if (batch[was] === state.image[2 * i] && batch[was + 1] === state.image[2 * i + 1]) continue;
        if (i < 32) imageLow |= 1 << i;
        else imageHigh |= 1 << (i - 32);
        put(state.image, i);
      }
      for (let i = 0; i < YMM_WORDS; i++) {
        const word = IMAGE_YMM / 8 + i;
        const was = (imageAt >> 2) + 2 * word;
        if (batch[was] === state.image[2 * word] && batch[was + 1] === state.image[2 * word + 1]) continue;
        ymmMask |= 1 << i;
        put(state.image, word);
      }
      changedWords = state.changedWords;
      if (changedWords > 0) hash = HASH_START;
      for (let i = 0; i < changedWords; i++) {
        const address = state.changes[3 * i]!;
        const low = state.changes[3 * i + 1]!;
        const high = state.changes[3 * i + 2]!;
        hash = hashChange(hash, address, low, high);
        if (i >= MAX_CHANGED_WORDS) continue;
        u32[at++] = address;
        u32[at++] = 0;
        u32[at++] = low;
        u32[at++] = high;
      }
      u32[start + 1] = state.errorCode;
      u32.set(state.rip, start + 2);
      u32.set(state.rflags, start + 4);
      u32.set(state.cr2, start + 6);
    }
    const vector = state.status === STATUS_TIMEOUT ? 0 : state.vector;
    u32[start] = ((at - start) << 2) | (state.status << 16) | (vector << 24);
    u32[start + 8] = registerMask;
    u32[start + 9] = changedWords;
    u32[start + 10] = imageLow;
    u32[start + 11] = imageHigh;
    u32[start + 12] = hash;
    u32[start + 13] = ymmMask;
    this.#at = at;
    this.#results++;
  }

  finish(): Uint8Array {
    this.#u32[0] = RESULT_MAGIC;
    this.#u32[1] = (this.#at << 2) - RESULT_BATCH_HEADER_BYTES;
    this.#u32[2] = this.#results;
    return new Uint8Array(this.#u32.buffer, 0, this.#at << 2);
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.#u32.length);
    larger.set(this.#u32);
    this.#u32 = larger;
  }
}

/** What an image holds besides comparable state becomes what it was before: the MXCSR mask; x87 pointers without an exception. */
function leaveUnreported(image: Uint32Array, batch: Uint32Array, at: number): void {
  image[7] = batch[at + 7]!;
  if (((image[0]! >>> 16) & X87_ERROR_SUMMARY) !== 0) return;
  image[1] = (image[1]! & 0xffff) | (batch[at + 1]! & 0xffff_0000);
  for (let i = 2; i < 6; i++) image[i] = batch[at + i]!;
}
