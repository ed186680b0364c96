import { form, instruction } from "../instruction.ts";

// Instructions that do nothing here. Their operands are not accessed: no operand is read, and none written.

export const nopOperand = instruction({
  mnemonic: "nop",
  source: 'Intel SDM Vol. 2B, NOP; opcode map, "Reserved NOP"',
  access: "w",
  forms: [0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f].map((opcode) =>
    form(`0F ${opcode.toString(16)} /r`, "rm:v", { offsetOnly: true }),
  ),
  execute() {},
});

export const prefetch = instruction({
  mnemonic: "prefetch",
  source: "Intel SDM Vol. 2B, PREFETCHh",
  access: "w",
  forms: [form("0F 18 /r", "rm:v", { offsetOnly: true })],
  execute() {},
});

export const prefetchw = instruction({
  mnemonic: "prefetchw",
  source: "Intel SDM Vol. 2B, PREFETCHW",
  access: "w",
  forms: [form("0F 0D /r", "m8", { offsetOnly: true })],
  execute() {},
});

/** Fences order nothing here: all accesses of one processor are in order. */
export const fences = (
  [
    ["lfence", "Intel SDM Vol. 2A, LFENCE", "E8"],
    ["mfence", "Intel SDM Vol. 2B, MFENCE", "F0"],
    ["sfence", "Intel SDM Vol. 2B, SFENCE", "F8"],
  ] as const
).map(([mnemonic, source, modRM]) =>
  instruction({ mnemonic, source, access: "", forms: [form(`NP 0F AE ${modRM}+i`)], execute() {} }),
);

export const hints = [nopOperand, prefetch, prefetchw, ...fences] as const;
