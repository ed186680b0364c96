import { INTERRUPT_SHADOW, SHADOW_RIP, STACK_BITS } from "../../layout/cpu-state.ts";
import { default64, form, instruction, not64 } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import type { GeneralRegister } from "../registers.ts";

const SS = 2;

export const push = instruction({
  mnemonic: "push",
  source: "Intel SDM Vol. 2B, PUSH",
  access: "r",
  forms: [
    form("FF /6", "rm:v", default64),
    form("50", "+r:v", default64),
    form("6A", "imm8:sx", default64),
    form("68", "imm:z", default64),
  ],
  execute(ops, src) {
    ops.push(src);
  },
});

export const pushSegment = instruction({
  mnemonic: "push",
  source: "Intel SDM Vol. 2B, PUSH",
  access: "r",
  forms: [
    form("0E", "cs", not64),
    form("16", "ss", not64),
    form("1E", "ds", not64),
    form("06", "es", not64),
    form("0F A0", "fs", default64),
    form("0F A8", "gs", default64),
  ],
  execute(ops, segment) {
    ops.push(ops.zeroExtend(ops.selectorOf(segment), ops.operandBits));
  },
});

export const pop = instruction({
  mnemonic: "pop",
  source: "Intel SDM Vol. 2B, POP",
  access: "w",
  forms: [form("8F /0", "r:v:rm", default64), form("58", "+r:v", default64)],
  execute(ops) {
    return ops.pop(wordBits(ops));
  },
});

export const popMemory = instruction({
  mnemonic: "pop",
  source: "Intel SDM Vol. 2B, POP",
  access: "w",
  forms: [form("8F /0", "m", { ...default64, popsFirst: true })],
  execute(ops, address) {
    ops.store(address, ops.peekStack(wordBits(ops), 0));
    ops.releaseStack(ops.operandBits / 8);
  },
});

export const popSegment = instruction({
  mnemonic: "pop",
  source: "Intel SDM Vol. 2B, POP",
  access: "r",
  forms: [
    form("1F", "ds", not64),
    form("07", "es", not64),
    form("17", "ss", not64),
    form("0F A1", "fs", default64),
    form("0F A9", "gs", default64),
  ],
  execute(ops, segment) {
    const selector = ops.truncate(ops.peekStack(wordBits(ops), 0), 16);
    ops.system("loadSegment", segment, selector);
    ops.releaseStack(ops.operandBits / 8);
    shadowInterrupts(ops, segment);
  },
});

/** A load of SS holds interrupts off until the end of the next instruction. */
export function shadowInterrupts<V>(ops: Ops<V>, segment: V): void {
  ops.when(ops.equal(segment, ops.constant(SS, 32)), () => {
    ops.setState(INTERRUPT_SHADOW, ops.constant(2, 32));
    ops.setState(SHADOW_RIP, ops.nextInstruction());
  });
}

const ALL_REGISTERS: readonly GeneralRegister[] = ["rdi", "rsi", "rbp", "rsp", "rbx", "rdx", "rcx", "rax"];

export const pusha = instruction({
  mnemonic: "pusha",
  source: "Intel SDM Vol. 2B, PUSHA/PUSHAD",
  access: "",
  forms: [form("60", "", not64)],
  execute(ops) {
    const bytes = ops.operandBits / 8;
    for (const [i, register] of ALL_REGISTERS.entries()) {
      ops.pokeStack(ops.register(register, ops.operandBits), bytes * (i - ALL_REGISTERS.length));
    }
    ops.releaseStack(-bytes * ALL_REGISTERS.length);
  },
});

export const popa = instruction({
  mnemonic: "popa",
  source: "Intel SDM Vol. 2B, POPA/POPAD",
  access: "",
  forms: [form("61", "", not64)],
  execute(ops) {
    const bytes = ops.operandBits / 8;
    const values = ALL_REGISTERS.map((_, i) => ops.keep(ops.peekStack(wordBits(ops), bytes * i)));
    for (const [i, register] of ALL_REGISTERS.entries()) {
      if (register !== "rsp") ops.setRegister(register, values[i]!);
    }
    ops.releaseStack(bytes * ALL_REGISTERS.length);
  },
});

