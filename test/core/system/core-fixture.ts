// The compiled core with a host made of plain fields, for tests of single instructions.
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import * as state from "../../../src/layout/cpu-state.ts";
import { CORE_DATA, CPU_STATE, GUEST_RAM, SCRATCH } from "../../../src/layout/memory-map.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const CORE = process.env["RINGFENCE_CORE"] ?? path.join(ROOT, "build", "core.wasm");
const compiled = new WebAssembly.Module(readFileSync(CORE));
// One memory serves all tests of a file: its 256 MiB are zeroed where a test needs it.
const wasmMemory = new WebAssembly.Memory({ initial: 4096, maximum: 65536, shared: true });
const view = new DataView(wasmMemory.buffer);
const bytes = new Uint8Array(wasmMemory.buffer);

export const RAM_BYTES = 0x40_0000;
const PAGE_TABLES = 0x30_0000;

type CoreFunction = (...values: (number | bigint)[]) => number | bigint;

/** What the host answers and what it was told. */
export interface FakeHost {
  log: string[];
  portValue: (port: number, bytes: number) => number;
  taskPriority: number;
  tsc: bigint;
  random: bigint;
  msrs: Map<number, bigint>;
}

export interface Core {
  call(name: string, ...values: (number | bigint)[]): number | bigint;
  readonly host: FakeHost;
  get32(offset: number): number;
  set32(offset: number, value: number): void;
  get64(offset: number): bigint;
  set64(offset: number, value: bigint): void;
  /** The i64 at SCRATCH + 40: results of readMsr, readDebug and the quotient of divisions. */
  result(): bigint;
  remainder(): bigint;
  /** Guest RAM by physical address. */
  readonly ram: Uint8Array;
  readonly ramView: DataView;
  /** u32 values anywhere in the one memory. */
  words(address: number, count: number): number[];
  /** Vector and error code of the waiting fault, "none" without one. */
  fault(): string;
  faultAddress(): bigint;
  clearFault(): void;
  /** A processor in 64-bit mode without paging: linear addresses are physical ones. */
  enter64Bit(): void;
  /** The same with page tables for the first 2 MiB, identity-mapped except for the absent pages. */
  enterPaged(absentPages: readonly number[], readOnlyPages?: readonly number[]): void;
  /** 16-bit protected mode: every segment from 0 with this limit. */
  enter16Bit(limit: number): void;
}

