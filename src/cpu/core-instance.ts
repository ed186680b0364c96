import type { AccessBytes } from "../bus/port-bus.ts";
import * as cpu from "../layout/cpu-state.ts";
import { SCRATCH } from "../layout/memory-map.ts";
import type { CoreExports } from "./core-exports.ts";
import { CpuidAnswers, type CpuidConstants } from "./cpuid-answers.ts";
import type { ProcessorSurroundings } from "./processor.ts";
import type { StateView } from "./state-view.ts";

/** Where the core takes and leaves MSR values (src/core/host.ts, HOST_VALUE). */
const HOST_VALUE = SCRATCH + 32;

/** What the core's imports need besides the machine around the processor. */
export interface CoreImports {
  readonly memory: WebAssembly.Memory;
  readonly state: StateView;
  readonly surroundings: ProcessorSurroundings;
  readonly cpuidContext: CpuidConstants;
  /** The guest wrote bytes `first .. last` of a page that holds decoded code. */
  codeWritten(page: number, first: number, last: number): void;
}

/** Instantiates the compiled src/core over a machine's memory. */
export function instantiateCore(
  module: WebAssembly.Module,
  imports: CoreImports,
): CoreExports & WebAssembly.Exports {
  const { memory, state, surroundings } = imports;
  const hostValue = new BigInt64Array(memory.buffer, HOST_VALUE, 1);
  const answers = new CpuidAnswers(imports.cpuidContext);
  const setRegister = (register: number, low: number): void => {
    state.set32(register, low);
    state.set32(register + 4, 0);
  };
  const host = {
    portRead: (port: number, bytes: number): number => surroundings.readPort(port, bytes as AccessBytes),
    portWrite: (port: number, bytes: number, value: number): void =>
      surroundings.writePort(port, bytes as AccessBytes, unsigned(value, bytes)),
    deviceRead: (address: number, bytes: number): number =>
      surroundings.readDevice(address >>> 0, bytes as AccessBytes),
    deviceWrite: (address: number, bytes: number, value: number): void =>
      surroundings.writeDevice(address >>> 0, bytes as AccessBytes, unsigned(value, bytes)),
    msrRead: (index: number): number => {
      const value = surroundings.readMsr(index >>> 0);
      if (value === undefined) return 0;
      hostValue[0] = BigInt.asIntN(64, value);
      return 1;
    },
    msrWrite: (index: number): number =>
      surroundings.writeMsr(index >>> 0, BigInt.asUintN(64, hostValue[0]!)) ? 1 : 0,
    taskPriorityRead: (): number => surroundings.readTaskPriority(),
    taskPriorityWrite: (priority: number): void => surroundings.writeTaskPriority(priority),
    timeStampCounter: (): number => surroundings.timeStampCounter(),
    random: (): bigint => surroundings.random(),
    cpuid: (): void => {
      const leaf = state.get32(cpu.RAX) >>> 0;
      const subleaf = state.get32(cpu.RCX) >>> 0;
      const result = answers.answer(leaf, subleaf, state.get32(cpu.CR4), state.get32(cpu.XCR0));
      setRegister(cpu.RAX, result.eax);
      setRegister(cpu.RBX, result.ebx);
      setRegister(cpu.RCX, result.ecx);
      setRegister(cpu.RDX, result.edx);
    },
    codeWritten: imports.codeWritten,
    pageNeeded: (page: number): void => surroundings.pageNeeded?.(page),
  };
  const instance = new WebAssembly.Instance(module, { env: { memory, abort: coreAborted }, host });
  const core = instance.exports as CoreExports & WebAssembly.Exports;
  core.initialize();
  return core;
}

function unsigned(value: number, bytes: number): number {
  return bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff);
}

function coreAborted(): never {
  throw new Error("internal error (please report): src/core aborted");
}
