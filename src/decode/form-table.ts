import type { Form, Instruction } from "../isa/instruction.ts";
import { INSTRUCTIONS } from "../isa/instructions/all.ts";
import { invariant } from "../layout/invariant.ts";
import { type OperandSpec, parseOperands } from "./operand-spec.ts";

/** Opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = 0 | 1 | 2 | 3;

/** Mandatory prefixes, as bits so that a form may take several. */
export const PREFIX_NONE = 1;
export const PREFIX_66 = 2;
export const PREFIX_F3 = 4;
export const PREFIX_F2 = 8;
const PREFIX_ANY = 15;

/** A form, ready for the decoder. */
export interface CompiledForm {
  readonly instruction: Instruction;
  readonly form: Form;
  /** Position among all forms; stable within a build. */
  readonly number: number;
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** Which of PREFIX_* select it. */
  readonly prefixes: number;
  /** The prefix 66 selects the form, so it does not change the operand size. */
  readonly mandatory66: boolean;
  readonly hasModRM: boolean;
  /** ModRM.reg must be this; -1 for any. */
  readonly digit: number;
  /** ModRM must be this byte, in the bits of `modRMMask`; -1 for any. */
  readonly fixedModRM: number;
  readonly modRMMask: number;
  readonly operands: readonly OperandSpec[];
  /** Some operand or the instruction itself follows the operand size. */
  readonly variableSize: boolean;
  /** ModRM.mod does not count: the operand is a register (Intel SDM Vol. 2B, "MOV—Move to/from Control Registers"). */
  readonly ignoresMod: boolean;
  /** May ModRM name a register, may it name memory. */
  readonly allowsRegister: boolean;
  readonly allowsMemory: boolean;
}

const HEX = /^[0-9A-Fa-f]{2}$/;

function compile(instruction: Instruction, form: Form, number: number): CompiledForm {
  const tokens = form.opcode.split(" ").filter(Boolean);
  let prefixes = PREFIX_ANY;
  let mandatory66 = false;
  const isPrefix = (t: string | undefined) => t === "NP" || t === "66" || t === "F2" || t === "F3";
  if (tokens.length > 1 && isPrefix(tokens[0]) && (tokens[1] === "0F" || tokens[1] === "90")) {
    const prefix = tokens.shift();
    prefixes =
      prefix === "NP" ? PREFIX_NONE : prefix === "66" ? PREFIX_66 : prefix === "F3" ? PREFIX_F3 : PREFIX_F2;
    mandatory66 = prefix === "66";
  }
  let map: OpcodeMap = 0;
  if (tokens[0] === "0F") {
    tokens.shift();
    const second: string | undefined = tokens[0];
    map = second === "38" ? 2 : second === "3A" ? 3 : 1;
    if (map !== 1) tokens.shift();
  }
  const opcodeToken = tokens.shift();
  invariant(
    opcodeToken !== undefined && HEX.test(opcodeToken),
    `opcode "${form.opcode}" of ${instruction.mnemonic}`,
  );
  let hasModRM = false;
  let digit = -1;
  let fixedModRM = -1;
  let modRMMask = 0xff;
  for (const token of tokens) {
    if (token === "/r") hasModRM = true;
    else if (/^\/[0-7]$/.test(token)) {
      hasModRM = true;
      digit = Number(token[1]);
    } else if (HEX.test(token)) {
      hasModRM = true;
      fixedModRM = parseInt(token, 16);
    } else if (/^[0-9A-Fa-f]{2}\+i$/.test(token)) {
      hasModRM = true;
      fixedModRM = parseInt(token.slice(0, 2), 16);
      modRMMask = 0xf8;
    } else invariant(false, `opcode "${form.opcode}" of ${instruction.mnemonic}: "${token}"`);
  }
  const operands = parseOperands(form.operands);
  const rm = operands.find((o) => o.source === "rm");
  const ignoresMod = form.operands.some((token) => token === "cr" || token === "dr");
  // Immediates and segment registers (RET imm16, PUSH FS) have no width that could be the instruction's.
  const variableSize =
    operands.every((o) => o.class === "immediate" || (o.class === "number" && o.source === "fixed")) ||
    operands.some(
      (o) =>
        o.bits === "v" ||
        o.bits === "y" ||
        o.memoryBits === "v" ||
        o.encodedBytes === "z" ||
        o.class === "relative" ||
        o.class === "address",
    );
  return {
    instruction,
    form,
    number,
    map,
    opcode: parseInt(opcodeToken, 16),
    prefixes,
    mandatory66,
    hasModRM,
    digit,
    fixedModRM,
    modRMMask,
    operands,
    variableSize,
    ignoresMod,
    allowsRegister: fixedModRM >= 0xc0 || rm === undefined || rm.allows !== "memory",
    allowsMemory: fixedModRM < 0xc0 && (rm === undefined || rm.allows !== "register"),
  };
}

/** Every form of every instruction, in the table's order. */
export const FORMS: readonly CompiledForm[] = INSTRUCTIONS.flatMap((i) =>
  i.forms.map((f) => [i, f] as const),
).map(([instruction, form], number) => compile(instruction, form, number));

function buildOpcodeIndex(): (readonly CompiledForm[])[] {
  const index: CompiledForm[][] = Array.from({ length: 1024 }, () => []);
  for (const form of FORMS) {
    const inOpcode = form.operands.some((o) => o.source === "opcode");
    for (let i = 0; i < (inOpcode ? 8 : 1); i++) index[form.map * 256 + form.opcode + i]!.push(form);
  }
  // More particular forms first: a fixed ModRM byte, then a digit, then a mandatory prefix.
  const particular = (f: CompiledForm) =>
    (f.fixedModRM >= 0 ? (f.modRMMask === 0xff ? 8 : 4) : 0) +
    (f.digit >= 0 ? 2 : 0) +
    (f.prefixes !== PREFIX_ANY ? 1 : 0);
  for (const forms of index) forms.sort((a, b) => particular(b) - particular(a));
  return index;
}

/** Forms by map * 256 + opcode byte. */
export const FORMS_BY_OPCODE: readonly (readonly CompiledForm[])[] = buildOpcodeIndex();
