import type { DecodedInstruction } from "../decode/decoder.ts";
import { HANDLER, IMMEDIATE, RECORD_BYTES } from "../layout/record.ts";

/** An immediate operand: where it stands in the code and in the records. */
interface Immediate {
  /** Offset from the block's first byte. */
  readonly offset: number;
  readonly bytes: number;
  /** Offset of its record from the block's first record. */
  readonly record: number;
}

/** Views of the one memory. */
export interface TemplateMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
}

/**
 * What a block looked like when it was decoded. Code that a guest rewrites
 * again and again mostly differs in immediate operands only: then its stale
 * records are made good with the new operands, and nothing is decoded.
 */
export class CodeTemplate {
  readonly #code: Uint8Array;
  /** Not 0 where the byte belongs to an immediate operand. */
  readonly #isOperand: Uint8Array;
  readonly #handlers: Uint16Array;
  readonly #immediates: readonly Immediate[];

  constructor(
    code: Uint8Array,
    isOperand: Uint8Array,
    handlers: Uint16Array,
    immediates: readonly Immediate[],
  ) {
    this.#code = code;
    this.#isOperand = isOperand;
    this.#handlers = handlers;
    this.#immediates = immediates;
  }

  /** Makes the records right for the code at `codeAt`. False, with nothing changed, if more than operands has changed. */
  restore(memory: TemplateMemory, codeAt: number, records: number): boolean {
    const code = this.#code;
    const isOperand = this.#isOperand;
    const { u8, u16, i32 } = memory;
    for (let i = 0; i < code.length; i++) if (code[i] !== u8[codeAt + i] && isOperand[i] === 0) return false;
    for (const { offset, bytes, record } of this.#immediates) {
      const to = (records + record + IMMEDIATE) >> 2;
      const low = signed(u8, codeAt + offset, Math.min(bytes, 4));
      i32[to] = low;
      i32[to + 1] = bytes === 8 ? signed(u8, codeAt + offset + 4, 4) : low >> 31;
    }
    const handlers = this.#handlers;
    for (let i = 0; i < handlers.length; i++) u16[(records + i * RECORD_BYTES + HANDLER) >> 1] = handlers[i]!;
    return true;
  }
}

/** Little-endian, 1, 2 or 4 bytes. */
function signed(u8: Uint8Array, at: number, bytes: number): number {
  if (bytes === 1) return (u8[at]! << 24) >> 24;
  const low = u8[at]! | (u8[at + 1]! << 8);
  return bytes === 2 ? (low << 16) >> 16 : low | (u8[at + 2]! << 16) | (u8[at + 3]! << 24);
}

/** Gathers a template while its block is decoded. */
export class TemplateBuilder {
  readonly #immediates: Immediate[] = [];

  /** @param end Offset behind the instruction, from the block's first byte; `record`, likewise, its record. */
  add(d: DecodedInstruction, end: number, record: number): void {
    const bytes = immediateBytes(d);
    if (bytes > 0) this.#immediates.push({ offset: end - bytes, bytes, record });
  }

  finish(
    memory: TemplateMemory,
    codeAt: number,
    codeBytes: number,
    records: number,
    count: number,
  ): CodeTemplate {
    const isOperand = new Uint8Array(codeBytes);
    for (const { offset, bytes } of this.#immediates) isOperand.fill(1, offset, offset + bytes);
    const handlers = new Uint16Array(count);
    for (let i = 0; i < count; i++) handlers[i] = memory.u16[(records + i * RECORD_BYTES + HANDLER) >> 1]!;
    return new CodeTemplate(
      memory.u8.slice(codeAt, codeAt + codeBytes),
      isOperand,
      handlers,
      this.#immediates,
    );
  }
}

/** Length of the instruction's only immediate operand, which then is its last bytes; 0 when it has none, or more. */
function immediateBytes(d: DecodedInstruction): number {
  let found = 0;
  for (const { source, encodedBytes } of d.form.operands) {
    if (encodedBytes === 0) continue;
    if (source !== "immediate" || found !== 0) return 0;
    found =
      encodedBytes === "z"
        ? d.operandBits === 16
          ? 2
          : 4
        : encodedBytes === "v"
          ? d.operandBits / 8
          : encodedBytes;
  }
  return found;
}
