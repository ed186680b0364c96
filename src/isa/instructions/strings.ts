import type { HelperName } from "../helpers.ts";
import { type FlagUse, form, type Instruction, instruction, repeatable } from "../instruction.ts";

/** A string instruction: the byte form at `opcode`, the others behind it. */
function string(
  mnemonic: string,
  source: string,
  opcode: number,
  helper: HelperName,
  flags: FlagUse = {},
): Instruction {
  const hex = (n: number) => n.toString(16).padStart(2, "0");
  return instruction({
    mnemonic,
    source,
    access: "",
    flags,
    forms: [form(hex(opcode), "", { ...repeatable, size: 8 }), form(hex(opcode + 1), "", repeatable)],
    execute(ops) {
      const { addressBits, repeat, segment } = ops.stringPrefixes();
      // A port is 32 bits wide at most: REX.W changes nothing.
      const toPort = helper === "stringIns" || helper === "stringOuts";
      const bits = toPort ? Math.min(ops.operandBits, 32) : ops.operandBits;
      ops.system(helper, ops.constant(bits, 32), repeat, addressBits, segment);
    },
  });
}

const COMPARISON = { writes: "cf pf af zf sf of" };

export const strings = [
  string("ins", "Intel SDM Vol. 2A, INS/INSB/INSW/INSD", 0x6c, "stringIns"),
  string("outs", "Intel SDM Vol. 2B, OUTS/OUTSB/OUTSW/OUTSD", 0x6e, "stringOuts"),
  string("movs", "Intel SDM Vol. 2B, MOVS/MOVSB/MOVSW/MOVSD/MOVSQ", 0xa4, "stringMovs"),
  string("cmps", "Intel SDM Vol. 2A, CMPS/CMPSB/CMPSW/CMPSD/CMPSQ", 0xa6, "stringCmps", COMPARISON),
  string("stos", "Intel SDM Vol. 2B, STOS/STOSB/STOSW/STOSD/STOSQ", 0xaa, "stringStos"),
  string("lods", "Intel SDM Vol. 2A, LODS/LODSB/LODSW/LODSD/LODSQ", 0xac, "stringLods"),
  string("scas", "Intel SDM Vol. 2B, SCAS/SCASB/SCASW/SCASD", 0xae, "stringScas", COMPARISON),
] as const;
