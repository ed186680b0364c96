import { type FaultName, faultName } from "../../src/isa/faults.ts";
import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import { invariant } from "../../src/layout/invariant.ts";
import { GDT, Guest, HANDLERS, IDT } from "../processor/guest.ts";
import { DATA_BYTES, type Outcome, PLACES, type Registers, type Setup } from "./row.ts";

const HALT = 0xf4;
const CODE_BYTES = 0x1000;
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 0x10;
const HANDLER_CODE = 0x00cf_9b00_0000_ffffn;
const VECTORS = 32;
/** More than enough: the instruction and a HLT. */
const BUDGET = 1000;

/** The interpreter in protected mode without paging. What follows the instruction, and every handler, is a HLT. */
export class LegacyProcessor {
  readonly #guest = new Guest();

  run(setup: Setup): Outcome {
    const { code, data } = PLACES[setup.codeBits];
    const { ram, view, parts } = this.#guest;
    const { processor, engine } = parts;
    processor.reset();
    ram.fill(0, 0, HANDLERS + CODE_BYTES);
    ram.fill(HALT, code, code + CODE_BYTES);
    ram.set(setup.code, code);
    engine.codeWritten(code >> 12, 0, CODE_BYTES - 1);
    for (const [address, value] of setup.memory) view.setBigUint64(address, value, true);
    this.#writeTables();
    this.#loadRegisters(setup);

    const { registers } = processor;
    invariant(processor.run(BUDGET) === "halt", "every row ends at a HLT");
    const stopped = Number(registers.get("rip")) - 1;
    const vector = stopped - HANDLERS;
    const faulted = vector >= 0 && vector < VECTORS;
    const after = Object.fromEntries(
      GENERAL_REGISTERS.map((name) => [name, registers.get(name)]),
    ) as Registers;
    if (faulted) {
      // The handler's frame lies on the same stack.
      const restored = { ...after, rsp: setup.registers.rsp };
      return {
        fault: faultName(vector) as FaultName,
        registers: restored,
        rflags: setup.rflags,
        rip: 0n,
        changed: new Map(),
      };
    }
    const changed = new Map<number, bigint>();
    for (let at = data; at < data + DATA_BYTES; at += 8) {
      const value = view.getBigUint64(at, true);
      if (value !== (setup.memory.get(at) ?? 0n)) changed.set(at, value);
    }
    return {
      fault: undefined,
      registers: after,
      rflags: registers.get("rflags"),
      rip: BigInt(stopped),
      changed,
    };
  }

  #writeTables(): void {
    const { ram, view } = this.#guest;
    view.setBigUint64(GDT + CODE_SELECTOR, HANDLER_CODE, true);
    for (let vector = 0; vector < VECTORS; vector++) {
      const gate = BigInt(HANDLERS + vector) | (BigInt(CODE_SELECTOR) << 16n) | (0x8e00n << 32n);
      // Offset in bits 0..15 and 48..63, selector in 16..31, type in 40..47.
      view.setBigUint64(
        IDT + 8 * vector,
        (gate & ~0xffff_0000n) | (BigInt(CODE_SELECTOR) << 16n) | (BigInt(HANDLERS >> 16) << 48n),
        true,
      );
      ram[HANDLERS + vector] = HALT;
    }
  }

  #loadRegisters(setup: Setup): void {
    const { registers } = this.#guest.parts.processor;
    const wide = setup.codeBits === 32 ? 0x4000 : 0;
    registers.set("cr0", 0x11n);
    registers.set("gdtr.base", BigInt(GDT));
    registers.set("gdtr.limit", 0x1fn);
    registers.set("idtr.base", BigInt(IDT));
    registers.set("idtr.limit", BigInt(8 * VECTORS - 1));
    const flat = { base: 0n, limit: 0xffff_ffff };
    registers.setSegment("cs", { ...flat, selector: CODE_SELECTOR, attributes: 0x809b | wide });
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const)
      registers.setSegment(name, { ...flat, selector: DATA_SELECTOR, attributes: 0x8093 | wide });
    for (const name of GENERAL_REGISTERS) registers.set(name, setup.registers[name]);
    registers.set("rflags", setup.rflags);
    registers.set("rip", BigInt(PLACES[setup.codeBits].code));
  }
}
