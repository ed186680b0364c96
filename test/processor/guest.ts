import { readFileSync } from "node:fs";
import path from "node:path";
import { CPU_MODELS } from "../../src/cpu/cpu-model.ts";
import type { ProcessorSurroundings, RunOutcome } from "../../src/cpu/processor.ts";
import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { GUEST_RAM } from "../../src/layout/memory-map.ts";
import {
  createProcessor,
  type EngineName,
  type ProcessorParts,
  type ProcessorRequest,
} from "../../src/machine/create-processor.ts";
import { createMachineMemory } from "../../src/machine/machine-memory.ts";
import { assemble } from "./assemble.ts";

// Where the guest's tables lie, all identity-mapped, readable, writable and executable at every privilege level:
//
//   0x01000  PML4, PDPT, PD, and page tables for the first 4 MiB
//   0x08000  GDT      0x09000  IDT      0x0a000  TSS
//   0x11000  handlers: vector n halts at HANDLERS + 16 * n
//   0x80000  top of the stack      0x90000  RSP0      0xa0000  IST1
//   0x100000 where programs start
export const RAM_BYTES = 32 << 20;
export const PML4 = 0x1000;
export const PAGE_DIRECTORY = 0x3000;
export const PAGE_TABLE = 0x4000;
export const GDT = 0x8000;
export const IDT = 0x9000;
export const TSS = 0xa000;
export const HANDLERS = 0x11000;
export const STACK = 0x80000;
export const STACK_0 = 0x90000;
export const STACK_IST1 = 0xa0000;
export const PROGRAM = 0x100000;

export const PRESENT = 1n;
export const WRITABLE = 2n;
export const USER = 4n;
export const LARGE = 128n;
export const GLOBAL = 256n;
export const NO_EXECUTE = 1n << 63n;
export const ALL = PRESENT | WRITABLE | USER;

export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const KERNEL_CODE_32 = 0x18;
export const USER_DATA = 0x2b;
export const USER_CODE = 0x33;
const TASK = 0x40;

const SYSTEM_STATE = ["cr0", "cr2", "cr3", "cr4", "efer", "dr6", "cpl"];
const VECTORS_WITH_ERROR_CODE = [8, 10, 11, 12, 13, 14, 17];

/** What a handler of `Guest` found: the frame on its stack. */
export interface Delivered {
  readonly vector: number;
  readonly errorCode: bigint | undefined;
  readonly rip: bigint;
  readonly cs: bigint;
  readonly rflags: bigint;
  readonly rsp: bigint;
  readonly ss: bigint;
}

let coreModule: WebAssembly.Module | undefined;

/** The compiled src/core; `npm test` builds it first. */
export function loadCore(): WebAssembly.Module {
  coreModule ??= new WebAssembly.Module(
    readFileSync(path.join(import.meta.dirname, "../../build/core.wasm")),
  );
  return coreModule;
}

/** A processor without a machine: ports and devices are scripted, interrupts come from `interrupts`. */
export class Guest {
  readonly parts: ProcessorParts;
  readonly memory: WebAssembly.Memory;
  readonly ram: Uint8Array;
  readonly view: DataView;
  /** Vectors that wait at the interrupt controller. */
  interrupts: number[] = [];
  /** Each comes as an NMI. */
  performanceInterrupts = 0;
  /** Called for a port write: port, value. */
  onPort: (port: number, value: number) => void = () => {};
  /** Accesses outside of RAM: "r 0xfee00000 4". */
  deviceLog: string[] = [];

  constructor(engine?: EngineName, more: Partial<ProcessorRequest> = {}) {
    const surroundings: ProcessorSurroundings = {
      readPort: () => 0,
      writePort: (port, _bytes, value) => this.onPort(port, value),
      readDevice: (address, bytes) => {
        this.deviceLog.push(`r ${address.toString(16)} ${bytes}`);
        return 0x5a5a5a5a & (bytes === 4 ? -1 : (1 << (8 * bytes)) - 1);
      },
      writeDevice: (address, bytes) => {
        this.deviceLog.push(`w ${address.toString(16)} ${bytes}`);
      },
      raisePerformanceInterrupt: () => {
        this.performanceInterrupts++;
        this.parts.processor.raiseNonMaskableInterrupt();
      },
      acknowledgeInterrupt: () => {
        const vector = this.interrupts.shift() ?? -1;
        this.parts.processor.setInterruptPending(this.interrupts.length > 0);
        return vector;
      },
      readMsr: () => undefined,
      writeMsr: () => false,
      readTaskPriority: () => 0,
      writeTaskPriority() {},
      timeStampCounter: () => 0,
      random: () => 0n,
    };
    this.memory = createMachineMemory(RAM_BYTES, true);
    this.ram = new Uint8Array(this.memory.buffer, GUEST_RAM, RAM_BYTES);
    this.view = new DataView(this.memory.buffer, GUEST_RAM, RAM_BYTES);
    this.parts = createProcessor({
      coreModule: loadCore(),
      ramBytes: RAM_BYTES,
      deterministic: true,
      surroundings,
      memory: this.memory,
      ...(engine !== undefined && { engine }),
      features: CPU_MODELS["max"]!,
      ...more,
    });
  }