/** A core after RESET as far as these tests need it. */
export function startCore(): Core {
  bytes.fill(0, CORE_DATA, CORE_DATA + 0x10000);
  bytes.fill(0, CPU_STATE, SCRATCH + 64);
  bytes.fill(0, GUEST_RAM, GUEST_RAM + RAM_BYTES);
  const host: FakeHost = {
    log: [],
    portValue: () => 0,
    taskPriority: 0,
    tsc: 0n,
    random: 0n,
    msrs: new Map(),
  };
  const hostValue = SCRATCH + 32;
  const instance = new WebAssembly.Instance(compiled, {
    env: { memory: wasmMemory },
    host: {
      portRead: (port: number, size: number) => {
        host.log.push(`in ${port.toString(16)} ${size}`);
        return host.portValue(port, size);
      },
      portWrite: (port: number, size: number, value: number) => {
        host.log.push(`out ${port.toString(16)} ${size} ${(value >>> 0).toString(16)}`);
      },
      deviceRead: () => -1,
      deviceWrite: () => undefined,
      msrRead: (index: number) => {
        const value = host.msrs.get(index >>> 0);
        if (value === undefined) return 0;
        view.setBigUint64(hostValue, value, true);
        return 1;
      },
      msrWrite: (index: number) => {
        if (!host.msrs.has(index >>> 0)) return 0;
        host.msrs.set(index >>> 0, view.getBigUint64(hostValue, true));
        return 1;
      },
      taskPriorityRead: () => host.taskPriority,
      taskPriorityWrite: (priority: number) => {
        host.taskPriority = priority;
      },
      timeStampCounter: () => Number(host.tsc),
      random: () => host.random,
      cpuid: () => host.log.push("cpuid"),
      codeWritten: () => undefined,
      pageNeeded: () => undefined,
    },
  });
  const functions = instance.exports as Record<string, CoreFunction>;
  (functions["initialize"] as () => void)?.();

  const core: Core = {
    call: (name, ...values) => {
      const result = functions[name]!(...values);
      return typeof result === "bigint" ? BigInt.asUintN(64, result) : result;
    },
    host,
    get32: (offset) => view.getUint32(CPU_STATE + offset, true),
    set32: (offset, value) => view.setUint32(CPU_STATE + offset, value, true),
    get64: (offset) => view.getBigUint64(CPU_STATE + offset, true),
    set64: (offset, value) => view.setBigUint64(CPU_STATE + offset, value, true),
    result: () => view.getBigUint64(SCRATCH + 40, true),
    remainder: () => view.getBigUint64(SCRATCH + 48, true),
    ram: bytes.subarray(GUEST_RAM, GUEST_RAM + RAM_BYTES),
    ramView: new DataView(wasmMemory.buffer, GUEST_RAM, RAM_BYTES),
    words: (address, count) => Array.from({ length: count }, (_, i) => view.getUint32(address + i * 4, true)),
    fault: () => {
      const vector = view.getInt32(CPU_STATE + state.FAULT_VECTOR, true);
      if (vector < 0) return "none";
      const code = view.getInt32(CPU_STATE + state.FAULT_ERROR_CODE, true);
      return code < 0 ? `${vector}` : `${vector}(${code})`;
    },
    faultAddress: () => view.getBigUint64(CPU_STATE + state.FAULT_ADDRESS, true),
    clearFault: () => view.setInt32(CPU_STATE + state.FAULT_VECTOR, -1, true),
    enter64Bit: () => {
      core.set64(state.CR0, 0x11n);
      core.set32(state.CODE_BITS, 64);
    },
    enterPaged: (absentPages, readOnlyPages = []) => {
      const [pml4, pdpt, pd, pt] = [0, 1, 2, 3].map((n) => PAGE_TABLES + n * 4096) as [
        number,
        number,
        number,
        number,
      ];
      core.ramView.setBigUint64(pml4, BigInt(pdpt | 7), true);
      core.ramView.setBigUint64(pdpt, BigInt(pd | 7), true);
      core.ramView.setBigUint64(pd, BigInt(pt | 7), true);
      for (let page = 0; page < 512; page++)
        core.ramView.setBigUint64(pt + page * 8, BigInt((page << 12) | 7), true);
      for (const page of absentPages) core.ramView.setBigUint64(pt + page * 8, 0n, true);
      for (const page of readOnlyPages)
        core.ramView.setBigUint64(pt + page * 8, BigInt((page << 12) | 5), true);
      core.set64(state.CR0, 0x8001_0011n);
      core.set64(state.CR3, BigInt(pml4));
      core.set64(state.CR4, 0x20n);
      core.set64(state.MSR_EFER, 0x500n);
      core.set32(state.CODE_BITS, 64);
    },
    enter16Bit: (limit) => {
      core.set64(state.CR0, 0x11n);
      core.set32(state.CODE_BITS, 16);
      for (let segment = 0; segment < 6; segment++) {
        const at = state.SEGMENTS + segment * state.SEGMENT_BYTES;
        core.set32(at + state.SEGMENT_LIMIT, limit);
        core.set32(at + state.SEGMENT_ATTRIBUTES, 0x93);
      }
    },
  };
  core.set32(state.RAM_BYTES, RAM_BYTES);
  core.set64(state.APIC_BASE, 0xfee0_0000n);
  core.set64(state.RFLAGS_SYSTEM, 2n);
  core.set64(state.XCR0, 1n);
  core.set32(state.TLB_BASE, 0x140000);
  core.clearFault();
  core.call("initialiseTlb");
  core.call("resetMsrs");
  return core;
}
