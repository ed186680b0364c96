import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  CASE_HEADER_BYTES,
  CASE_NO_EXIT,
  CODE_BASE,
  IMAGE_BYTES,
  MAX_CODE_BYTES,
  MAX_IMAGES,
  MAX_PATCHES,
  MEMORY_BYTES,
  type Patch,
  type TestCase,
} from "./protocol.ts";

/** A case under construction, as 32-bit halves so that building millions of them makes no big integers. */
export class CaseDraft {
  /** Low and high half of each register, in encoding order. */
  readonly registers = new Uint32Array(32);
  rflags = 0x202;
  readonly fsBase = new Uint32Array(2);
  readonly gsBase = new Uint32Array(2);
  image = 0;
  noExit = false;
  codeOffset = 0;
  readonly code = new Uint8Array(MAX_CODE_BYTES);
  codeBytes = 0;
  /** Address, low half, high half of each patch. */
  readonly patches = new Uint32Array(3 * MAX_PATCHES);
  patchCount = 0;

  get start(): number {
    return CODE_BASE + this.codeOffset;
  }
}

/** Collects cases into one batch. */
export class BatchBuilder {
  readonly #bytes: Uint8Array;
  readonly #u32: Uint32Array;
  #end: number;
  #cases = 0;
  /** Byte offset of each case in the batch. */
  readonly offsets: number[] = [];

  constructor(memory: Uint8Array, images: Uint8Array, capacityBytes = 4 << 20) {
    if (memory.length !== MEMORY_BYTES)
      throw new RangeError(`memory has ${memory.length} bytes, not ${MEMORY_BYTES}`);
    if (images.length % IMAGE_BYTES !== 0 || images.length === 0 || images.length > MAX_IMAGES * IMAGE_BYTES)
      throw new RangeError(`${images.length} bytes are not 1 to ${MAX_IMAGES} FXSAVE images`);
    this.#bytes = new Uint8Array(capacityBytes);
    this.#u32 = new Uint32Array(this.#bytes.buffer);
    this.#bytes.set(memory, BATCH_HEADER_BYTES);
    this.#bytes.set(images, BATCH_HEADER_BYTES + MEMORY_BYTES);
    this.#end = BATCH_HEADER_BYTES + MEMORY_BYTES + images.length;
    this.#u32[0] = BATCH_MAGIC;
    this.#u32[3] = images.length / IMAGE_BYTES;
  }

  get cases(): number {
    return this.#cases;
  }

