import * as cpu from "../layout/cpu-state.ts";
import * as record from "../layout/record.ts";
import { BASE_RIP, type CodeBits, type DecodedInstruction, NO_REGISTER } from "./decoder.ts";
import type { OperandSource } from "./operand-spec.ts";
import type { HandlerShape, OperandShape, RegisterSlot } from "./shape.ts";

// Pseudo-records, which stand for no instruction of the guest. Their handler numbers are the engine's lowest.
/** Leaves by RIP; what a write over decoded code turns records into. */
export const HANDLER_STALE = 0;
/** Goes on at the page offset of NEXT_OFFSET: the end of a block by length. */
export const HANDLER_CONTINUE = 1;
/** Raises #UD. */
export const HANDLER_UNDEFINED = 2;
/** Raises #GP(0): an instruction longer than 15 bytes. */
export const HANDLER_TOO_LONG = 3;
/** The instruction lies on two pages: looks for the record by RIP, which is none of this page's alone. */
export const HANDLER_CROSSING = 4;
/** Computes EFFECTIVE_ADDRESS for the record behind it: address size 32 in 64-bit code. */
export const HANDLER_ADDRESS_32 = 5;
/** The same with a 64-bit absolute offset in IMMEDIATE. */
export const HANDLER_ADDRESS_ABSOLUTE = 6;
/** The same in 16 and 32-bit code, with limit checks. REG_C: bytes * 2 + (write ? 1 : 0); REG_A: segment index; REG_B: address bits. */
export const HANDLER_ADDRESS_SEGMENTED = 7;
/** The same without a segment: LEA in 16 and 32-bit code. */
export const HANDLER_ADDRESS_OFFSET = 8;
/** Leaves with EXIT_BUDGET; stands behind a single-stepped instruction. */
export const HANDLER_STOP = 9;
/** Goes on at the record in LINK: a stale record whose code has been decoded anew. */
export const HANDLER_FORWARD = record.HANDLER_FORWARD;
/**
 * The same at the end of the page, where the budget is looked at: code without
 * jumps would run to the end of memory otherwise.
 */
export const HANDLER_PAGE_END = 11;
/** Looks at the budget, with RIP exact: stands before an instruction on two pages, so that it does not matter how that is reached. */
export const HANDLER_BUDGET = 12;
export const FIRST_SHAPE_HANDLER = 13;

/** The pseudo-record's handler that goes on at a page offset. */
export function continueHandler(offset: number): number {
  return offset >= 4096 ? HANDLER_PAGE_END : HANDLER_CONTINUE;
}

/** What a memory operand's access needs to know for limit checks. */
export interface MemoryUse {
  readonly bytes: number;
  readonly write: boolean;
}

export function memoryUse(shape: HandlerShape): MemoryUse {
  for (const [i, operand] of shape.operands.entries()) {
    if (operand.kind === "memory" || operand.kind === "vectorMemory") {
      return { bytes: operand.bits / 8, write: shape.instruction.access[i] !== "r" };
    }
  }
  return { bytes: 1, write: false };
}

/** Writes records into the one memory. */
export class RecordWriter {
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;

  constructor(buffer: ArrayBufferLike) {
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i32 = new Int32Array(buffer);
  }

  /** A record without operands. */
  writePseudo(
    at: number,
    handler: number,
    nextOffset: number,
    length: number,
    index: number,
    flags = 0,
  ): void {
    const words = this.#i32;
    for (let word = at >> 2; word < (at + record.RECORD_BYTES) >> 2; word++) words[word] = 0;
    this.#u16[(at + record.HANDLER) >> 1] = handler;
    this.#u16[(at + record.NEXT_OFFSET) >> 1] = nextOffset;
    this.#u8[at + record.LENGTH] = length;
    this.#u8[at + record.INDEX] = index;
    this.#u8[at + record.FLAGS] = flags;
    this.#u16[(at + record.BASE) >> 1] = cpu.ZERO;
    this.#u16[(at + record.INDEX_REG) >> 1] = cpu.ZERO;
    this.#u16[(at + record.SEGMENT_SLOT) >> 1] = cpu.ZERO;
  }

  /** Makes the first record of a stale block lead to the block's successor. */
  forward(at: number, to: number): void {
    this.setHandler(at, HANDLER_FORWARD);
    this.#i32[(at + record.LINK) >> 2] = to;
  }

