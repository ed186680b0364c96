import { form, instruction } from "../instruction.ts";

/** Bytes of a port access: the accumulator's width, of which REX.W makes no more than 4. */
function accessBytes(bits: number): number {
  return Math.min(bits, 32) / 8;
}

/** IN: the port is an immediate or DX. */
export const input = instruction({
  mnemonic: "in",
  source: "Intel SDM Vol. 2A, IN",
  access: "w r",
  forms: [form("E4", "al, imm8"), form("E5", "rax:v, imm8"), form("EC", "al, dx"), form("ED", "rax:v, dx")],
  execute(ops, _dst, from) {
    const port = ops.keep(ops.zeroExtend(from, 32));
    const bytes = ops.constant(accessBytes(ops.operandBits), 32);
    ops.system("checkPort", port, bytes);
    const value = ops.call("portIn", port, bytes);
    return ops.operandBits === 64 ? ops.zeroExtend(value, 64) : ops.truncate(value, ops.operandBits);
  },
});

export const output = instruction({
  mnemonic: "out",
  source: "Intel SDM Vol. 2B, OUT",
  access: "r r",
  forms: [form("E6", "imm8, al"), form("E7", "imm8, rax:v"), form("EE", "dx, al"), form("EF", "dx, rax:v")],
  execute(ops, to, src) {
    const port = ops.keep(ops.zeroExtend(to, 32));
    const bytes = ops.constant(accessBytes(ops.bitsOf(src)), 32);
    ops.system("checkPort", port, bytes);
    const value = ops.bitsOf(src) === 64 ? ops.truncate(src, 32) : ops.zeroExtend(src, 32);
    ops.perform("portOut", port, bytes, value);
  },
});

export const inputOutput = [input, output] as const;