export const pushf = instruction({
  mnemonic: "pushf",
  source: "Intel SDM Vol. 2B, PUSHF/PUSHFD/PUSHFQ",
  access: "",
  flags: { reads: "cf pf af zf sf of" },
  forms: [form("9C", "", default64)],
  execute(ops) {
    ops.push(ops.truncate(ops.query("flagsForPush", ops.constant(ops.operandBits, 32)), ops.operandBits));
  },
});

export const popf = instruction({
  mnemonic: "popf",
  source: "Intel SDM Vol. 2B, POPF/POPFD/POPFQ",
  access: "",
  flags: { writes: "cf pf af zf sf of" },
  forms: [form("9D", "", default64)],
  execute(ops) {
    const flags = ops.keep(ops.zeroExtend(ops.peekStack(wordBits(ops), 0), 64));
    const bits = ops.constant(ops.operandBits, 32);
    // Only virtual-8086 mode refuses flags.
    if (!ops.code64) ops.system("checkPoppedFlags", flags, bits);
    // The helper may leave for good, so RSP changes before it, and the helper must not fault any more.
    ops.releaseStack(ops.operandBits / 8);
    ops.system("popFlags", flags, bits);
  },
});

export const enter = instruction({
  mnemonic: "enter",
  source: "Intel SDM Vol. 2A, ENTER",
  access: "r r",
  forms: [form("C8", "imm16, imm8", default64)],
  execute(ops, size, level) {
    const bytes = ops.operandBits / 8;
    const depth = ops.and(ops.zeroExtend(level, 32), ops.constant(31, 32));
    const frame = ops.keep(stackOffset(ops, ops.subtract(ops.register("rsp", 64), ops.constant(bytes, 64))));
    ops.pokeStack(ops.register("rbp", ops.operandBits), -bytes);
    // Nested procedures: the outer frames' pointers, then this frame's own.
    for (let i = 1; i < 32; i++) {
      ops.when(ops.lessUnsigned(ops.constant(i, 32), depth), () => {
        const at = ops.subtract(ops.register("rbp", 64), ops.constant(bytes * i, 64));
        const outer = ops.loadStack(wordBits(ops), at);
        ops.pokeStack(outer, -bytes * (i + 1));
      });
    }
    for (let i = 1; i < 32; i++) {
      ops.when(ops.equal(ops.constant(i, 32), depth), () =>
        ops.pokeStack(ops.truncate(frame, ops.operandBits), -bytes * (i + 1)),
      );
    }
    const words = ops.add(ops.zeroExtend(depth, 64), ops.constant(1, 64));
    const taken = ops.keep(ops.add(ops.multiply(words, ops.constant(bytes, 64)), ops.zeroExtend(size, 64)));
    // The new top of the stack must be writable, though nothing is written there.
    ops.probeStack(wordBits(ops), ops.subtract(ops.register("rsp", 64), taken));
    ops.setRegister("rbp", ops.truncate(frame, ops.operandBits));
    ops.releaseStack(ops.negate(taken));
  },
});

export const leave = instruction({
  mnemonic: "leave",
  source: "Intel SDM Vol. 2A, LEAVE",
  access: "",
  forms: [form("C9", "", default64)],
  execute(ops) {
    const bytes = ops.operandBits / 8;
    const frame = ops.register("rbp", 64);
    const outer = ops.keep(ops.loadStack(wordBits(ops), frame));
    const top = ops.add(frame, ops.constant(bytes, 64));
    if (ops.code64) ops.setRegister("rsp", top);
    else ops.releaseStack(ops.subtract(top, ops.register("rsp", 64)));
    ops.setRegister("rbp", outer);
  },
});

/** What of a 64-bit pointer counts as an offset in the stack segment. */
function stackOffset<V>(ops: Ops<V>, pointer: V): V {
  if (ops.code64) return pointer;
  const wide = ops.equal(ops.state(STACK_BITS, 32), ops.constant(32, 32));
  return ops.and(pointer, ops.select(wide, ops.constant(0xffffffff, 64), ops.constant(0xffff, 64)));
}

/** The operand size of a stack instruction, which is never 8. */
function wordBits<V>(ops: Ops<V>): 16 | 32 | 64 {
  return ops.operandBits as 16 | 32 | 64;
}

// biome-ignore format: a table
export const stack = [
  push, pushSegment, pop, popMemory, popSegment, pusha, popa, pushf, popf, enter, leave,
] as const;
