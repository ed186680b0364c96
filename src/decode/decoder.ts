import type { CompiledForm, OpcodeIndex, VexRule } from "./form-table.ts";
import { FORMS_BY_OPCODE, PREFIX_66, PREFIX_F2, PREFIX_F3, PREFIX_NONE, VEX_FORMS } from "./form-table.ts";

/** Code size: what CS.L and CS.D say. */
export type CodeBits = 16 | 32 | 64;

/** More bytes are needed than were given. */
export const DECODE_TRUNCATED = 0;
/** No form matches, or the encoding is illegal: #UD. */
export const DECODE_UNDEFINED = -6;
/** Longer than 15 bytes: #GP(0) (Intel SDM Vol. 2A, "Instruction Format"). */
export const DECODE_TOO_LONG = -13;

export const MAX_INSTRUCTION_BYTES = 15;

/** ModRM names no register in this place. */
export const NO_REGISTER = -1;
/** The base is the address of the next instruction. */
export const BASE_RIP = 16;

/**
 * One decoded instruction. The decoder fills one object again and again;
 * take what is needed out of it before the next call.
 */
export class DecodedInstruction {
  form!: CompiledForm;
  length = 0;
  operandBits = 32;
  addressBits = 32;
  lock = false;
  /** 0 none, 1 F3, 2 F2 */
  repeat = 0;
  rex = 0;
  /** Segment override 0..5, or -1. */
  segmentOverride = -1;
  hasModRM = false;
  mod = 3;
  /** ModRM.reg without REX.R */
  digit = 0;
  reg = 0;
  rm = 0;
  /** Register in the opcode's low bits, with REX.B */
  opcodeRegister = 0;
  /** Has a VEX prefix; `rex` then has its W, R, X and B. */
  vex = false;
  /** VEX.vvvv and VEX.L. */
  vvvv = 0;
  vexLength = 0;
  isMemory = false;
  base = NO_REGISTER;
  index = NO_REGISTER;
  scale = 0;
  displacement = 0;
  displacementBytes = 0;
  /** Segment of the memory operand, 0..5. */
  segment = 3;
  /** The first immediate, sign-extended to 64 bits, as two halves. */
  immediateLow = 0;
  immediateHigh = 0;
  immediate2 = 0;
  opcode = 0;

  /** The first immediate as a signed number of 64 bits. */
  get immediate(): bigint {
    return (BigInt(this.immediateHigh) << 32n) | BigInt(this.immediateLow >>> 0);
  }
}

function anyHasModRM(forms: readonly CompiledForm[]): boolean {
  for (let i = 0; i < forms.length; i++) if (forms[i]!.hasModRM) return true;
  return false;
}

const SEGMENT_PREFIXES: Record<number, number> = { 0x26: 0, 0x2e: 1, 0x36: 2, 0x3e: 3, 0x64: 4, 0x65: 5 };
/** VEX.pp as the prefix it stands for. */
const VEX_PREFIXES = [PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2];
// 16-bit addressing (Intel SDM Vol. 2A, table 2-1): base and index by ModRM.rm.
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** Decodes instructions of one code size; see `decode`. */
export class Decoder {
  readonly result = new DecodedInstruction();
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #truncated = false;
  #code64 = false;
  readonly #forms: OpcodeIndex;

  /** @param forms What can be decoded: everything unless said otherwise. */
  constructor(forms: OpcodeIndex = FORMS_BY_OPCODE) {
    this.#forms = forms;
  }

  /**
   * Decodes the instruction at `bytes[at]`, looking at no byte at or behind `end`.
   *
   * @returns Its length, 1..15, with the rest in `result`; or DECODE_TRUNCATED,
   *   DECODE_UNDEFINED or DECODE_TOO_LONG.
   */
  decode(bytes: Uint8Array, at: number, end: number, codeBits: CodeBits): number {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = Math.min(end, at + MAX_INSTRUCTION_BYTES);
    this.#truncated = false;
    this.#code64 = codeBits === 64;
    const outcome = this.#decode(codeBits);
    if (this.#truncated) return end >= at + MAX_INSTRUCTION_BYTES ? DECODE_TOO_LONG : DECODE_TRUNCATED;
    if (outcome < 0) return outcome;
    this.result.length = this.#at - at;
    return this.result.length;
  }

  #byte(): number {
    if (this.#at >= this.#end) {
      this.#truncated = true;
      return 0;
    }
    return this.#bytes[this.#at++]!;
  }