  /** Adds a case; false when the batch is full. */
  add(draft: CaseDraft): boolean {
    const start = this.#end;
    const bytes = CASE_HEADER_BYTES + 16 * draft.patchCount + ((draft.codeBytes + 7) & ~7);
    if (start + bytes > this.#bytes.length) return false;
    const u32 = this.#u32;
    let at = start >> 2;
    u32[at++] = bytes | (draft.codeBytes << 16) | ((draft.noExit ? CASE_NO_EXIT : 0) << 24);
    u32[at++] = draft.codeOffset | (draft.patchCount << 16) | (draft.image << 24);
    u32[at++] = draft.rflags;
    u32[at++] = 0;
    u32[at++] = draft.fsBase[0]!;
    u32[at++] = draft.fsBase[1]!;
    u32[at++] = draft.gsBase[0]!;
    u32[at++] = draft.gsBase[1]!;
    u32.set(draft.registers, at);
    at += 32;
    for (let i = 0; i < 3 * draft.patchCount; i += 3) {
      u32[at++] = draft.patches[i]!;
      u32[at++] = 0;
      u32[at++] = draft.patches[i + 1]!;
      u32[at++] = draft.patches[i + 2]!;
    }
    const code = at << 2;
    for (let i = 0; i < draft.codeBytes; i++) this.#bytes[code + i] = draft.code[i]!;
    this.#bytes.fill(0, code + draft.codeBytes, start + bytes);
    this.#end = start + bytes;
    this.offsets.push(start);
    this.#cases++;
    return true;
  }

  /** The batch as bytes; valid until the next `add`. */
  finish(): Uint8Array {
    this.#u32[1] = this.#end - BATCH_HEADER_BYTES;
    this.#u32[2] = this.#cases;
    return this.#bytes.subarray(0, this.#end);
  }
}

/** One batch of readable cases, which must share memory contents. */
export function encodeBatch(cases: readonly TestCase[]): Uint8Array {
  const memory = cases[0]?.memory ?? new Uint8Array(MEMORY_BYTES);
  const images: Uint8Array[] = [];
  const draft = new CaseDraft();
  const prepared = cases.map((c) => {
    if (c.memory !== memory && Buffer.compare(c.memory, memory) !== 0)
      throw new RangeError("cases of one batch differ in memory");
    let image = images.findIndex((i) => i === c.image || Buffer.compare(i, c.image) === 0);
    if (image < 0) image = images.push(c.image) - 1;
    return { c, image };
  });
  const all = new Uint8Array(IMAGE_BYTES * Math.max(1, images.length));
  images.forEach((image, i) => {
    all.set(image, i * IMAGE_BYTES);
  });
  const capacity =
    BATCH_HEADER_BYTES +
    MEMORY_BYTES +
    all.length +
    cases.length * (CASE_HEADER_BYTES + 16 * MAX_PATCHES + 256);
  const builder = new BatchBuilder(memory, all, capacity);
  for (const { c, image } of prepared) {
    writeDraft(draft, c, image);
    builder.add(draft);
  }
  return builder.finish();
}

function writeDraft(draft: CaseDraft, c: TestCase, image: number): void {
  const words = new BigUint64Array(draft.registers.buffer);
  c.registers.forEach((value, i) => {
    words[i] = value;
  });
  new BigUint64Array(draft.fsBase.buffer)[0] = c.fsBase;
  new BigUint64Array(draft.gsBase.buffer)[0] = c.gsBase;
  draft.rflags = Number(c.rflags);
  draft.image = image;
  draft.noExit = c.noExit;
  draft.codeOffset = c.codeOffset;
  draft.code.set(c.code);
  draft.codeBytes = c.code.length;
  draft.patchCount = c.patches.length;
  c.patches.forEach((patch, i) => {
    draft.patches[3 * i] = patch.address;
    draft.patches[3 * i + 1] = Number(patch.value & 0xffff_ffffn);
    draft.patches[3 * i + 2] = Number(patch.value >> 32n);
  });
}

/** A batch and where its cases begin. */
export interface BatchIndex {
  readonly bytes: Uint8Array;
  readonly memory: Uint8Array;
  readonly imagesAt: number;
  readonly images: number;
  /** Byte offsets of the cases. */
  readonly offsets: readonly number[];
}

/** Finds the parts of a batch. */
export function indexBatch(bytes: Uint8Array): BatchIndex {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== BATCH_MAGIC) throw new RangeError("not a batch of test cases");
  const cases = view.getUint32(8, true);
  const images = view.getUint32(12, true);
  const imagesAt = BATCH_HEADER_BYTES + MEMORY_BYTES;
  const offsets: number[] = [];
  let at = imagesAt + images * IMAGE_BYTES;
  for (let i = 0; i < cases; i++) {
    offsets.push(at);
    at += view.getUint16(at, true);
  }
  return { bytes, memory: bytes.subarray(BATCH_HEADER_BYTES, imagesAt), imagesAt, images, offsets };
}

/** Reads case number `index` of a batch. */
export function decodeCase(batch: BatchIndex, index: number): TestCase {
  const at = batch.offsets[index];
  if (at === undefined)
    throw new RangeError(`a batch of ${batch.offsets.length} cases has none with number ${index}`);
  const view = new DataView(batch.bytes.buffer, batch.bytes.byteOffset + at);
  const patchCount = view.getUint8(6);
  const image = batch.imagesAt + view.getUint8(7) * IMAGE_BYTES;
  const patches: Patch[] = [];
  for (let i = 0; i < patchCount; i++) {
    const p = CASE_HEADER_BYTES + 16 * i;
    patches.push({ address: Number(view.getBigUint64(p, true)), value: view.getBigUint64(p + 8, true) });
  }
  const code = at + CASE_HEADER_BYTES + 16 * patchCount;
  return {
    code: batch.bytes.slice(code, code + view.getUint8(2)),
    codeOffset: view.getUint16(4, true),
    noExit: (view.getUint8(3) & CASE_NO_EXIT) !== 0,
    rflags: view.getBigUint64(8, true),
    fsBase: view.getBigUint64(16, true),
    gsBase: view.getBigUint64(24, true),
    registers: Array.from({ length: 16 }, (_, i) => view.getBigUint64(32 + 8 * i, true)),
    image: batch.bytes.slice(image, image + IMAGE_BYTES),
    memory: batch.memory,
    patches,
  };
}
