import {
  CR4,
  MSR_TSC_AUX,
  SEG_FS,
  SEG_GS,
  SEGMENT_BASE,
  SEGMENT_EFFECTIVE_BASE,
} from "../../layout/cpu-state.ts";
import type { HelperName } from "../helpers.ts";
import { type FormAttributes, form, instruction, not64, only64, privileged } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { requireTablePrivilege } from "./descriptor-tables.ts";

/** A move of a control or debug register: 64 bits in 64-bit code, else 32, whatever the prefixes say. */
function fullWidthForms(opcode: string, operands: (register: string) => string) {
  return [
    form(opcode, operands("r64:rm"), { ...privileged, ...only64, size: 64 }),
    form(opcode, operands("r32:rm"), { ...privileged, ...not64, size: 32 }),
  ];
}

const CONTROL_REGISTERS = [0, 2, 3, 4, 8];

export const movFromControl = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV—Move to/from Control Registers",
  access: "w r",
  flags: { undefined: "of sf zf af pf cf" },
  forms: fullWidthForms("0F 20 /r", (register) => `${register}, cr`),
  execute(ops, _dst, number) {
    const exists = CONTROL_REGISTERS.map((n) => ops.equal(number, ops.constant(n, 32))).reduce((a, b) =>
      ops.or(a, b),
    );
    ops.raiseWhen(ops.not(exists), "#UD");
    return ops.truncate(ops.call("readControl", number), ops.operandBits);
  },
});

export const movToControl = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV—Move to/from Control Registers",
  access: "r r",
  flags: { undefined: "of sf zf af pf cf" },
  forms: fullWidthForms("0F 22 /r", (register) => `cr, ${register}`),
  execute(ops, number, src) {
    ops.system("writeControl", number, ops.zeroExtend(src, 64));
  },
});

export const movFromDebug = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV—Move to/from Debug Registers",
  access: "w r",
  flags: { undefined: "of sf zf af pf cf" },
  forms: fullWidthForms("0F 21 /r", (register) => `${register}, dr`),
  execute(ops, _dst, number) {
    ops.system("readDebug", number);
    return ops.truncate(ops.helperResult(0), ops.operandBits);
  },
});

export const movToDebug = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV—Move to/from Debug Registers",
  access: "r r",
  flags: { undefined: "of sf zf af pf cf" },
  forms: fullWidthForms("0F 23 /r", (register) => `dr, ${register}`),
  execute(ops, number, src) {
    ops.system("writeDebug", number, ops.zeroExtend(src, 64));
  },
});

export const smsw = instruction({
  mnemonic: "smsw",
  source: "Intel SDM Vol. 2B, SMSW",
  access: "w",
  forms: [form("0F 01 /4", "r:v:rm")],
  execute(ops) {
    requireTablePrivilege(ops);
    return ops.truncate(ops.call("smsw"), ops.operandBits);
  },
});

export const smswToMemory = instruction({
  mnemonic: "smsw",
  source: "Intel SDM Vol. 2B, SMSW",
  access: "w",
  forms: [form("0F 01 /4", "m16")],
  execute(ops) {
    requireTablePrivilege(ops);
    return ops.truncate(ops.call("smsw"), 16);
  },
});

export const lmsw = instruction({
  mnemonic: "lmsw",
  source: "Intel SDM Vol. 2A, LMSW",
  access: "r",
  forms: [form("0F 01 /6", "rm16", privileged)],
  execute(ops, src) {
    ops.system("lmsw", src);
  },
});

export const invlpg = instruction({
  mnemonic: "invlpg",
  source: "Intel SDM Vol. 2A, INVLPG",
  access: "r",
  forms: [form("0F 01 /7", "m", privileged)],
  // What follows may lie on the page: it is fetched anew.
  endsBlock: true,
  execute(ops, address) {
    ops.perform("invalidatePage", address);
    ops.jump(ops.nextInstruction());
  },
});