  setHandler(at: number, handler: number): void {
    this.#u16[(at + record.HANDLER) >> 1] = handler;
  }

  /** The code that a record was made from has changed. */
  makeStale(at: number): void {
    this.setHandler(at, HANDLER_STALE);
    this.#u8[at + record.FLAGS]! &= ~record.RECORD_FLAG_REGION;
  }

  /** How many records an instruction takes: 2 when its address needs one of its own. */
  recordsFor(d: DecodedInstruction, codeBits: CodeBits): 1 | 2 {
    return d.isMemory && (codeBits !== 64 || d.addressBits !== 64 || needsAbsolute(d)) ? 2 : 1;
  }

  /**
   * Writes the records of an instruction at `at`.
   *
   * @param nextOffset Offset of the next instruction from the start of the page.
   * @param index Instructions of the block before this one.
   * @returns The address behind the last record written.
   */
  write(
    at: number,
    d: DecodedInstruction,
    shape: HandlerShape,
    codeBits: CodeBits,
    nextOffset: number,
    index: number,
  ): number {
    let here = at;
    const separate = this.recordsFor(d, codeBits) === 2;
    if (separate) {
      this.writePseudo(here, this.#addressHandler(d, codeBits), nextOffset, d.length, index);
      this.#writeAddress(here, d, codeBits, nextOffset, shape);
      here += record.RECORD_BYTES;
    }
    this.writePseudo(here, shape.id, nextOffset, d.length, index);
    if (d.isMemory && d.segment === 2) this.#u8[here + record.FLAGS] = record.RECORD_FLAG_STACK;
    if (separate) this.#u16[(here + record.BASE) >> 1] = cpu.EFFECTIVE_ADDRESS;
    else if (d.isMemory) this.#writeAddress(here, d, codeBits, nextOffset, shape);
    this.#writeOperands(here, d, shape, nextOffset);
    if (d.form.vsib) this.#u8[here + record.SCALE] = d.scale;
    // FOP: the low three bits of the opcode byte and ModRM. Behind it, the operand's segment for FDS.
    if (shape.instruction.unit === "x87") {
      const opcode = ((d.opcode & 7) << 8) | (d.mod << 6) | (d.digit << 3) | (d.rm & 7);
      this.#i32[(here + record.IMMEDIATE) >> 2] = opcode | (d.segment << 16);
    }
    if (d.form.takesStringPrefixes) {
      this.#u16[(here + record.REG_C) >> 1] = stringPrefixes(d.addressBits, d.repeat, d.segment);
    } else if (shape.usesCounter) {
      this.#u16[(here + record.REG_C) >> 1] = stringPrefixes(d.addressBits, 0, 3);
    }
    return here + record.RECORD_BYTES;
  }

  #addressHandler(d: DecodedInstruction, codeBits: CodeBits): number {
    if (codeBits !== 64) return d.form.offsetOnly ? HANDLER_ADDRESS_OFFSET : HANDLER_ADDRESS_SEGMENTED;
    return needsAbsolute(d) ? HANDLER_ADDRESS_ABSOLUTE : HANDLER_ADDRESS_32;
  }