  #decode(codeBits: CodeBits): number {
    const r = this.result;
    let operandPrefix = false;
    let addressPrefix = false;
    r.lock = false;
    r.repeat = 0;
    r.rex = 0;
    r.vex = false;
    r.segmentOverride = -1;
    let opcode: number;
    for (;;) {
      opcode = this.#byte();
      if (this.#truncated) return 0;
      if (opcode === 0x66) operandPrefix = true;
      else if (opcode === 0x67) addressPrefix = true;
      else if (opcode === 0xf0) r.lock = true;
      else if (opcode === 0xf3) r.repeat = 1;
      else if (opcode === 0xf2) r.repeat = 2;
      else if (opcode === 0x64 || opcode === 0x65) r.segmentOverride = SEGMENT_PREFIXES[opcode]!;
      else if ((opcode & 0xe7) === 0x26) {
        // ES, CS, SS and DS overrides do nothing in 64-bit code.
        if (codeBits !== 64) r.segmentOverride = SEGMENT_PREFIXES[opcode]!;
      } else if (codeBits === 64 && (opcode & 0xf0) === 0x40) {
        r.rex = opcode;
        continue;
      } else break;
      // A REX prefix counts only directly before the opcode.
      r.rex = 0;
    }
    let map = 0;
    let refused = false;
    let prefix =
      r.repeat === 1 ? PREFIX_F3 : r.repeat === 2 ? PREFIX_F2 : operandPrefix ? PREFIX_66 : PREFIX_NONE;
    if ((opcode === 0xc4 || opcode === 0xc5) && this.#startsVex()) {
      // Illegal before VEX, but the whole instruction is fetched.
      refused = prefix !== PREFIX_NONE || r.lock || r.rex !== 0;
      const pp = this.#vexPrefix(opcode === 0xc4);
      if (this.#truncated) return 0;
      map = this.#vexMap;
      if (map === 0 || map > 3) return DECODE_UNDEFINED;
      map += VEX_FORMS / 256;
      prefix = VEX_PREFIXES[pp]!;
      opcode = this.#byte();
    } else if (opcode === 0x0f) {
      opcode = this.#byte();
      map = 1;
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? 2 : 3;
        opcode = this.#byte();
      }
    }
    if (this.#truncated) return 0;
    r.opcode = opcode;
    const rex = r.rex;
    const candidates = this.#forms[map * 256 + opcode]!;
    if (candidates.length === 0) return DECODE_UNDEFINED;

    let modRM = 0;
    r.hasModRM = anyHasModRM(candidates);
    if (r.hasModRM) {
      if (this.#at >= this.#end) {
        this.#truncated = true;
        return 0;
      }
      modRM = this.#bytes[this.#at]!;
    }
    const registerForm = modRM >= 0xc0;
    let chosen: CompiledForm | undefined;
    for (let i = 0; i < candidates.length; i++) {
      const form = candidates[i]!;
      if ((form.prefixes & prefix) === 0) continue;
      if (form.digit >= 0 && form.digit !== ((modRM >> 3) & 7)) continue;
      if (form.fixedModRM >= 0 && form.fixedModRM !== (modRM & form.modRMMask)) continue;
      if (form.hasModRM && !(registerForm || form.ignoresMod ? form.allowsRegister : form.allowsMemory))
        continue;
      if (codeBits === 64 ? form.not64 : form.only64) continue;
      if (form.rexW !== undefined && form.rexW !== ((rex & 8) !== 0)) continue;
      if (form.rexB !== undefined && form.rexB !== ((rex & 1) !== 0)) continue;
      if (form.vex !== undefined && !this.#matchesVex(form.vex)) continue;
      chosen = form;
      break;
    }
    if (chosen === undefined) return DECODE_UNDEFINED;
    r.form = chosen;
    if (codeBits !== 64) r.vvvv &= 7;
    r.addressBits =
      codeBits === 64 ? (addressPrefix ? 32 : 64) : (codeBits === 32) !== addressPrefix ? 32 : 16;
    const flipped = operandPrefix && !chosen.mandatory66;
    if (chosen.size !== undefined) r.operandBits = chosen.size;
    else if (r.vex) r.operandBits = codeBits === 64 && (rex & 8) !== 0 ? 64 : 32;
    else if (codeBits === 64 && (chosen.force64 || (rex & 8) !== 0)) r.operandBits = 64;
    else if (codeBits === 64 && chosen.default64) r.operandBits = flipped ? 16 : 64;
    else r.operandBits = (codeBits === 16) !== flipped ? 16 : 32;
    r.opcodeRegister = (opcode & 7) | ((rex & 1) << 3);
    r.isMemory = false;
    r.mod = 3;
    r.displacement = 0;
    r.displacementBytes = 0;
    r.base = NO_REGISTER;
    r.index = NO_REGISTER;
    r.scale = 0;
    r.segment = r.segmentOverride >= 0 ? r.segmentOverride : 3;
    if (chosen.hasModRM) {
      this.#at++;
      r.mod = chosen.ignoresMod ? 3 : modRM >> 6;
      r.digit = (modRM >> 3) & 7;
      r.reg = r.digit | ((rex & 4) << 1);
      r.rm = (modRM & 7) | ((rex & 1) << 3);
      if (r.mod !== 3) {
        // Vectors of indices need a SIB byte.
        if (chosen.vsib && ((modRM & 7) !== 4 || r.addressBits === 16)) return DECODE_UNDEFINED;
        this.#memoryOperand(modRM, rex, chosen.vsib);
        // Destination, indices and mask are three registers (Intel SDM Vol. 2A, "Exception Type 12").
        if (chosen.vsib && (r.reg === r.index || r.reg === r.vvvv || r.index === r.vvvv)) refused = true;
      }
    }
    this.#immediates(chosen, codeBits);
    if (this.#truncated) return 0;
    if (refused) return DECODE_UNDEFINED;
    if (r.lock && !(chosen.lockable && r.isMemory)) return DECODE_UNDEFINED;
    return 1;
  }

  /** In 16 and 32-bit code, C4 and C5 are LES and LDS when memory follows. */
  #startsVex(): boolean {
    if (this.#code64) return true;
    if (this.#at < this.#end) return this.#bytes[this.#at]! >= 0xc0;
    this.#truncated = true;
    return false;
  }

  #vexMap = 0;

  /** Takes the bytes behind C4 (`long`) or C5. Returns VEX.pp. */
  #vexPrefix(long: boolean): number {
    const r = this.result;
    let payload = this.#byte();
    // R, X and B are inverted; C5 has R only.
    let rex = ((payload ^ 0x80) & 0x80) >> 5;
    this.#vexMap = 1;
    if (long) {
      rex = ((payload ^ 0xe0) & 0xe0) >> 5;
      this.#vexMap = payload & 31;
      payload = this.#byte();
      rex |= (payload & 0x80) >> 4;
    }
    // Outside of 64-bit code there are eight registers.
    r.rex = 0x40 | (this.#code64 ? rex : rex & 8);
    r.vvvv = (~payload >> 3) & 15;
    r.vexLength = (payload >> 2) & 1;
    r.vex = true;
    return payload & 3;
  }

  #matchesVex({ length, w, usesVvvv }: VexRule): boolean {
    const r = this.result;
    if (length >= 0 && length !== r.vexLength) return false;
    if (w !== undefined && w !== ((r.rex & 8) !== 0)) return false;
    return usesVvvv || r.vvvv === 0;
  }

  #memoryOperand(modRM: number, rex: number, vsib: boolean): void {
    const r = this.result;
    r.isMemory = true;
    const rm = modRM & 7;
    let displacementBytes = r.mod === 1 ? 1 : 0;
    if (r.addressBits === 16) {
      if (r.mod === 2 || (r.mod === 0 && rm === 6)) displacementBytes = 2;
      if (!(r.mod === 0 && rm === 6)) {
        r.base = BASE_16[rm]!;
        r.index = INDEX_16[rm]!;
      }
    } else {
      if (r.mod === 2) displacementBytes = 4;
      if (rm === 4) {
        const sib = this.#byte();
        const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (index !== 4 || vsib) {
          r.index = index;
          r.scale = sib >> 6;
        }
        if ((sib & 7) === 5 && r.mod === 0) displacementBytes = 4;
        else r.base = (sib & 7) | ((rex & 1) << 3);
      } else if (rm === 5 && r.mod === 0) {
        displacementBytes = 4;
        // RIP-relative in 64-bit code; the caller knows by BASE_RIP.
        if (this.#code64) r.base = BASE_RIP;
      } else r.base = rm | ((rex & 1) << 3);
    }
    if (displacementBytes === 1) r.displacement = (this.#byte() << 24) >> 24;
    else if (displacementBytes === 2) r.displacement = (this.#unsigned(2) << 16) >> 16;
    else if (displacementBytes === 4) r.displacement = this.#unsigned(4) | 0;
    r.displacementBytes = displacementBytes;
    // RSP and RBP (without REX.B: encodings 4 and 5) as base imply SS.
    if (r.segmentOverride < 0 && (r.base === 4 || r.base === 5)) r.segment = 2;
  }

  #unsigned(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.#byte() << (8 * i);
    return value >>> 0;
  }

  /** Takes the first immediate of so many bytes. */
  #signedImmediate(bytes: number): void {
    const r = this.result;
    if (bytes === 8) {
      r.immediateLow = this.#unsigned(4) | 0;
      r.immediateHigh = this.#unsigned(4) | 0;
      return;
    }
    const shift = 32 - 8 * bytes;
    r.immediateLow = (this.#unsigned(bytes) << shift) >> shift;
    r.immediateHigh = r.immediateLow >> 31;
  }

  #unsignedImmediate(bytes: number): void {
    this.result.immediateLow = this.#unsigned(bytes) | 0;
    this.result.immediateHigh = 0;
  }

  #immediates(chosen: CompiledForm, codeBits: CodeBits): void {
    const r = this.result;
    let first = true;
    r.immediateLow = 0;
    r.immediateHigh = 0;
    r.immediate2 = 0;
    const { operands } = chosen;
    for (let i = 0; i < operands.length; i++) {
      const operand = operands[i]!;
      if (operand.source === "one") {
        r.immediateLow = 1;
        first = false;
      } else if (operand.source === "moffs") {
        r.isMemory = true;
        const bytes = r.addressBits / 8;
        if (bytes === 8) this.#signedImmediate(8);
        else this.#unsignedImmediate(bytes);
      } else if (operand.source === "rdi") {
        r.isMemory = true;
        r.base = 7;
      } else if (operand.encodedBytes !== 0) {
        const z = operand.encodedBytes === "z";
        const v = operand.encodedBytes === "v";
        // A near branch takes 4 bytes in 64-bit code.
        const bytes = z
          ? operand.class === "relative" && codeBits === 64
            ? 4
            : r.operandBits === 16
              ? 2
              : 4
          : v
            ? r.operandBits / 8
            : (operand.encodedBytes as number);
        if (operand.source === "is4" && codeBits !== 64) r.immediateLow = this.#byte() & 0x7f;
        else if (operand.source === "farOffset") {
          this.#unsignedImmediate(bytes);
          first = false;
        } else if (operand.source === "farSelector") r.immediate2 = this.#unsigned(2);
        else if (first) {
          this.#signedImmediate(bytes);
          first = false;
        } else r.immediate2 = this.#unsigned(bytes);
      }
    }
  }
}