/** INVD and WBINVD: there are no caches. */
function cacheControl(mnemonic: string, source: string, opcode: string) {
  return instruction({ mnemonic, source, access: "", forms: [form(opcode, "", privileged)], execute() {} });
}

export const clflush = instruction({
  mnemonic: "clflush",
  source: "Intel SDM Vol. 2A, CLFLUSH",
  access: "r",
  forms: [form("NP 0F AE /7", "m8")],
  // The operand has been read, which is all that is checked.
  execute() {},
});

/** CLFLUSHOPT and CLWB are CLFLUSH in another order, which nothing here can tell. */
function writeBack(mnemonic: "clflushopt" | "clwb", digit: number) {
  return instruction({
    mnemonic,
    source: `Intel SDM Vol. 2A, ${mnemonic.toUpperCase()}`,
    access: "r",
    features: [mnemonic],
    forms: [form(`66 0F AE /${digit}`, "m8")],
    execute() {},
  });
}

/** An instruction without operands that a function of src/core carries out. */
function byHelper(
  mnemonic: string,
  source: string,
  opcode: string,
  helper: HelperName,
  attributes: FormAttributes = {},
) {
  return instruction({
    mnemonic,
    source,
    access: "",
    forms: [form(opcode, "", attributes)],
    execute(ops) {
      ops.system(helper);
    },
  });
}

/** SYSCALL and SYSENTER, which leave for good. */
function entry(mnemonic: "syscall" | "sysenter", source: string, opcode: string) {
  return instruction({
    mnemonic,
    source,
    access: "",
    flags: { reads: "cf pf af zf sf of", writes: "cf pf af zf sf of" },
    forms: [form(opcode)],
    endsBlock: true,
    execute(ops) {
      ops.system(mnemonic);
    },
  });
}

/** SYSRET and SYSEXIT: REX.W says where to. */
function exit(mnemonic: "sysret" | "sysexit", source: string, opcode: string) {
  return instruction({
    mnemonic,
    source,
    access: "",
    flags: { writes: "cf pf af zf sf of" },
    forms: [form(opcode)],
    endsBlock: true,
    execute(ops) {
      ops.system(mnemonic, ops.constant(ops.operandBits, 32));
    },
  });
}

/** RDRAND and RDSEED: the machine's random numbers never run out. */
function randomNumber(mnemonic: "rdrand" | "rdseed", digit: number) {
  return instruction({
    mnemonic,
    source: `Intel SDM Vol. 2B, ${mnemonic.toUpperCase()}`,
    access: "w",
    flags: { writes: "cf pf af zf sf of" },
    features: [mnemonic],
    forms: [form(`NFx 0F C7 /${digit}`, "r:v:rm")],
    execute(ops) {
      const value = ops.call("rdrand", ops.constant(ops.operandBits, 32));
      setCarryOnly(ops);
      return ops.truncate(value, ops.operandBits);
    },
  });
}

/** RDFSBASE and RDGSBASE. */
function readBase(mnemonic: string, digit: number, segment: number) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2B, RDFSBASE/RDGSBASE",
    access: "w",
    features: ["fsgsbase"],
    forms: [form(`F3 0F AE /${digit}`, "r:y:rm", only64)],
    execute(ops) {
      requireBaseInstructions(ops);
      return ops.state(segment + SEGMENT_BASE, ops.operandBits === 64 ? 64 : 32);
    },
  });
}

/** WRFSBASE and WRGSBASE: #GP(0) for a base that is not canonical. */
function writeBase(mnemonic: string, digit: number, segment: number) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2D, WRFSBASE/WRGSBASE",
    access: "r",
    features: ["fsgsbase"],
    forms: [form(`F3 0F AE /${digit}`, "r:y:rm", only64)],
    execute(ops, src) {
      requireBaseInstructions(ops);
      const base = ops.keep(ops.zeroExtend(src, 64));
      const extended = ops.shiftRightSigned(ops.shiftLeft(base, 16), 16);
      ops.raiseWhen(ops.not(ops.equal(extended, base)), "#GP");
      ops.setState(segment + SEGMENT_BASE, base);
      ops.setState(segment + SEGMENT_EFFECTIVE_BASE, base);
    },
  });
}