  /** RESET, empty memory and 64-bit mode at CPL 0 with interrupts off. */
  restart(): this {
    this.ram.fill(0);
    this.interrupts = [];
    this.performanceInterrupts = 0;
    this.onPort = () => {};
    this.deviceLog = [];
    const { processor } = this.parts;
    processor.reset();
    processor.setInterruptPending(false);
    this.#writeTables();
    const { registers } = processor;
    registers.set("cr0", 0x8001_0033n);
    registers.set("cr4", 0x6a0n | (1n << 4n));
    registers.set("cr3", BigInt(PML4));
    registers.set("efer", 0xd01n);
    registers.set("gdtr.base", BigInt(GDT));
    registers.set("gdtr.limit", 0x4fn);
    registers.set("idtr.base", BigInt(IDT));
    registers.set("idtr.limit", 0xfffn);
    this.enter(KERNEL_CODE);
    registers.setSegment("tr", { selector: TASK, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
    registers.set("rflags", 2n);
    registers.set("rsp", BigInt(STACK));
    return this;
  }

  /** Sets CS and the data segments for a privilege level. */
  enter(code: number): void {
    const { registers } = this.parts.processor;
    const user = (code & 3) === 3;
    const attributes = code === KERNEL_CODE_32 ? 0xc09b : 0xa09b;
    registers.setSegment("cs", {
      selector: code,
      base: 0n,
      limit: 0xffffffff,
      attributes: attributes | (user ? 0x60 : 0),
    });
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const) {
      const selector = user ? USER_DATA : KERNEL_DATA;
      registers.setSegment(name, {
        selector,
        base: 0n,
        limit: 0xffffffff,
        attributes: 0xc093 | (user ? 0x60 : 0),
      });
    }
  }

  #writeTables(): void {
    const { view } = this;
    view.setBigUint64(PML4, BigInt(0x2000) | ALL, true);
    view.setBigUint64(0x2000, BigInt(PAGE_DIRECTORY) | ALL, true);
    for (let table = 0; table < 2; table++) {
      view.setBigUint64(PAGE_DIRECTORY + 8 * table, BigInt(PAGE_TABLE + 4096 * table) | ALL, true);
    }
    for (let page = 0; page < 1024; page++) this.map(page * 4096, page * 4096);
    const descriptors = [
      0n,
      0x00af9b000000ffffn,
      0x00cf93000000ffffn,
      0x00cf9b000000ffffn,
      0x00cffb000000ffffn,
      0x00cff3000000ffffn,
      0x00affb000000ffffn,
    ];
    for (const [i, descriptor] of descriptors.entries()) view.setBigUint64(GDT + 8 * i, descriptor, true);
    view.setBigUint64(GDT + TASK, BigInt(0x67) | (BigInt(TSS) << 16n) | (0x8bn << 40n), true);
    for (let vector = 0; vector < 256; vector++) {
      this.gate(vector, HANDLERS + 16 * vector);
      this.ram[HANDLERS + 16 * vector] = 0xf4;
    }
    view.setBigUint64(TSS + 4, BigInt(STACK_0), true);
    view.setBigUint64(TSS + 36, BigInt(STACK_IST1), true);
  }

  /** Maps a page of the first 4 MiB, or takes it away with 0 as rights. */
  map(linear: number, physical: number, rights: bigint = ALL): void {
    this.view.setBigUint64(PAGE_TABLE + (linear >>> 12) * 8, BigInt(physical) | rights, true);
  }

