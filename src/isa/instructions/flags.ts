import { RFLAGS_SYSTEM } from "../../layout/cpu-state.ts";
import { form, instruction } from "../instruction.ts";

const DF = 1n << 10n;

export const clc = instruction({
  mnemonic: "clc",
  source: "Intel SDM Vol. 2A, CLC",
  access: "",
  flags: { writes: "cf" },
  forms: [form("F8")],
  execute(ops) {
    ops.setFlag("cf", ops.constant(0, 1));
  },
});

export const stc = instruction({
  mnemonic: "stc",
  source: "Intel SDM Vol. 2B, STC",
  access: "",
  flags: { writes: "cf" },
  forms: [form("F9")],
  execute(ops) {
    ops.setFlag("cf", ops.constant(1, 1));
  },
});

export const cmc = instruction({
  mnemonic: "cmc",
  source: "Intel SDM Vol. 2A, CMC",
  access: "",
  flags: { reads: "cf", writes: "cf" },
  forms: [form("F5")],
  execute(ops) {
    ops.setFlag("cf", ops.not(ops.flag("cf")));
  },
});

export const cld = instruction({
  mnemonic: "cld",
  source: "Intel SDM Vol. 2A, CLD",
  access: "",
  forms: [form("FC")],
  execute(ops) {
    ops.setState(RFLAGS_SYSTEM, ops.and(ops.state(RFLAGS_SYSTEM, 64), ops.constant(~DF, 64)));
  },
});

export const std = instruction({
  mnemonic: "std",
  source: "Intel SDM Vol. 2B, STD",
  access: "",
  forms: [form("FD")],
  execute(ops) {
    ops.setState(RFLAGS_SYSTEM, ops.or(ops.state(RFLAGS_SYSTEM, 64), ops.constant(DF, 64)));
  },
});

export const cli = instruction({
  mnemonic: "cli",
  source: "Intel SDM Vol. 2A, CLI",
  access: "",
  forms: [form("FA")],
  execute(ops) {
    ops.system("cli");
  },
});

export const sti = instruction({
  mnemonic: "sti",
  source: "Intel SDM Vol. 2B, STI",
  access: "",
  forms: [form("FB")],
  // A block ends here, so that an interrupt that waits is seen before a CLI further on.
  endsBlock: true,
  execute(ops) {
    ops.system("sti");
    ops.jump(ops.nextInstruction());
  },
});

export const clac = instruction({
  mnemonic: "clac",
  source: "Intel SDM Vol. 2A, CLAC",
  access: "",
  forms: [form("NP 0F 01 CA")],
  execute(ops) {
    ops.system("clac");
  },
});

export const stac = instruction({
  mnemonic: "stac",
  source: "Intel SDM Vol. 2B, STAC",
  access: "",
  forms: [form("NP 0F 01 CB")],
  execute(ops) {
    ops.system("stac");
  },
});

export const flags = [clc, stc, cmc, cld, std, cli, sti, clac, stac] as const;
