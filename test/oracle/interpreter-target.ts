import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import type { ProcessorSurroundings } from "../../src/cpu/processor.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { CPU_STATE, GUEST_RAM } from "../../src/layout/memory-map.ts";
import { createProcessor, type EngineName, type ProcessorParts } from "../../src/machine/create-processor.ts";
import { createMachineMemory } from "../../src/machine/machine-memory.ts";
import { indexBatch } from "./batch.ts";
import {
  GUEST_RAM_BYTES,
  HANDLER_BYTES,
  HANDLERS_LINEAR,
  physicalOf,
  SEGMENTS,
  STACK_TOP,
  SYSTEM_REGISTERS,
  writeGuestTables,
} from "./guest-tables.ts";
import {
  CASE_HEADER_BYTES,
  CASE_NO_EXIT,
  CODE_BASE,
  CODE_FILL,
  DATA_PAGES,
  EXIT_JUMP_BYTES,
  EXIT_STUB,
  exitJump,
  IMAGE_BYTES,
  IMAGE_YMM,
  PAGE_BYTES,
  PAGES,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_TIMEOUT,
} from "./protocol.ts";
import { emptyFinalState, ResultBuilder } from "./results.ts";
import type { ExecutionTarget } from "./target.ts";

const CORE = join(import.meta.dirname, "..", "..", "build", "core.wasm");
/** More than the longest repetition that stays inside the data pages. */
const MAX_INSTRUCTIONS = 100_000;
/** The part of the processor state that a case can change. */
const SAVED_WORDS = 0x600 >> 2;
const VECTORS_WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);
const PAGE_FAULT = 14;
const DEBUG_TRAP = 1;

/** Why the interpreter cannot run here; undefined when it can. */
export function interpreterUnavailable(): string | undefined {
  return existsSync(CORE) ? undefined : "build/core.wasm is missing: node tools/build-core.ts";
}

/** Opens the interpreter as a target. */
export async function openInterpreterTarget(): Promise<ExecutionTarget> {
  return openTarget("interpreter");
}

/** Every case is translated before it runs. */
export async function openTranslatorTarget(): Promise<ExecutionTarget> {
  return openTarget("auto");
}

function openTarget(engine: EngineName): ExecutionTarget {
  const reason = interpreterUnavailable();
  if (reason !== undefined) throw new Error(`cannot run cases in the interpreter: ${reason}`);
  return new InterpreterTarget(new WebAssembly.Module(readFileSync(CORE)), engine);
}

/** A machine without devices: nothing that a case does can reach them. */
const surroundings: ProcessorSurroundings = {
  readPort: () => 0,
  writePort() {},
  readDevice: () => 0,
  writeDevice() {},
  acknowledgeInterrupt: () => -1,
  raisePerformanceInterrupt: () => undefined,
  readMsr: () => undefined,
  writeMsr: () => false,
  readTaskPriority: () => 0,
  writeTaskPriority() {},
  timeStampCounter: () => 0,
  random: () => 0n,
};

/**
 * The interpreter with a processor in user mode. Exceptions are delivered by
 * the guest's IDT to handlers that halt; the jump behind a case's code leads
 * to an unmapped page, whose fault is the case's normal end.
 */
