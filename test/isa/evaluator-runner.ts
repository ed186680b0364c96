import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { PAGE_BYTES } from "../evaluator/memory.ts";
import { runInstruction } from "../evaluator/run-instruction.ts";
import { State } from "../evaluator/state.ts";
import { DATA_BYTES, type Outcome, PLACES, type Registers, type RowRunner, type Setup } from "./row.ts";

const STACK_SELECTOR = cpu.SEG_SS + cpu.SEGMENT_SELECTOR;
const DATA_SELECTOR = cpu.SEG_DS + cpu.SEGMENT_SELECTOR;

/** Rows by the reference evaluator. */
export const evaluatorRunner: RowRunner = {
  name: "the evaluator",
  run: async (setup) => run(setup),
};

function run(setup: Setup): Outcome {
  const state = new State(setup.codeBits);
  const { code, data } = PLACES[setup.codeBits];
  const user = setup.codeBits === 64;
  state.setField(cpu.CPL, 32, user ? 3n : 0n);
  state.setField(STACK_SELECTOR, 16, user ? 0x2bn : 0x10n);
  state.setField(DATA_SELECTOR, 16, user ? 0n : 0x10n);
  for (let at = data; at < data + DATA_BYTES; at += PAGE_BYTES)
    state.memory.map(BigInt(at), new Uint8Array(PAGE_BYTES));
  for (const [address, value] of setup.memory) state.memory.write(BigInt(address), 8, value);
  for (const register of GENERAL_REGISTERS) state.setRegister(register, setup.registers[register]);
  state.rflags = setup.rflags;
  state.rip = BigInt(code);

  const fault = runInstruction(setup.code, state);
  const changed = new Map<number, bigint>();
  for (let at = data; at < data + DATA_BYTES; at += 8) {
    const value = state.memory.read(BigInt(at), 8);
    if (value !== (setup.memory.get(at) ?? 0n)) changed.set(at, value);
  }
  const registers = Object.fromEntries(
    GENERAL_REGISTERS.map((name) => [name, state.register(name)]),
  ) as Registers;
  return { fault: fault?.fault, registers, rflags: state.rflags, rip: state.rip, changed };
}
