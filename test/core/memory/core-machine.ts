// The compiled core over a memory of its own, with a host that answers from plain fields, for tests of memory and processor.
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import * as cpu from "../../../src/layout/cpu-state.ts";
import { ABSENT_PAGES, CORE_DATA, CPU_STATE, GUEST_RAM, SCRATCH } from "../../../src/layout/memory-map.ts";
import type { CoreApi } from "./core-api.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const CORE = process.env["RINGFENCE_CORE"] ?? path.join(ROOT, "build", "core.wasm");
const compiled = new WebAssembly.Module(readFileSync(CORE));
// One memory serves all tests of a file; a machine zeroes what the one before has used.
const memory = new WebAssembly.Memory({ initial: 4096, maximum: 65536, shared: true });
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);

export const RAM_BYTES = 0x80_0000;

export class CoreMachine {
  /** "read address bytes" and "write address bytes value" of every device access, in hexadecimal. */
  readonly deviceLog: string[] = [];
  /** What device reads return. */
  deviceValue: (address: number, size: number) => number = () => 0;
  /** "page first last" of every write to decoded code, in hexadecimal. */
  readonly codeWrites: string[] = [];
  /** Every page that was asked for because it was absent. */
  readonly pagesNeeded: number[] = [];
  /** What a page of RAM is filled with that was absent. */
  absentByte = 0;
  readonly core: CoreApi;
  readonly bytes: Uint8Array = bytes;

  constructor() {
    bytes.fill(0, CORE_DATA, CORE_DATA + 0x10000);
    bytes.fill(0, CPU_STATE, SCRATCH + 64);
    bytes.fill(0, 0x40_0000, 0x40_4000);
    bytes.fill(0, ABSENT_PAGES, ABSENT_PAGES + RAM_BYTES / 4096 / 8);
    bytes.fill(0, GUEST_RAM, GUEST_RAM + RAM_BYTES);
    const instance = new WebAssembly.Instance(compiled, { env: { memory }, host: this.#host() });
    this.core = instance.exports as unknown as CoreApi;
    this.core.initialize?.();
    this.set32(cpu.RAM_BYTES, RAM_BYTES);
    this.set64(cpu.APIC_BASE, 0xfee0_0000n);
    this.core.reset();
  }

  #host(): Record<string, (...values: number[]) => unknown> {
    const ignore = () => 0;
    return {
      deviceRead: (address, size) => {
        this.deviceLog.push(`read ${(address! >>> 0).toString(16)} ${size}`);
        return this.deviceValue(address! >>> 0, size!);
      },
      deviceWrite: (address, size, value) => {
        this.deviceLog.push(`write ${(address! >>> 0).toString(16)} ${size} ${(value! >>> 0).toString(16)}`);
      },
      codeWritten: (page, first, last) => {
        this.codeWrites.push(`${page!.toString(16)} ${first!.toString(16)} ${last!.toString(16)}`);
      },
      pageNeeded: (page) => {
        this.pagesNeeded.push(page!);
        bytes[ABSENT_PAGES + (page! >> 3)]! &= ~(1 << (page! & 7));
        bytes.fill(this.absentByte, GUEST_RAM + page! * 4096, GUEST_RAM + (page! + 1) * 4096);
      },
      // Leaf 1: family, model and stepping.
      cpuid: () => this.set64(cpu.RAX, 0x0080_0f11n),
      portRead: ignore,
      portWrite: ignore,
      msrRead: ignore,
      msrWrite: ignore,
      taskPriorityRead: ignore,
      taskPriorityWrite: ignore,
      timeStampCounter: () => 0,
      random: () => 0n,
    };
  }

  /** Makes a page of RAM absent. */
  takeAway(page: number): void {
    bytes[ABSENT_PAGES + (page >> 3)]! |= 1 << (page & 7);
  }

  // Processor state, by offset.

  get32(offset: number): number {
    return view.getUint32(CPU_STATE + offset, true);
  }
  set32(offset: number, value: number): void {
    view.setUint32(CPU_STATE + offset, value, true);
  }
  get64(offset: number): bigint {
    return view.getBigUint64(CPU_STATE + offset, true);
  }
  set64(offset: number, value: bigint): void {
    view.setBigUint64(CPU_STATE + offset, value, true);
  }

  // Guest RAM, by physical address.

  read8(physical: number): number {
    return view.getUint8(GUEST_RAM + physical);
  }
  read16(physical: number): number {
    return view.getUint16(GUEST_RAM + physical, true);
  }
  read32(physical: number): number {
    return view.getUint32(GUEST_RAM + physical, true);
  }
  read64(physical: number): bigint {
    return view.getBigUint64(GUEST_RAM + physical, true);
  }
  write8(physical: number, value: number): void {
    view.setUint8(GUEST_RAM + physical, value);
  }
  write16(physical: number, value: number): void {
    view.setUint16(GUEST_RAM + physical, value, true);
  }
  write32(physical: number, value: number): void {
    view.setUint32(GUEST_RAM + physical, value, true);
  }
  write64(physical: number, value: bigint): void {
    view.setBigUint64(GUEST_RAM + physical, value, true);
  }

  // Host addresses, as the core returns them.

  host32(address: number): number {
    return view.getUint32(address, true);
  }
  host64(address: number): bigint {
    return view.getBigUint64(address, true);
  }
  setHost32(address: number, value: number): void {
    view.setUint32(address, value, true);
  }
  setHost64(address: number, value: bigint): void {
    view.setBigUint64(address, value, true);
  }

  /** The waiting fault: "14(2) at 1000", "13(0)", "6", or "none". Error code and address are hexadecimal. */
  fault(): string {
    const vector = view.getInt32(CPU_STATE + cpu.FAULT_VECTOR, true);
    if (vector < 0) return "none";
    const code = view.getInt32(CPU_STATE + cpu.FAULT_ERROR_CODE, true);
    const text = code < 0 ? `${vector}` : `${vector}(${code.toString(16)})`;
    return vector === 14 ? `${text} at ${this.get64(cpu.FAULT_ADDRESS).toString(16)}` : text;
  }

  /** The waiting fault, which is forgotten. */
  takeFault(): string {
    const text = this.fault();
    this.core.clearFault();
    return text;
  }

  segment(offset: number): { selector: number; base: bigint; limit: number; attributes: number } {
    return {
      selector: view.getUint16(CPU_STATE + offset + cpu.SEGMENT_SELECTOR, true),
      base: this.get64(offset + cpu.SEGMENT_BASE),
      limit: this.get32(offset + cpu.SEGMENT_LIMIT),
      attributes: this.get32(offset + cpu.SEGMENT_ATTRIBUTES),
    };
  }

  selector(offset: number): number {
    return this.segment(offset).selector;
  }

  setSegment(offset: number, selector: number, base: bigint, limit: number, attributes: number): void {
    view.setUint16(CPU_STATE + offset + cpu.SEGMENT_SELECTOR, selector, true);
    this.set64(offset + cpu.SEGMENT_BASE, base);
    this.set32(offset + cpu.SEGMENT_LIMIT, limit);
    this.set32(offset + cpu.SEGMENT_ATTRIBUTES, attributes);
  }
}
