import { force64, form, instruction, not64, privileged } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { CONDITIONS } from "../registers.ts";
import { conditionFlags } from "./data-transfer.ts";

/** Jcc. */
export const conditionalJumps = CONDITIONS.map((condition, code) =>
  instruction({
    mnemonic: `j${condition}`,
    source: "Intel SDM Vol. 2A, Jcc",
    access: "r",
    flags: { reads: conditionFlags(code) },
    forms: [
      form(`7${code.toString(16)}`, "rel8", force64),
      form(`0F 8${code.toString(16)}`, "rel:z", force64),
    ],
    execute(ops, target) {
      ops.branch(ops.condition(condition), target);
    },
  }),
);

export const jmp = instruction({
  mnemonic: "jmp",
  source: "Intel SDM Vol. 2A, JMP",
  access: "r",
  forms: [form("EB", "rel8", force64), form("E9", "rel:z", force64)],
  endsBlock: true,
  execute(ops, target) {
    ops.jump(target);
  },
});

export const jmpIndirect = instruction({
  mnemonic: "jmp",
  source: "Intel SDM Vol. 2A, JMP",
  access: "r",
  forms: [form("FF /4", "rm:v", force64)],
  endsBlock: true,
  execute(ops, target) {
    const offset = ops.keep(ops.zeroExtend(target, 64));
    ops.checkTarget(offset);
    ops.jump(offset);
  },
});

export const call = instruction({
  mnemonic: "call",
  source: "Intel SDM Vol. 2A, CALL",
  access: "r",
  forms: [form("E8", "rel:z", force64)],
  endsBlock: true,
  execute(ops, target) {
    ops.push(ops.truncate(ops.nextInstruction(), ops.operandBits));
    ops.jump(target);
  },
});

export const callIndirect = instruction({
  mnemonic: "call",
  source: "Intel SDM Vol. 2A, CALL",
  access: "r",
  forms: [form("FF /2", "rm:v", force64)],
  endsBlock: true,
  execute(ops, target) {
    const offset = ops.keep(ops.zeroExtend(target, 64));
    // A fault of the stack comes before one of the target.
    ops.checkTarget(offset, () => {
      const top = ops.subtract(ops.register("rsp", 64), ops.constant(ops.operandBits / 8, 64));
      ops.probeStack(ops.operandBits as 32, top);
    });
    ops.push(ops.truncate(ops.nextInstruction(), ops.operandBits));
    ops.jump(offset);
  },
});

export const ret = instruction({
  mnemonic: "ret",
  source: "Intel SDM Vol. 2B, RET",
  access: "",
  forms: [form("C3", "", force64)],
  endsBlock: true,
  execute(ops) {
    const target = ops.keep(ops.zeroExtend(ops.peekStack(ops.operandBits as 32, 0), 64));
    ops.checkTarget(target);
    ops.releaseStack(ops.operandBits / 8);
    ops.jump(target);
  },
});

export const retImmediate = instruction({
  mnemonic: "ret",
  source: "Intel SDM Vol. 2B, RET",
  access: "r",
  forms: [form("C2", "imm16", force64)],
  endsBlock: true,
  execute(ops, bytes) {
    const target = ops.keep(ops.zeroExtend(ops.peekStack(ops.operandBits as 32, 0), 64));
    ops.checkTarget(target);
    ops.releaseStack(ops.add(ops.zeroExtend(bytes, 64), ops.constant(ops.operandBits / 8, 64)));
    ops.jump(target);
  },
});

function loop(mnemonic: string, opcode: string, reads: string, goesOn: <V>(ops: Ops<V>, left: V) => V) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2A, LOOP/LOOPcc",
    access: "r",
    flags: { reads },
    forms: [form(opcode, "rel8", force64)],
    execute(ops, target) {
      const count = ops.keep(ops.subtract(ops.counter(), ops.constant(1, 64)));
      ops.setCounter(count);
      ops.branch(goesOn(ops, ops.not(ops.isZero(count))), target);
    },
  });
}

export const loops = [
  loop("loopne", "E0", "zf", (ops, left) => ops.and(left, ops.not(ops.flag("zf")))),
  loop("loope", "E1", "zf", (ops, left) => ops.and(left, ops.flag("zf"))),
  loop("loop", "E2", "", (_ops, left) => left),
] as const;

export const jrcxz = instruction({
  mnemonic: "jrcxz",
  source: "Intel SDM Vol. 2A, Jcc",
  access: "r",
  forms: [form("E3", "rel8", force64)],
  execute(ops, target) {
    ops.branch(ops.isZero(ops.counter()), target);
  },
});

// Far transfers: offset and selector as immediates, or in memory with the offset first.

type FarHelper = "farJump" | "farCall";

function farImmediate(mnemonic: string, source: string, opcode: string, helper: FarHelper) {
  return instruction({
    mnemonic,
    source,
    access: "r r",
    forms: [form(opcode, "far:z", not64)],
    endsBlock: true,
    execute(ops, offset, selector) {
      ops.system(helper, selector, offset, ops.constant(ops.operandBits, 32));
    },
  });
}

function farMemory(mnemonic: string, source: string, opcode: string, helper: FarHelper) {
  return instruction({
    mnemonic,
    source,
    access: "r",
    forms: [form(opcode, "m")],
    endsBlock: true,
    execute(ops, address) {
      const bits = ops.operandBits as 16 | 32 | 64;
      const offset = ops.keep(ops.load(bits, address));
      const selector = ops.load(16, ops.add(address, ops.constant(bits / 8, 64)));
      ops.system(helper, selector, ops.zeroExtend(offset, 64), ops.constant(bits, 32));
    },
  });
}

export const farTransfers = [
  farImmediate("jmp", "Intel SDM Vol. 2A, JMP", "EA", "farJump"),
  farMemory("jmp", "Intel SDM Vol. 2A, JMP", "FF /5", "farJump"),
  farImmediate("call", "Intel SDM Vol. 2A, CALL", "9A", "farCall"),
  farMemory("call", "Intel SDM Vol. 2A, CALL", "FF /3", "farCall"),
] as const;

export const retFar = instruction({
  mnemonic: "retf",
  source: "Intel SDM Vol. 2B, RET",
  access: "",
  forms: [form("CB")],
  endsBlock: true,
  execute(ops) {
    ops.system("farReturn", ops.constant(ops.operandBits, 32), ops.constant(0, 32));
  },
});

export const retFarImmediate = instruction({
  mnemonic: "retf",
  source: "Intel SDM Vol. 2B, RET",
  access: "r",
  forms: [form("CA", "imm16")],
  endsBlock: true,
  execute(ops, bytes) {
    ops.system("farReturn", ops.constant(ops.operandBits, 32), ops.zeroExtend(bytes, 32));
  },
});

export const iret = instruction({
  mnemonic: "iret",
  source: "Intel SDM Vol. 2A, IRET/IRETD/IRETQ",
  access: "",
  flags: { writes: "cf pf af zf sf of" },
  forms: [form("CF")],
  endsBlock: true,
  execute(ops) {
    ops.system("interruptReturn", ops.constant(ops.operandBits, 32));
  },
});

export const hlt = instruction({
  mnemonic: "hlt",
  source: "Intel SDM Vol. 2A, HLT",
  access: "",
  forms: [form("F4", "", privileged)],
  endsBlock: true,
  execute(ops) {
    ops.system("halt");
  },
});

// biome-ignore format: a table
export const controlFlow = [
  ...conditionalJumps, jmp, jmpIndirect, call, callIndirect, ret, retImmediate, ...loops, jrcxz, ...farTransfers,
  retFar, retFarImmediate, iret, hlt,
] as const;
