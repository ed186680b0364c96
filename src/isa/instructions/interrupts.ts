import { form, instruction, not64 } from "../instruction.ts";

export const int = instruction({
  mnemonic: "int",
  source: "Intel SDM Vol. 2A, INT n/INTO/INT3/INT1",
  access: "r",
  forms: [form("CD", "imm8")],
  endsBlock: true,
  execute(ops, vector) {
    ops.system("softwareInterrupt", ops.zeroExtend(vector, 32));
  },
});

export const int3 = instruction({
  mnemonic: "int3",
  source: "Intel SDM Vol. 2A, INT n/INTO/INT3/INT1",
  access: "",
  forms: [form("CC")],
  endsBlock: true,
  execute(ops) {
    ops.system("softwareException", ops.constant(3, 32));
  },
});

export const into = instruction({
  mnemonic: "into",
  source: "Intel SDM Vol. 2A, INT n/INTO/INT3/INT1",
  access: "",
  flags: { reads: "of" },
  forms: [form("CE", "", not64)],
  execute(ops) {
    ops.when(ops.flag("of"), () => ops.system("softwareException", ops.constant(4, 32)));
  },
});

export const int1 = instruction({
  mnemonic: "int1",
  source: "Intel SDM Vol. 2A, INT n/INTO/INT3/INT1",
  access: "",
  forms: [form("F1")],
  endsBlock: true,
  execute(ops) {
    ops.system("debugInterrupt");
  },
});

export const bound = instruction({
  mnemonic: "bound",
  source: "Intel SDM Vol. 2A, BOUND",
  access: "r r",
  forms: [form("62 /r", "r:v, m", not64)],
  execute(ops, index, address) {
    const bits = ops.operandBits as 16 | 32;
    const lower = ops.load(bits, address);
    const upper = ops.load(bits, ops.add(address, ops.constant(bits / 8, 64)));
    ops.raiseWhen(ops.or(ops.lessSigned(index, lower), ops.lessSigned(upper, index)), "#BR");
  },
});

export const ud2 = instruction({
  mnemonic: "ud2",
  source: "Intel SDM Vol. 2D, UD",
  access: "",
  forms: [form("0F 0B")],
  endsBlock: true,
  execute(ops) {
    ops.raise("#UD");
  },
});

/** UD0 and UD1 have operands, which are not accessed. */
export const undefinedInstructions = (["ud1", "ud0"] as const).map((mnemonic) =>
  instruction({
    mnemonic,
    source: "Intel SDM Vol. 2D, UD",
    access: "w w",
    forms: [form(mnemonic === "ud1" ? "0F B9 /r" : "0F FF /r", "r:v, rm:v", { offsetOnly: true })],
    endsBlock: true,
    execute(ops) {
      ops.raise("#UD");
    },
  }),
);

export const interrupts = [int, int3, into, int1, bound, ud2, ...undefinedInstructions] as const;