class InterpreterTarget implements ExecutionTarget {
  readonly name: string;
  readonly #eager: boolean;
  readonly #parts: ProcessorParts;
  readonly #ram: Uint8Array;
  readonly #state: Uint32Array;
  readonly #view: DataView;
  readonly #userState: Uint32Array;
  /** What the test pages hold between cases. */
  readonly #reference = new Uint8Array(PAGES.length * PAGE_BYTES);
  readonly #referenceWords = new Uint32Array(this.#reference.buffer);
  readonly #pages: Uint8Array;
  readonly #pageWords: Uint32Array;
  /** Word index, low and high half of what patches replaced. */
  readonly #patched: number[] = [];
  /** The writable pages, each with its reference. */
  readonly #watched: readonly {
    readonly index: number;
    readonly now: Uint8Array;
    readonly before: Uint8Array;
  }[];
  readonly #final = emptyFinalState();
  /** The code that stands in the code pages. */
  #placed = { start: CODE_BASE, code: new Uint8Array(0), withExit: false };

  constructor(coreModule: WebAssembly.Module, engine: EngineName) {
    this.#eager = engine === "auto";
    this.name = this.#eager ? "translator" : "interpreter";
    const memory = createMachineMemory(GUEST_RAM_BYTES, true);
    this.#parts = createProcessor({
      coreModule,
      ramBytes: GUEST_RAM_BYTES,
      deterministic: true,
      surroundings,
      memory,
      engine,
      features: CPU_MODELS["max"]!,
    });
    this.#ram = new Uint8Array(memory.buffer, GUEST_RAM, GUEST_RAM_BYTES);
    this.#pages = this.#ram.subarray(physicalOf(0), physicalOf(PAGES.length));
    this.#pageWords = new Uint32Array(memory.buffer, this.#pages.byteOffset, this.#pages.length >> 2);
    this.#state = new Uint32Array(memory.buffer, CPU_STATE, SAVED_WORDS);
    this.#view = new DataView(memory.buffer, GUEST_RAM, GUEST_RAM_BYTES);
    writeGuestTables(this.#ram);
    const { registers } = this.#parts.processor;
    for (const [name, value] of SYSTEM_REGISTERS) registers.set(name, value);
    for (const { name, ...segment } of SEGMENTS) registers.setSegment(name, segment);
    this.#userState = this.#state.slice();
    this.#watched = PAGES.flatMap(({ writable }, index) => {
      const part = (bytes: Uint8Array) => bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
      return writable ? [{ index, now: part(this.#pages), before: part(this.#reference) }] : [];
    });
    const code = DATA_PAGES.length * PAGE_BYTES;
    this.#pages.fill(CODE_FILL, code);
    this.#reference.fill(CODE_FILL, code);
  }

  async run(batch: Uint8Array): Promise<Uint8Array> {
    const index = indexBatch(batch);
    this.#pages.set(index.memory);
    this.#reference.set(index.memory);
    const aligned = batch.byteOffset % 4 === 0 ? batch : batch.slice();
    const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
    const builder = new ResultBuilder();
    for (const at of index.offsets) {
      const image = index.imagesAt + aligned[at + 7]! * IMAGE_BYTES;
      this.#runCase(aligned, words, at, image);
      builder.add(words, at, image, this.#final);
    }
    return builder.finish();
  }

  async close(): Promise<void> {}

  #runCase(batch: Uint8Array, words: Uint32Array, at: number, image: number): void {
    const header = at >> 2;
    const patchCount = batch[at + 6]!;
    const patches = (at + CASE_HEADER_BYTES) >> 2;
    const codeAt = at + CASE_HEADER_BYTES + 16 * patchCount;
    const codeBytes = batch[at + 2]!;
    const start = CODE_BASE + (words[header + 1]! & 0xffff);
    const end = start + codeBytes;
    for (let i = patches; i < patches + 4 * patchCount; i += 4) this.#poke(words[i]!, words, i + 2);
    const withExit = (batch[at + 3]! & CASE_NO_EXIT) === 0;
    this.#replaceCode(start, batch.subarray(codeAt, codeAt + codeBytes), withExit);

    this.#load(words, header, image >> 2, start);
    this.#takeResult(this.#runToHandler(), end);
    this.#takeChanges();

    this.#undoPatches();
  }

  /** Runs until a handler halts; false when the case takes too long. A run may end early, as POPF's does when it sets TF. */
  #runToHandler(): boolean {
    const { processor, engine } = this.#parts;
    if (this.#eager) engine.translateHere();
    while (processor.instructions < MAX_INSTRUCTIONS)
      if (processor.run(MAX_INSTRUCTIONS - processor.instructions) === "halt") return true;
    return false;
  }

  // ---- memory ----

  #poke(address: number, words: Uint32Array, at: number): void {
    const offset = pageOffset(address) >> 2;
    if (offset < 0)
      throw new RangeError(`a patch lies outside of the test pages, at 0x${address.toString(16)}`);
    this.#patched.push(offset, this.#referenceWords[offset]!, this.#referenceWords[offset + 1]!);
    this.#pageWords[offset] = this.#referenceWords[offset] = words[at]!;
    this.#pageWords[offset + 1] = this.#referenceWords[offset + 1] = words[at + 1]!;
  }

  #undoPatches(): void {
    const patched = this.#patched;
    for (let i = 0; i < patched.length; i += 3) {
      const at = patched[i]!;
      this.#pageWords[at] = this.#referenceWords[at] = patched[i + 1]!;
      this.#pageWords[at + 1] = this.#referenceWords[at + 1] = patched[i + 2]!;
    }
    patched.length = 0;
  }

  /** Puts a case's code in the place of the last one's. Neighbours often differ in data only, and then it stays decoded. */
  #replaceCode(start: number, code: Uint8Array, withExit: boolean): void {
    const placed = this.#placed;
    const sameCode = start === placed.start && Buffer.compare(code, placed.code) === 0;
    if (sameCode && withExit === placed.withExit) return;
    const used = placed.code.length + (placed.withExit ? EXIT_JUMP_BYTES : 0);
    this.#placeCode(placed.start, FILL.subarray(0, used));
    this.#placeCode(start, code);
    if (withExit) this.#placeCode(start + code.length, exitJump(start + code.length));
    this.#placed = { start, code: code.slice(), withExit };
  }

  #placeCode(start: number, code: Uint8Array): void {
    for (let done = 0; done < code.length; ) {
      const offset = pageOffset(start + done);
      const count = Math.min(code.length - done, PAGE_BYTES - (offset % PAGE_BYTES));
      const part = code.subarray(done, done + count);
      this.#pages.set(part, offset);
      this.#reference.set(part, offset);
      const physical = physicalOf(0) + offset;
      this.#parts.engine.codeWritten(
        physical >> 12,
        physical % PAGE_BYTES,
        (physical % PAGE_BYTES) + count - 1,
      );
      done += count;
    }
  }

  /** Collects the words of writable pages that changed, and puts them back. */
  #takeChanges(): void {
    const final = this.#final;
    final.changedWords = 0;
    for (const { index, now, before } of this.#watched) {
      if (Buffer.compare(now, before) === 0) continue;
      const from = index * PAGE_BYTES;
      for (let i = from >> 2; i < (from + PAGE_BYTES) >> 2; i += 2) {
        const low = this.#pageWords[i]!;
        const high = this.#pageWords[i + 1]!;
        if (low === this.#referenceWords[i] && high === this.#referenceWords[i + 1]) continue;
        const at = 3 * final.changedWords++;
        final.changes[at] = PAGES[index]!.address + ((i << 2) - from);
        final.changes[at + 1] = low;
        final.changes[at + 2] = high;
        this.#pageWords[i] = this.#referenceWords[i]!;
        this.#pageWords[i + 1] = this.#referenceWords[i + 1]!;
      }
      const physical = physicalOf(index);
      if (PAGES[index]!.executable) this.#parts.engine.codeWritten(physical >> 12, 0, PAGE_BYTES - 1);
    }
  }

  // ---- processor state ----

  #load(words: Uint32Array, header: number, image: number, start: number): void {
    const state = this.#state;
    state.set(this.#userState);
    copy(words, header + 8, state, cpu.GPR >> 2, 32);
    this.#parts.core.writeFlags(BigInt(words[header + 2]!), 0xffff_ffffn);
    // What follows from AC.
    this.#parts.core.updateMode();
    state[cpu.RIP >> 2] = start;
    state[(cpu.RIP >> 2) + 1] = 0;
    this.#loadBase(cpu.SEG_FS, words, header + 4);
    this.#loadBase(cpu.SEG_GS, words, header + 6);
    // FXSAVE image to state.
    const fsw = words[image]! >>> 16;
    const top = (fsw >> 11) & 7;
    state[cpu.X87_FCW >> 2] = words[image]! & 0xffff;
    state[cpu.X87_FSW >> 2] = fsw & ~0x3800;
    state[cpu.X87_TOP >> 2] = top;
    state[cpu.X87_EMPTY >> 2] = ~words[image + 1]! & 0xff;
    state[cpu.X87_FOP >> 2] = (words[image + 1]! >>> 16) & 0x7ff;
    copy(words, image + 2, state, cpu.X87_FIP >> 2, 2);
    copy(words, image + 4, state, cpu.X87_FDP >> 2, 2);
    state[cpu.MXCSR >> 2] = words[image + 6]!;
    for (let i = 0; i < 8; i++)
      copy(words, image + 8 + 4 * i, state, (cpu.X87 + cpu.X87_REGISTER_BYTES * ((top + i) & 7)) >> 2, 4);
    copy(words, image + 40, state, cpu.XMM >> 2, 64);
    copy(words, image + (IMAGE_YMM >> 2), state, cpu.YMM_HIGH >> 2, 64);
  }

  #loadBase(segment: number, words: Uint32Array, at: number): void {
    copy(words, at, this.#state, (segment + cpu.SEGMENT_BASE) >> 2, 2);
    copy(words, at, this.#state, (segment + cpu.SEGMENT_EFFECTIVE_BASE) >> 2, 2);
  }

  #takeResult(halted: boolean, end: number): void {
    const final = this.#final;
    const state = this.#state;
    if (!halted) {
      final.status = STATUS_TIMEOUT;
      return;
    }
    const handler = (state[cpu.RIP >> 2]! | 0) - Number(BigInt.asIntN(32, HANDLERS_LINEAR));
    const vector = Math.floor(handler / HANDLER_BYTES);
    const withCode = VECTORS_WITH_ERROR_CODE.has(vector);
    // The frame: error code if any, RIP, CS, RFLAGS, RSP, SS.
    const frame = STACK_TOP - 40;
    this.#take(final.rip, 0, frame);
    this.#take(final.rflags, 0, frame + 16);
    copy(state, cpu.GPR >> 2, final.registers, 0, 32);
    this.#take(final.registers, 4, frame + 24);
    copy(state, (cpu.SEG_FS + cpu.SEGMENT_BASE) >> 2, final.registers, 32, 2);
    copy(state, (cpu.SEG_GS + cpu.SEGMENT_BASE) >> 2, final.registers, 34, 2);
    final.status = STATUS_FAULT;
    final.vector = vector;
    final.errorCode = withCode ? this.#view.getUint32(frame - 8, true) : 0;
    final.cr2.fill(0);
    if (vector === PAGE_FAULT) copy(state, cpu.CR2 >> 2, final.cr2, 0, 2);
    // A case that ends with TF set traps behind the jump.
    if (
      (vector === PAGE_FAULT || vector === DEBUG_TRAP) &&
      final.rip[0] === EXIT_STUB &&
      final.rip[1] === 0
    ) {
      final.status = STATUS_EXIT;
      final.vector = final.errorCode = 0;
      final.cr2.fill(0);
      final.rip[0] = end;
    }
    this.#takeImage();
  }

  #take(to: Uint32Array, index: number, physical: number): void {
    to[2 * index] = this.#view.getUint32(physical, true);
    to[2 * index + 1] = this.#view.getUint32(physical + 4, true);
  }

  #takeImage(): void {
    const { image } = this.#final;
    const state = this.#state;
    const top = state[cpu.X87_TOP >> 2]!;
    image[0] = (state[cpu.X87_FCW >> 2]! & 0xffff) | ((state[cpu.X87_FSW >> 2]! | (top << 11)) << 16);
    image[1] = (~state[cpu.X87_EMPTY >> 2]! & 0xff) | (state[cpu.X87_FOP >> 2]! << 16);
    copy(state, cpu.X87_FIP >> 2, image, 2, 2);
    copy(state, cpu.X87_FDP >> 2, image, 4, 2);
    image[6] = state[cpu.MXCSR >> 2]!;
    for (let i = 0; i < 8; i++) {
      const from = (cpu.X87 + cpu.X87_REGISTER_BYTES * ((top + i) & 7)) >> 2;
      copy(state, from, image, 8 + 4 * i, 2);
      image[10 + 4 * i] = state[from + 2]! & 0xffff;
    }
    copy(state, cpu.XMM >> 2, image, 40, 64);
    copy(state, cpu.YMM_HIGH >> 2, image, IMAGE_YMM >> 2, 64);
  }
}

const FILL = new Uint8Array(512).fill(CODE_FILL);

/** Short copies, for which a view of a part would cost more. */
function copy(from: Uint32Array, at: number, to: Uint32Array, toAt: number, count: number): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[at + i]!;
}

/** Offset of an address within the test pages as they lie in guest RAM; -1 when it is not mapped. */
function pageOffset(address: number): number {
  for (let i = 0; i < PAGES.length; i++) {
    const offset = address - PAGES[i]!.address;
    if (offset >= 0 && offset < PAGE_BYTES) return i * PAGE_BYTES + offset;
  }
  return -1;
}
