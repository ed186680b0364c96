import type { HelperName } from "../../src/isa/helpers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { GuestFault, UnsupportedHelper } from "./faults.ts";
import { INTEGER_HELPERS } from "./integer-helpers.ts";
import type { State } from "./state.ts";
import { STRING_HELPERS } from "./string-helpers.ts";

/** A function of src/core: its arguments are unsigned, and a value that it returns is cut to its width. */
type Model = (state: State, ...args: bigint[]) => bigint | void;

const INTERRUPT_ENABLE = 1n << 9n;
const IOPL = 3n << 12n;
const ALIGNMENT_CHECK = 1n << 18n;
const VM_AND_RF = 3n << 16n;
/** CF, PF, AF, ZF, SF, TF, DF, OF, NT: what POPF may always change. */
const USER_FLAGS = 0x4dd5n;
const IDENTIFICATION = 1n << 21n;
/** Bits that MXCSR has not. */
const MXCSR_RESERVED = 0xffff_0000n;
const ERROR_SUMMARY = 0x80n;

const signed64 = (value: bigint): bigint => BigInt.asIntN(64, value);

function divide(state: State, dividend: bigint, divisor: bigint, fits: (quotient: bigint) => boolean): void {
  if (divisor === 0n || !fits(dividend / divisor)) throw new GuestFault("#DE");
  state.results[0] = BigInt.asUintN(64, dividend / divisor);
  state.results[1] = BigInt.asUintN(64, dividend % divisor);
}

/** CPL is not above IOPL. */
function mayTouchInterruptFlag(state: State): boolean {
  return state.field(cpu.CPL, 32) <= (state.rflags & IOPL) >> 12n;
}

function requireInterruptPrivilege(state: State): void {
  if (!mayTouchInterruptFlag(state)) throw new GuestFault("#GP");
}

function requireSupervisor(state: State, fault: "#GP" | "#UD"): void {
  if (state.field(cpu.CPL, 32) !== 0n) throw new GuestFault(fault);
}

const MODELS: Partial<Record<HelperName, Model>> = {
  ...(STRING_HELPERS as Record<string, Model>),
  ...(INTEGER_HELPERS as Record<string, Model>),
  multiplyHigh: (_state, a, b) => (a! * b!) >> 64n,
  multiplyHighSigned: (_state, a, b) => (signed64(a!) * signed64(b!)) >> 64n,
  divide128(state, high, low, divisor) {
    divide(state, (high! << 64n) | low!, divisor!, (quotient) => quotient < 1n << 64n);
  },
  divideSigned128(state, high, low, divisor) {
    const dividend = (signed64(high!) << 64n) | low!;
    divide(state, dividend, signed64(divisor!), (quotient) => signed64(quotient) === quotient);
  },
  flagsForPush: (state) => state.rflags & ~VM_AND_RF,
  popFlags(state, value, bits) {
    let mask = USER_FLAGS;
    if (bits !== 16n) mask |= ALIGNMENT_CHECK | IDENTIFICATION;
    if (mayTouchInterruptFlag(state)) mask |= INTERRUPT_ENABLE;
    if (state.field(cpu.CPL, 32) === 0n) mask |= IOPL;
    state.rflags = (state.rflags & ~mask) | (value! & mask);
  },
  cli(state) {
    requireInterruptPrivilege(state);
    state.rflags &= ~INTERRUPT_ENABLE;
  },
  sti(state) {
    requireInterruptPrivilege(state);
    state.rflags |= INTERRUPT_ENABLE;
  },
  clac(state) {
    requireSupervisor(state, "#UD");
    state.rflags &= ~ALIGNMENT_CHECK;
  },
  stac(state) {
    requireSupervisor(state, "#UD");
    state.rflags |= ALIGNMENT_CHECK;
  },
  swapgs(state) {
    requireSupervisor(state, "#GP");
    throw new UnsupportedHelper("swapgs");
  },
  xsetbv(state) {
    requireSupervisor(state, "#GP");
    throw new UnsupportedHelper("xsetbv");
  },
  /** Without a port map in the task-state segment. */
  checkPort: requireInterruptPrivilege,
  stringIns: requireInterruptPrivilege,
  stringOuts: requireInterruptPrivilege,
  softwareException(_state, vector) {
    throw new GuestFault(vector === 3n ? "#BP" : "#OF", { isTrap: true });
  },
  ldmxcsr(state, value) {
    if ((value! & MXCSR_RESERVED) !== 0n) throw new GuestFault("#GP");
    state.setField(cpu.MXCSR, 32, value!);
  },
  stmxcsr: (state) => state.field(cpu.MXCSR, 32),
  x87Check(state) {
    if ((state.field(cpu.X87_FSW, 32) & ERROR_SUMMARY) !== 0n) throw new GuestFault("#MF");
  },
  mmxEnter(state) {
    state.setField(cpu.X87_TOP, 32, 0n);
    state.setField(cpu.X87_EMPTY, 32, 0n);
  },
  mmxEmpty(state) {
    state.setField(cpu.X87_TOP, 32, 0n);
    state.setField(cpu.X87_EMPTY, 32, 0xffn);
  },
};

/** Whether the evaluator can do what a helper does. */
export function hasModel(helper: HelperName): boolean {
  return MODELS[helper] !== undefined;
}

export function callModel(helper: HelperName, state: State, args: readonly bigint[]): bigint {
  const model = MODELS[helper];
  if (model === undefined) throw new UnsupportedHelper(helper);
  return model(state, ...args) ?? 0n;
}
