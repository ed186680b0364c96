// Protection keys, invalidation by process-context identifier, and waiting for a store.
import { form, instruction, not64, only64, privileged } from "../instruction.ts";
import { wrapAddress } from "./data-transfer.ts";

const rdpkru = instruction({
  mnemonic: "rdpkru",
  source: "Intel SDM Vol. 2B, RDPKRU",
  access: "",
  features: ["pku"],
  forms: [form("NP 0F 01 EE")],
  execute(ops) {
    ops.system("rdpkru");
  },
});

const wrpkru = instruction({
  mnemonic: "wrpkru",
  source: "Intel SDM Vol. 2D, WRPKRU",
  access: "",
  features: ["pku"],
  forms: [form("NP 0F 01 EF")],
  execute(ops) {
    ops.system("wrpkru");
  },
});

const invpcid = instruction({
  mnemonic: "invpcid",
  source: "Intel SDM Vol. 2A, INVPCID",
  access: "r r",
  features: ["invpcid"],
  forms: [
    form("66 0F 38 82 /r", "r64, m", { ...privileged, ...only64, size: 64 }),
    form("66 0F 38 82 /r", "r32, m", { ...privileged, ...not64, size: 32 }),
  ],
  endsBlock: true,
  execute(ops, type, address) {
    const identifier = ops.keep(ops.load(64, address));
    const linear = ops.keep(ops.load(64, ops.add(address, ops.constant(8, 64))));
    ops.system("invpcid", ops.zeroExtend(type, 64), identifier, linear);
    // What follows may lie on the page: it is fetched anew.
    ops.jump(ops.nextInstruction());
  },
});

const monitor = instruction({
  mnemonic: "monitor",
  source: "Intel SDM Vol. 2B, MONITOR",
  access: "",
  features: ["monitor"],
  forms: [form("NP 0F 01 C8", "", { addressPrefixes: true, size: 8 })],
  execute(ops) {
    ops.system("monitor");
    // Checked as a load of a byte is.
    ops.keep(ops.load(8, ops.dataSegmented(wrapAddress(ops, ops.register("rax", 64)), 1, "read")));
  },
});

const mwait = instruction({
  mnemonic: "mwait",
  source: "Intel SDM Vol. 2B, MWAIT",
  access: "",
  features: ["monitor"],
  forms: [form("NP 0F 01 C9")],
  endsBlock: true,
  execute(ops) {
    ops.system("mwait");
    ops.jump(ops.nextInstruction());
  },
});

export const protection = [rdpkru, wrpkru, invpcid, monitor, mwait] as const;