/** #UD unless CR4.FSGSBASE is set. */
function requireBaseInstructions<V>(ops: Ops<V>): void {
  ops.raiseWhen(ops.not(ops.bit(ops.state(CR4, 32), 16)), "#UD");
}

const rdpid = instruction({
  mnemonic: "rdpid",
  source: "Intel SDM Vol. 2B, RDPID",
  access: "w",
  features: ["rdpid"],
  forms: [
    form("F3 0F C7 /7", "r64:rm", { ...only64, size: 64 }),
    form("F3 0F C7 /7", "r32:rm", { ...not64, size: 32 }),
  ],
  execute(ops) {
    return ops.zeroExtend(ops.state(MSR_TSC_AUX, 32), ops.operandBits);
  },
});

/** CF = 1, the other status flags 0. */
function setCarryOnly<V>(ops: Ops<V>): void {
  const one = ops.constant(1, 8);
  const zero = ops.constant(0, 8);
  ops.setFlag("cf", ops.constant(1, 1));
  // A result of 1 is neither zero nor negative, and its parity is odd.
  ops.setAdditionOverflow(one, zero, one);
  ops.setResultFlags(one);
}

// biome-ignore format: a table
export const system = [
  movFromControl, movToControl, movFromDebug, movToDebug, smsw, smswToMemory, lmsw,
  byHelper("clts", "Intel SDM Vol. 2A, CLTS", "0F 06", "clts", privileged),
  invlpg,
  cacheControl("invd", "Intel SDM Vol. 2A, INVD", "0F 08"),
  cacheControl("wbinvd", "Intel SDM Vol. 2D, WBINVD", "0F 09"),
  clflush, writeBack("clflushopt", 7), writeBack("clwb", 6),
  byHelper("rdmsr", "Intel SDM Vol. 2B, RDMSR", "0F 32", "rdmsr", privileged),
  byHelper("wrmsr", "Intel SDM Vol. 2D, WRMSR", "0F 30", "wrmsr", privileged),
  byHelper("rdtsc", "Intel SDM Vol. 2B, RDTSC", "0F 31", "rdtsc"),
  byHelper("rdtscp", "Intel SDM Vol. 2B, RDTSCP", "0F 01 F9", "rdtscp"),
  byHelper("rdpmc", "Intel SDM Vol. 2B, RDPMC", "0F 33", "rdpmc"),
  byHelper("cpuid", "Intel SDM Vol. 2A, CPUID", "0F A2", "identify"),
  byHelper("xgetbv", "Intel SDM Vol. 2D, XGETBV", "NP 0F 01 D0", "xgetbv"),
  byHelper("xsetbv", "Intel SDM Vol. 2D, XSETBV", "NP 0F 01 D1", "xsetbv"),
  byHelper("swapgs", "Intel SDM Vol. 2B, SWAPGS", "0F 01 F8", "swapgs", only64),
  entry("syscall", "Intel SDM Vol. 2B, SYSCALL", "0F 05"),
  exit("sysret", "Intel SDM Vol. 2B, SYSRET", "0F 07"),
  entry("sysenter", "Intel SDM Vol. 2B, SYSENTER", "0F 34"),
  exit("sysexit", "Intel SDM Vol. 2B, SYSEXIT", "0F 35"),
  randomNumber("rdrand", 6), randomNumber("rdseed", 7),
  readBase("rdfsbase", 0, SEG_FS), readBase("rdgsbase", 1, SEG_GS),
  writeBase("wrfsbase", 2, SEG_FS), writeBase("wrgsbase", 3, SEG_GS),
  rdpid,
] as const;