  #writeAddress(
    at: number,
    d: DecodedInstruction,
    codeBits: CodeBits,
    nextOffset: number,
    shape: HandlerShape,
  ): void {
    let displacement = d.displacement;
    let base = cpu.ZERO;
    // POP computes the address after it has incremented RSP (Intel SDM Vol. 2B, POP).
    if (d.form.popsFirst && d.base === 4) displacement += d.operandBits / 8;
    if (d.base === BASE_RIP) {
      base = cpu.RIP_BASE;
      displacement += nextOffset;
    } else if (d.base !== NO_REGISTER) base = cpu.GPR + 8 * d.base;
    this.#u16[(at + record.BASE) >> 1] = base;
    this.#u16[(at + record.INDEX_REG) >> 1] =
      d.index === NO_REGISTER || d.form.vsib ? cpu.ZERO : cpu.GPR + 8 * d.index;
    this.#u8[at + record.SCALE] = d.scale;
    this.#i32[(at + record.DISPLACEMENT) >> 2] = displacement;
    this.#u16[(at + record.REG_B) >> 1] = d.addressBits;
    if (d.form.offsetOnly) return;
    if (codeBits === 64) {
      if (d.segment >= 4) this.#u16[(at + record.SEGMENT_SLOT) >> 1] = segmentBaseSlot(d.segment);
    } else {
      const use = memoryUse(shape);
      this.#u16[(at + record.REG_A) >> 1] = d.segment;
      this.#u16[(at + record.REG_C) >> 1] = use.bytes * 2 + (use.write ? 1 : 0);
    }
    if (needsAbsolute(d)) this.#setImmediate(at, d);
    else if (d.form.hasMoffs) this.#i32[(at + record.DISPLACEMENT) >> 2] = d.immediateLow;
  }

  #writeOperands(at: number, d: DecodedInstruction, shape: HandlerShape, nextOffset: number): void {
    const specs = d.form.operands;
    for (let i = 0; i < specs.length; i++) {
      const spec = specs[i]!;
      const operand = shape.operands[i]!;
      switch (operand.kind) {
        case "general":
        case "xmm":
        case "ymm":
        case "mm":
        case "number": {
          const encoded = encodedRegister(d, spec.source);
          const n =
            spec.source === "fixed"
              ? spec.register
              : operand.kind === "number"
                ? encoded & spec.register
                : encoded;
          this.#setSlot(at, operand.slot, registerField(operand, n, d.rex, spec.source === "fixed"));
          break;
        }
        case "immediate":
          if (spec.source !== "moffs") this.#setImmediate(at, d);
          break;
        case "immediate2":
          this.#i32[(at + record.DISPLACEMENT) >> 2] = d.immediate2;
          break;
        case "relative": {
          const target = nextOffset + d.immediateLow;
          this.#i32[(at + record.LINK) >> 2] = 0;
          this.#i32[(at + record.TARGET_OFFSET) >> 2] = target;
          if (target >= 0 && target < 4096 && d.operandBits !== 16)
            this.#u8[at + record.FLAGS] = record.RECORD_FLAG_LINKABLE;
          break;
        }
        default:
          break;
      }
    }
  }

  #setImmediate(at: number, d: DecodedInstruction): void {
    this.#i32[(at + record.IMMEDIATE) >> 2] = d.immediateLow;
    this.#i32[(at + record.IMMEDIATE + 4) >> 2] = d.immediateHigh;
  }

  #setSlot(at: number, slot: RegisterSlot, value: number): void {
    this.#u16[(at + SLOT_FIELDS[slot]) >> 1] = value;
  }
}

/** Where a record holds a register; a fourth one takes the place of the immediate, which its instruction has not. */
export const SLOT_FIELDS: Readonly<Record<RegisterSlot, number>> = {
  a: record.REG_A,
  b: record.REG_B,
  c: record.REG_C,
  d: record.IMMEDIATE,
};

/** The number of a register operand. */
export function encodedRegister(d: DecodedInstruction, source: OperandSource): number {
  switch (source) {
    case "reg":
      return d.reg;
    case "opcode":
      return d.opcodeRegister;
    case "vvvv":
      return d.vvvv;
    case "is4":
      return (d.immediateLow >> 4) & 15;
    case "index":
      return d.index;
    default:
      return d.rm;
  }
}

/** A memory operand whose offset is a full 64-bit immediate. */
function needsAbsolute(d: DecodedInstruction): boolean {
  return d.addressBits === 64 && d.form.hasMoffs;
}

/** REG_C of string instructions: address size / 16 in bits 0..2, repetition in 3..4, segment in 5..7. */
export function stringPrefixes(addressBits: number, repeat: number, segment: number): number {
  return (addressBits >> 4) | (repeat << 3) | (segment << 5);
}

function segmentBaseSlot(segment: number): number {
  return cpu.SEGMENTS + cpu.SEGMENT_BYTES * segment + cpu.SEGMENT_EFFECTIVE_BASE;
}

function registerField(operand: OperandShape, n: number, rex: number, fixed: boolean): number {
  switch (operand.kind) {
    case "xmm":
    case "ymm":
      return cpu.XMM + 16 * n;
    case "mm":
      return cpu.X87 + cpu.X87_REGISTER_BYTES * (n & 7);
    case "number":
      return n;
    default:
      // Without REX, byte registers 4..7 are AH, CH, DH and BH.
      if ("bits" in operand && operand.bits === 8 && n >= 4 && n < 8 && rex === 0 && !fixed)
        return cpu.GPR + 8 * (n - 4) + 1;
      return cpu.GPR + 8 * n;
  }
}
