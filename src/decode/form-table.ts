import type { IsaFeature } from "../isa/features.ts";
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

/** What a VEX prefix must say for a form. */
export interface VexRule {
  /** VEX.L; -1 for any. */
  readonly length: 0 | 1 | -1;
  /** VEX.W; undefined for any. */
  readonly w: boolean | undefined;
  /** VEX.vvvv names an operand; otherwise it must be all ones. */
  readonly usesVvvv: boolean;
}

/** A form, ready for the decoder. */
export interface CompiledForm {
  readonly instruction: Instruction;
  readonly form: Form;
  /** Position among all forms; stable within a build. */
  readonly number: number;
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** The form is encoded with a VEX prefix. */
  readonly vex: VexRule | undefined;
  /** The memory operand has a vector of indices. */
  readonly vsib: boolean;
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
  /** Some operand is memory at an absolute offset. */
  readonly hasMoffs: boolean;
  // Attributes of `form` that decoding asks for, under the same names: objects that have all of them are read faster.
  readonly not64: boolean;
  readonly only64: boolean;
  readonly rexW: boolean | undefined;
  readonly rexB: boolean | undefined;
  readonly size: Form["size"];
  readonly force64: boolean;
  readonly default64: boolean;
  readonly lockable: boolean;
  readonly popsFirst: boolean;
  readonly offsetOnly: boolean;
  /** `repeatable` or `addressPrefixes`. */
  readonly takesStringPrefixes: boolean;
  /** Some operand or the instruction itself follows the operand size. */
  readonly variableSize: boolean;
  /** ModRM.mod does not count: the operand is a register (Intel SDM Vol. 2B, "MOV—Move to/from Control Registers"). */
  readonly ignoresMod: boolean;
  /** May ModRM name a register, may it name memory. */
  readonly allowsRegister: boolean;
  readonly allowsMemory: boolean;
}

const HEX = /^[0-9A-Fa-f]{2}$/;
const PREFIX_TOKENS: Readonly<Record<string, number>> = {
  NP: PREFIX_NONE,
  NFx: PREFIX_NONE | PREFIX_66,
  "66": PREFIX_66,
  F3: PREFIX_F3,
  F2: PREFIX_F2,
};
const VEX = /^VEX\.(128|256|LZ|LIG)(?:\.(66|F3|F2))?\.0F(38|3A)?\.(W0|W1|WIG|W)$/;

/** Takes a VEX prefix of the opcode column apart; undefined for other tokens. */
function parseVex(token: string) {
  // Most have none, and this runs for every form at every start.
  const match = token.startsWith("VEX") ? VEX.exec(token) : null;
  if (match === null) return undefined;
  const [, length, prefix = "NP", map, w] = match;
  return {
    length: length === "LIG" ? (-1 as const) : length === "256" ? (1 as const) : (0 as const),
    prefixes: PREFIX_TOKENS[prefix]!,
    map: (map === "38" ? 2 : map === "3A" ? 3 : 1) as OpcodeMap,
    w: w === "WIG" || w === "W" ? undefined : w === "W1",
  };
}

function compile(instruction: Instruction, form: Form, number: number): CompiledForm {
  const tokens = form.opcode.split(" ").filter(Boolean);
  let prefixes = PREFIX_ANY;
  let mandatory66 = false;
  const prefix = PREFIX_TOKENS[tokens[0]!];
  if (tokens.length > 1 && prefix !== undefined && (tokens[1] === "0F" || tokens[1] === "90")) {
    mandatory66 = tokens.shift() === "66";
    prefixes = prefix;
  }
  let map: OpcodeMap = 0;
  const vexPrefix = parseVex(tokens[0]!);
  if (vexPrefix !== undefined) {
    tokens.shift();
    ({ map, prefixes } = vexPrefix);
  } else if (tokens[0] === "0F") {
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
    vex: vexPrefix && {
      length: vexPrefix.length,
      w: vexPrefix.w,
      usesVvvv: operands.some((o) => o.source === "vvvv"),
    },
    vsib: operands.some((o) => o.source === "index"),
    prefixes,
    mandatory66,
    hasModRM,
    digit,
    fixedModRM,
    modRMMask,
    operands,
    hasMoffs: operands.some((o) => o.source === "moffs"),
    not64: form.not64 === true,
    only64: form.only64 === true,
    rexW: form.rexW,
    rexB: form.rexB,
    size: form.size,
    force64: form.force64 === true,
    default64: form.default64 === true,
    lockable: form.lockable === true,
    popsFirst: form.popsFirst === true,
    offsetOnly: form.offsetOnly === true,
    takesStringPrefixes: form.repeatable === true || form.addressPrefixes === true,
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

/** Forms by map * 256 + opcode byte; those with a VEX prefix from VEX_FORMS on. */
export type OpcodeIndex = readonly (readonly CompiledForm[])[];

export const VEX_FORMS = 1024;

function buildOpcodeIndex(forms: readonly CompiledForm[]): OpcodeIndex {
  const index: CompiledForm[][] = Array.from({ length: 2 * VEX_FORMS }, () => []);
  for (const form of forms) {
    const inOpcode = form.operands.some((o) => o.source === "opcode");
    const first = (form.vex ? VEX_FORMS : 0) + form.map * 256 + form.opcode;
    for (let i = 0; i < (inOpcode ? 8 : 1); i++) index[first + i]!.push(form);
  }
  // More particular forms first: a fixed ModRM byte, then a digit, then a mandatory prefix.
  const particular = (f: CompiledForm) =>
    (f.fixedModRM >= 0 ? (f.modRMMask === 0xff ? 8 : 4) : 0) +
    (f.digit >= 0 ? 2 : 0) +
    (f.prefixes !== PREFIX_ANY ? 1 : 0);
  for (const candidates of index) candidates.sort((a, b) => particular(b) - particular(a));
  return index;
}

let allByOpcode: OpcodeIndex | undefined;

/** Every form. */
export function formsByOpcode(): OpcodeIndex {
  allByOpcode ??= buildOpcodeIndex(FORMS);
  return allByOpcode;
}

/** The forms that a processor with the given extensions has. */
export function formsWithin(available: ReadonlySet<IsaFeature>): OpcodeIndex {
  const isThere = ({ instruction, form }: CompiledForm): boolean =>
    [...instruction.features, ...(form.features ?? [])].every((name) => available.has(name));
  return buildOpcodeIndex(FORMS.filter(isThere));
}
