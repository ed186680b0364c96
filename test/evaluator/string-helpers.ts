import * as cpu from "../../src/layout/cpu-state.ts";
import { setSubtractionFlags } from "./flag-definitions.ts";
import type { State } from "./state.ts";

const DIRECTION = 1n << 10n;
const ES = 0;
const REPE = 1n;

type Register = "rsi" | "rdi" | "rcx";

/** One string instruction under way: element size, prefixes, registers as the address size has them. */
class StringRun {
  readonly bytes: number;
  readonly repeat: bigint;
  readonly #state: State;
  readonly #addressBits: number;
  readonly #segment: number;

  constructor(state: State, bits: bigint, repeat: bigint, addressBits: bigint, segment: bigint) {
    this.#state = state;
    this.bytes = Number(bits) / 8;
    this.repeat = repeat;
    this.#addressBits = Number(addressBits);
    this.#segment = Number(segment);
  }

  /** Runs `iteration` as often as the repetition says; it returns whether it compared equal. */
  run(iteration: () => boolean | undefined): void {
    if (this.repeat === 0n) {
      iteration();
      return;
    }
    while (this.#get("rcx") !== 0n) {
      const equal = iteration();
      this.#set("rcx", this.#get("rcx") - 1n);
      if (equal !== undefined && equal !== (this.repeat === REPE)) return;
    }
  }

  /** The element at DS:rSI, or the segment that a prefix names. */
  source(): bigint {
    return this.#read(this.#segment, this.#get("rsi"));
  }
  /** The element at ES:rDI. */
  destination(): bigint {
    return this.#read(ES, this.#get("rdi"));
  }
  store(value: bigint): void {
    const address = this.#state.segmentAddress(ES, this.#get("rdi"), this.bytes, "write");
    this.#state.checkAccess(address, this.bytes, "write", false);
    this.#state.memory.write(address, this.bytes, value);
  }
  advance(...registers: Register[]): void {
    const backward = (this.#state.field(cpu.RFLAGS_SYSTEM, 64) & DIRECTION) !== 0n;
    const step = BigInt(backward ? -this.bytes : this.bytes);
    for (const register of registers) this.#set(register, this.#get(register) + step);
  }

  #read(segment: number, offset: bigint): bigint {
    const address = this.#state.segmentAddress(segment, offset, this.bytes, "read");
    this.#state.checkAccess(address, this.bytes, "read", false);
    return this.#state.memory.read(address, this.bytes);
  }
  #get(register: Register): bigint {
    return BigInt.asUintN(this.#addressBits, this.#state.register(register));
  }
  /** 16 bits leave the rest of the register alone, 32 clear it. */
  #set(register: Register, value: bigint): void {
    const cut = BigInt.asUintN(this.#addressBits, value);
    const old = this.#state.register(register);
    this.#state.setRegister(register, this.#addressBits === 16 ? (old & ~0xffffn) | cut : cut);
  }
}

type StringHelper = (
  state: State,
  bits: bigint,
  repeat: bigint,
  addressBits: bigint,
  segment: bigint,
) => void;

/** A helper from what one iteration does. */
function helper(iteration: (run: StringRun, state: State) => boolean | undefined): StringHelper {
  return (state, ...args) => {
    const run = new StringRun(state, ...args);
    const flags = { ...state.flags };
    try {
      run.run(() => iteration(run, state));
    } catch (error) {
      // A repetition that faults leaves the flags as they were (Intel SDM Vol. 2B, "REP/REPE/REPZ/REPNE/REPNZ").
      Object.assign(state.flags, flags);
      throw error;
    }
  };
}

const bitsOf = (run: StringRun): 8 | 16 | 32 | 64 => (8 * run.bytes) as 8;

export const STRING_HELPERS = {
  stringMovs: helper((run) => {
    run.store(run.source());
    run.advance("rsi", "rdi");
    return undefined;
  }),
  stringStos: helper((run, state) => {
    run.store(state.field(cpu.RAX, bitsOf(run)));
    run.advance("rdi");
    return undefined;
  }),
  stringLods: helper((run, state) => {
    const value = run.source();
    if (run.bytes === 4) state.setRegister("rax", value);
    else state.setField(cpu.RAX, bitsOf(run), value);
    run.advance("rsi");
    return undefined;
  }),
  stringCmps: helper((run, state) => {
    const first = run.source();
    const second = run.destination();
    setSubtractionFlags(state.flags, bitsOf(run), first, second);
    run.advance("rsi", "rdi");
    return first === second;
  }),
  stringScas: helper((run, state) => {
    const first = state.field(cpu.RAX, bitsOf(run));
    const second = run.destination();
    setSubtractionFlags(state.flags, bitsOf(run), first, second);
    run.advance("rdi");
    return first === second;
  }),
};
