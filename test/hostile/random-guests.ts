import { readFileSync } from "node:fs";
import path from "node:path";
import type { ProcessorSurroundings } from "../../src/cpu/processor.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { CPU_STATE, GUEST_RAM } from "../../src/layout/memory-map.ts";
import { createProcessor, type EngineName, type ProcessorParts } from "../../src/machine/create-processor.ts";

// A guest of 32 MiB in a memory with 4 MiB behind it that nobody may touch.
export const RAM_BYTES = 32 << 20;
/** What may run beyond the budget: code without jumps, to the end of its page. */
const JUMPLESS = 4096 + 80;
const GUARD_BYTES = 4 << 20;
const WASM_PAGE = 65536;
const CODE = 0x100000;
const CODE_BYTES = 4096;
/** What a guest cannot reach by a few hundred instructions is not cleared between guests; this is. */
const TABLES = 0x1000;
const PAGE_DIRECTORIES = 0x3000;

export type GuestMode = "long" | "protected";

/** xorshift32, so that a seed names a guest. */
export function randomWords(seed: number): () => number {
  let x = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** A processor without devices in a memory with a guard behind RAM. */
export class HostileRig {
  readonly parts: ProcessorParts;
  readonly ram: Uint8Array;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #guard: Int32Array;
  deviceAccesses = 0;
  /** A vector that is always pending, where a guest is to be stormed. */
  storm = -1;

  constructor(engine: EngineName = "interpreter") {
    const pages = (GUEST_RAM + RAM_BYTES + GUARD_BYTES) / WASM_PAGE;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const random = randomWords(1);
    const surroundings: ProcessorSurroundings = {
      readPort: (_port, bytes) => this.#noted(random() & (bytes === 4 ? 0x7fffffff : 0xff)),
      writePort: () => void this.#noted(0),
      readDevice: (_address, bytes) => this.#noted(bytes === 4 ? random() : 0xff),
      writeDevice: () => void this.#noted(0),
      acknowledgeInterrupt: () => this.storm,
      raisePerformanceInterrupt: () => undefined,
      readMsr: (index) => (index === 0x1b ? 0xfee00900n : undefined),
      writeMsr: () => true,
      readTaskPriority: () => 0,
      writeTaskPriority() {},
      timeStampCounter: () => 1,
      random: () => 4n,
    };
    const core = new WebAssembly.Module(
      readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
    );
    this.parts = createProcessor({
      coreModule: core,
      ramBytes: RAM_BYTES,
      deterministic: true,
      surroundings,
      memory: this.#memory,
      engine,
    });
    this.ram = new Uint8Array(this.#memory.buffer, GUEST_RAM, RAM_BYTES);
    this.#view = new DataView(this.#memory.buffer, GUEST_RAM, RAM_BYTES);
    this.#guard = new Int32Array(this.#memory.buffer, GUEST_RAM + RAM_BYTES, GUARD_BYTES >> 2);
    this.#guard.fill(0x6a6a6a6a);
  }

  #noted(value: number): number {
    this.deviceAccesses++;
    return value;
  }

  /** Whether all bytes behind RAM, and the reserved ones before the processor's state, are as they were. */
  guardIntact(): boolean {
    const low = new Int32Array(this.#memory.buffer, 0, 0x1000 >> 2);
    return this.#guard.every((word) => word === 0x6a6a6a6a) && low.every((word) => word === 0);
  }

  /** What of the processor's own state no guest may change. */
  ramSizeIntact(): boolean {
    return new Int32Array(this.#memory.buffer)[(CPU_STATE + cpu.RAM_BYTES) >> 2] === RAM_BYTES;
  }

  /** RESET, and memory with nothing but tables: identity paging of 4 GiB by 2 MiB pages in long mode, none in protected mode. */
  start(mode: GuestMode, code: Uint8Array, at = CODE): void {
    const { processor } = this.parts;
    const { registers } = processor;
    this.ram.fill(0, 0, 0x200000);
    this.ram.fill(0, RAM_BYTES - 0x10000);
    processor.reset();
    processor.setInterruptPending(this.storm >= 0);
    const view = this.#view;
    view.setBigUint64(0x800 + 8, mode === "long" ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn, true);
    view.setBigUint64(0x800 + 16, 0x00cf93000000ffffn, true);
    view.setBigUint64(0x800 + 24, 0x00cf9b000000ffffn, true);
    view.setBigUint64(0x800 + 32, 0x00affb000000ffffn, true);
    view.setBigUint64(0x800 + 40, 0x00cff3000000ffffn, true);
    registers.set("gdtr.base", 0x800n);
    registers.set("gdtr.limit", 0x2fn);
    registers.set("idtr.base", 0n);
    registers.set("idtr.limit", 0x7ffn);
    if (mode === "long") {
      view.setBigUint64(TABLES, 0x2007n, true);
      for (let i = 0; i < 4; i++)
        view.setBigUint64(TABLES + 0x1000 + 8 * i, BigInt(PAGE_DIRECTORIES + 4096 * i) | 7n, true);
      for (let i = 0; i < 2048; i++)
        view.setBigUint64(PAGE_DIRECTORIES + 8 * i, (BigInt(i) << 21n) | 0x87n, true);
      registers.set("cr4", 0x6b0n);
      registers.set("cr3", BigInt(TABLES));
      registers.set("efer", 0xd01n);
      registers.set("cr0", 0x80000033n);
    } else {
      registers.set("cr4", 0x600n);
      registers.set("cr0", 0x33n);
    }
    const attributes = mode === "long" ? 0xa09b : 0xc09b;
    registers.setSegment("cs", { selector: 8, base: 0n, limit: 0xffffffff, attributes });
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const)
      registers.setSegment(name, { selector: 16, base: 0n, limit: 0xffffffff, attributes: 0xc093 });
    registers.set("rflags", 2n);
    registers.set("rsp", 0x180000n);
    registers.set("rip", BigInt(at));
    this.ram.set(code.subarray(0, Math.min(code.length, RAM_BYTES - at)), at);
    for (let vector = 0; vector < 32; vector++) {
      // Handlers: back to random code at 0x101000, so that a guest does not end with its first fault.
      const size = mode === "long" ? 16 : 8;
      const at2 = vector * size;
      if (at2 + size > 0x400) break;
      view.setBigUint64(at2, 0x00108e0000080000n | 0x1000n | (BigInt(vector) << 4n), true);
      if (size === 16) view.setBigUint64(at2 + 8, 0n, true);
    }
  }

  /** Runs up to `instructions`; every call of `run` must come back near its budget. Returns how it ended. */
  drive(instructions: number, budget: number): "halt" | "shutdown" | "budget" {
    const { processor } = this.parts;
    const end = processor.instructions + instructions;
    let calls = 0;
    while (processor.instructions < end) {
      const before = processor.instructions;
      const outcome = processor.run(budget);
      const executed = processor.instructions - before;
      // A block of 64 and a few events may follow the last instruction of the budget.
      if (executed > budget + JUMPLESS || executed < 0)
        throw new Error(`a budget of ${budget} executed ${executed} instructions`);
      if (outcome !== "budget") return outcome;
      if (++calls > 50 * instructions)
        throw new Error("run returns again and again without executing anything");
    }
    return "budget";
  }
}

/** Random bytes. */
export function randomCode(seed: number, bytes = CODE_BYTES * 2): Uint8Array {
  const next = randomWords(seed);
  const code = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) code[i] = next() >>> 11;
  return code;
}

// Instructions that change what everything else rests on, in 32 and 64-bit encoding alike.
const PRIVILEGED: readonly (readonly number[])[] = [
  [0x0f, 0x22, 0xc0],
  [0x0f, 0x22, 0xd8],
  [0x0f, 0x22, 0xe0],
  [0x0f, 0x22, 0xd0],
  [0x0f, 0x20, 0xc0],
  [0x0f, 0x20, 0xe1], // mov cr0/3/4/2, eax; mov eax, cr0; mov ecx, cr4
  [0x0f, 0x30],
  [0x0f, 0x32], // wrmsr, rdmsr
  [0xb9, 0x80, 0x00, 0x00, 0xc0],
  [0xb9, 0x1b, 0, 0, 0],
  [0xb9, 0x82, 0x00, 0x00, 0xc0],
  [0xb9, 0x00, 0x01, 0x00, 0xc0], // mov ecx, EFER / APIC_BASE / LSTAR / FS_BASE
  [0x0f, 0x01, 0x10],
  [0x0f, 0x01, 0x18],
  [0x0f, 0x01, 0x15, 0, 8, 0x10, 0],
  [0x0f, 0x01, 0x38], // lgdt [eax], lidt [eax], lgdt [rel], invlpg [eax]
  [0x0f, 0x01, 0xf0],
  [0x0f, 0x00, 0xd8],
  [0x0f, 0x00, 0xd0], // lmsw ax, ltr ax, lldt ax
  [0x66, 0xb8, 0x10, 0x00],
  [0x66, 0xb8, 0x18, 0x00],
  [0xb8, 0x33, 0x00, 0x00, 0x80],
  [0xb8, 0x33, 0, 0, 0],
  [0xb8, 0xb0, 0x06, 0, 0],
  [0xb8, 0, 0x10, 0, 0],
  [0xb8, 0x01, 0x0d, 0, 0],
  [0x8e, 0xd8],
  [0x8e, 0xd0],
  [0x8e, 0xc0],
  [0x8e, 0xe0], // mov ds/ss/es/fs, ax
  [0xff, 0x28],
  [0xff, 0x18],
  [0xea, 0, 0, 0x10, 0, 0x18, 0],
  [0xcb],
  [0xcf],
  [0x48, 0xcf],
  [0x0f, 0x05],
  [0x48, 0x0f, 0x07],
  [0x0f, 0x34],
  [0x0f, 0x35],
  [0x9c],
  [0x9d],
  [0x6a, 0x08],
  [0x68, 0, 3, 0, 0],
  [0xfa],
  [0xfb],
  [0xf4],
  [0xcc],
  [0xcd, 0x0d],
  [0xf1],
  [0x0f, 0x01, 0xf8],
  [0xf3, 0xa4],
  [0xf3, 0xab],
  [0xf3, 0x6e],
  [0xf3, 0x6c],
  [0xfd],
  [0xbf, 0, 0, 0x10, 0],
  [0xbe, 0, 0, 0x10, 0],
  [0xb9, 0, 1, 0, 0],
  [0xff, 0xe0],
  [0xc3],
  [0xe8, 0, 0, 0, 0],
  [0xeb, 0xfe],
  [0xe9, 0xf0, 0xff, 0xff, 0xff],
  [0x0f, 0xae, 0x00],
  [0x0f, 0xc7, 0x08],
  [0xf0, 0x01, 0x00],
  [0x81, 0x00, 1, 0, 0, 0],
  [0x0f, 0x01, 0xd1],
  [0x0f, 0x23, 0xf8],
  [0x0f, 0x21, 0xf8],
  [0xbc, 0xf8, 0xff, 0xff, 0x01],
  [0xbc, 0xfc, 0xff, 0xff, 0xff],
];

/** Random bytes with instructions in between that change modes, tables and flow. */
export function privilegedCode(seed: number, bytes = CODE_BYTES * 2): Uint8Array {
  const next = randomWords(seed ^ 0x3c6ef372);
  const code = new Uint8Array(bytes);
  let at = 0;
  while (at < bytes) {
    const choice = next() >>> 8;
    if (choice % 4 === 0) code[at++] = next() >>> 11;
    else if (choice % 4 === 1) {
      // mov eax, imm32: an address or a value of some interest.
      const value = [
        next(),
        next() & 0x1ffffff,
        0xfee00000 + (next() & 0xff0),
        0xfffffff0 + (next() & 15),
        0x1fffff0 + (next() & 31),
        0x80000000,
        next() & 0xffff,
      ][(choice >>> 8) % 7]!;
      code.set(
        [0xb8, value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24].slice(0, bytes - at),
        at,
      );
      at += 5;
    } else {
      const instruction = PRIVILEGED[(choice >>> 4) % PRIVILEGED.length]!;
      code.set(instruction.slice(0, bytes - at), at);
      at += instruction.length;
    }
  }
  return code;
}
