import { type FaultName, faultName } from "../../src/isa/faults.ts";
import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import { initialImage } from "../oracle/corner-values.ts";
import { openInterpreterTarget } from "../oracle/interpreter-target.ts";
import { MEMORY_BYTES, STATUS_FAULT } from "../oracle/protocol.ts";
import { type ExecutionTarget, runCase } from "../oracle/target.ts";
import { LegacyProcessor } from "./legacy-processor.ts";
import type { Outcome, Registers, RowRunner, Setup } from "./row.ts";

const BREAKPOINT = 3;

/** Rows by the interpreter: 64-bit code as the oracle runs it, the rest on a processor without paging. */
export async function openInterpreterRunner(): Promise<RowRunner & { close(): Promise<void> }> {
  const target = await openInterpreterTarget();
  const legacy = new LegacyProcessor();
  return {
    name: "the interpreter",
    run: async (setup) => (setup.codeBits === 64 ? run64(target, setup) : legacy.run(setup)),
    close: () => target.close(),
  };
}

async function run64(target: ExecutionTarget, setup: Setup): Promise<Outcome> {
  const result = await runCase(target, {
    code: setup.code,
    codeOffset: 0,
    noExit: false,
    rflags: setup.rflags,
    fsBase: 0n,
    gsBase: 0n,
    registers: GENERAL_REGISTERS.map((register) => setup.registers[register]),
    image: initialImage(),
    memory: new Uint8Array(MEMORY_BYTES),
    patches: [...setup.memory].map(([address, value]) => ({ address, value })),
  });
  // Pages of code are full of INT3: where a jump leads, one is executed.
  const jumped = result.status === STATUS_FAULT && result.vector === BREAKPOINT && setup.code[0] !== 0xcc;
  const faulted = result.status === STATUS_FAULT && !jumped;
  return {
    fault: faulted ? (faultName(result.vector) as FaultName) : undefined,
    registers: Object.fromEntries(
      GENERAL_REGISTERS.map((name, i) => [name, result.registers[i]!]),
    ) as Registers,
    rflags: result.rflags,
    rip: jumped ? result.rip - 1n : result.rip,
    changed: new Map(result.changes.map(({ address, value }) => [address, value])),
  };
}
