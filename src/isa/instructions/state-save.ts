import type { IsaFeature } from "../features.ts";
import type { HelperName } from "../helpers.ts";
import { form, instruction } from "../instruction.ts";

/** FXSAVE and its like: the helpers make all checks. REX.W chooses 64-bit instruction pointers. */
function saveArea(
  mnemonic: string,
  source: string,
  opcode: string,
  helper: HelperName,
  features: readonly IsaFeature[] = [],
) {
  return instruction({
    mnemonic,
    source,
    access: "r",
    features,
    forms: [form(opcode, "m")],
    execute(ops, address) {
      ops.system(helper, address, ops.constant(ops.operandBits === 64 ? 1 : 0, 32));
    },
  });
}

export const ldmxcsr = instruction({
  mnemonic: "ldmxcsr",
  source: "Intel SDM Vol. 2A, LDMXCSR",
  access: "r",
  forms: [form("NP 0F AE /2", "m32")],
  unit: "sse",
  execute(ops, src) {
    ops.system("ldmxcsr", src);
  },
});

export const stmxcsr = instruction({
  mnemonic: "stmxcsr",
  source: "Intel SDM Vol. 2B, STMXCSR",
  access: "w",
  forms: [form("NP 0F AE /3", "m32")],
  unit: "sse",
  execute(ops) {
    return ops.call("stmxcsr");
  },
});

// biome-ignore format: a table
export const stateSave = [
  saveArea("fxsave", "Intel SDM Vol. 2A, FXSAVE", "NP 0F AE /0", "fxsave"),
  saveArea("fxrstor", "Intel SDM Vol. 2A, FXRSTOR", "NP 0F AE /1", "fxrstor"),
  ldmxcsr, stmxcsr,
  saveArea("xsave", "Intel SDM Vol. 2D, XSAVE", "NP 0F AE /4", "xsave", ["xsave"]),
  saveArea("xrstor", "Intel SDM Vol. 2D, XRSTOR", "NP 0F AE /5", "xrstor", ["xsave"]),
  saveArea("xsaveopt", "Intel SDM Vol. 2D, XSAVEOPT", "NP 0F AE /6", "xsaveopt", ["xsaveopt"]),
  saveArea("xsavec", "Intel SDM Vol. 2D, XSAVEC", "NP 0F C7 /4", "xsavec", ["xsavec"]),
] as const;