  /** A 64-bit interrupt gate (type 14) or trap gate (15). */
  gate(vector: number, target: number, { dpl = 3, ist = 0, type = 14, present = true } = {}): void {
    const attributes = BigInt((present ? 0x80 : 0) | (dpl << 5) | type);
    const low = BigInt(target & 0xffff) | (BigInt(KERNEL_CODE) << 16n) | (BigInt(ist) << 32n);
    this.view.setBigUint64(
      IDT + 16 * vector,
      low | (attributes << 40n) | (BigInt(target >>> 16) << 48n),
      true,
    );
    this.view.setBigUint64(IDT + 16 * vector + 8, 0n, true);
  }

  /** Assembles a program to an address, and starts there. */
  program(source: string, at = PROGRAM, bits: 16 | 32 | 64 = 64): this {
    this.ram.set(assemble(source, at, bits), at);
    this.parts.processor.registers.set("rip", BigInt(at));
    return this;
  }

  /** Puts code elsewhere. */
  code(source: string, at: number, physical = at): this {
    this.ram.set(assemble(source, at), physical);
    return this;
  }

  get(name: string): bigint {
    return this.parts.processor.registers.get(name);
  }
  set(name: string, value: bigint): void {
    this.parts.processor.registers.set(name, value);
  }

  interrupt(vector: number): void {
    this.interrupts.push(vector);
    this.parts.processor.setInterruptPending(true);
  }

  /** Runs in slices of a budget until HLT with nothing pending, a triple fault, or too many slices. */
  run(budget = 1000, slices = 20_000): RunOutcome {
    for (let i = 0; i < slices; i++) {
      const outcome = this.parts.processor.run(budget);
      if (outcome !== "budget") return outcome;
    }
    return "budget";
  }

  /** The frame of the handler that halted. */
  delivered(): Delivered {
    const rip = Number(this.get("rip"));
    const vector = (rip - 1 - HANDLERS) / 16;
    if (!Number.isInteger(vector) || vector < 0 || vector > 255)
      throw new Error(`no handler halted: RIP is 0x${rip.toString(16)}`);
    let at = Number(this.get("rsp"));
    const next = () => {
      at += 8;
      return this.view.getBigUint64(at - 8, true);
    };
    const errorCode = VECTORS_WITH_ERROR_CODE.includes(vector) ? next() : undefined;
    return { vector, errorCode, rip: next(), cs: next(), rflags: next(), rsp: next(), ss: next() };
  }

  state32(field: number): number {
    return this.parts.state.get32(field);
  }

  /** Everything that a program can have changed, for comparison. */
  summary(): Record<string, unknown> {
    const names = [...GENERAL_REGISTERS, "rip", "rflags", "cs", "ss", "ds", "es"].concat(SYSTEM_STATE);
    let hash = 0;
    const words = new Int32Array(this.memory.buffer, GUEST_RAM, (4 << 20) >> 2);
    for (let i = 0; i < words.length; i++) hash = (Math.imul(hash, 31) + words[i]!) | 0;
    return {
      ...Object.fromEntries(names.map((name) => [name, `0x${this.get(name).toString(16)}`])),
      halted: this.state32(cpu.HALTED),
      memory: hash,
      instructions: this.parts.processor.instructions,
    };
  }
}

let shared: Guest | undefined;

/** One processor serves all tests of a file: building one takes long. */
export function freshGuest(): Guest {
  shared ??= new Guest();
  return shared.restart();
}

/** Budgets between which no program may see a difference. */
export const BUDGETS = [1, 7, 1000] as const;

/** Sets a program up and runs it with each budget; all must end alike. Leaves the last run's guest for a closer look. */
export function runAlike(prepare: (guest: Guest) => void): Guest {
  let first: Record<string, unknown> | undefined;
  let guest: Guest | undefined;
  for (const budget of BUDGETS) {
    guest = freshGuest();
    prepare(guest);
    const outcome = guest.run(budget);
    const summary = { ...guest.summary(), outcome };
    first ??= summary;
    const different = Object.keys(summary).filter(
      (key) => (summary as Record<string, unknown>)[key] !== first![key],
    );
    if (different.length > 0) {
      const shown = different.map(
        (key) => `${key}: ${first![key]} / ${(summary as Record<string, unknown>)[key]}`,
      );
      throw new Error(
        `a budget of ${budget} ends differently from one of ${BUDGETS[0]}: ${shown.join("; ")}`,
      );
    }
  }
  return guest!;
}
