import {
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  Decoder,
  MAX_INSTRUCTION_BYTES,
} from "../decode/decoder.ts";
import type { OpcodeIndex } from "../decode/form-table.ts";
import {
  continueHandler,
  HANDLER_CROSSING,
  HANDLER_TOO_LONG,
  HANDLER_UNDEFINED,
  type RecordWriter,
} from "../decode/record-writer.ts";
import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { type CodeTemplate, TemplateBuilder, type TemplateMemory } from "./code-template.ts";

const MAX_BLOCK_INSTRUCTIONS = 64;
/** A block's records, its address records and the pseudo-record at its end. */
export const MAX_BLOCK_BYTES = (2 * MAX_BLOCK_INSTRUCTIONS + 1) * record.RECORD_BYTES;

/** Chooses fused handlers after a block has been decoded. */
export interface Fusion {
  /** Handler for the shapes at the head of `shapes`, or undefined to leave the first alone. */
  fusedHandler(first: HandlerShape, second: HandlerShape): number | undefined;
}

/** What was written of a block. */
export interface DecodedBlock {
  /** Behind its last record. */
  readonly recordsEnd: number;
  /** Where in the page its code ends. */
  readonly end: number;
  /** What makes the records good again when only operands have changed, if it was asked for and can be had. */
  readonly template: CodeTemplate | undefined;
}

/** Writes the records of guest code: of a block that runs straight on, or of one instruction. */
export class BlockDecoder {
  readonly forms: OpcodeIndex;
  readonly #memory: TemplateMemory;
  readonly #writer: RecordWriter;
  readonly #shapes: ShapeTable;
  readonly #fusion: Fusion;
  readonly #decoder: Decoder;

  /** @param forms What the processor can decode. */
  constructor(
    memory: TemplateMemory,
    writer: RecordWriter,
    shapes: ShapeTable,
    forms: OpcodeIndex,
    fusion: Fusion,
  ) {
    this.forms = forms;
    this.#memory = memory;
    this.#writer = writer;
    this.#shapes = shapes;
    this.#fusion = fusion;
    this.#decoder = new Decoder(forms);
  }

  /** Decodes from `offset` of a guest physical page on, at most MAX_BLOCK_BYTES of records from `first` on. */
  decode(
    page: number,
    offset: number,
    codeBits: CodeBits,
    first: number,
    wantsTemplate: boolean,
  ): DecodedBlock {
    const writer = this.#writer;
    let template = wantsTemplate ? new TemplateBuilder() : undefined;
    const d = this.#decoder.result;
    const pageStart = GUEST_RAM + page * PAGE_BYTES;
    const pageEnd = pageStart + PAGE_BYTES;
    let at = first;
    let here = offset;
    let count = 0;
    let previous = 0;
    let previousShape: HandlerShape | undefined;
    for (;;) {
      if (count === MAX_BLOCK_INSTRUCTIONS || here >= PAGE_BYTES) {
        writer.writePseudo(at, continueHandler(here), here, 0, count);
        at += record.RECORD_BYTES;
        break;
      }
      const length = this.#decoder.decode(this.#memory.u8, pageStart + here, pageEnd, codeBits);
      if (length === DECODE_TRUNCATED) {
        writer.writePseudo(at, HANDLER_CROSSING, here, 0, count);
        at += record.RECORD_BYTES;
        here = PAGE_BYTES;
        template = undefined;
        break;
      }
      if (length < 0) {
        const tooLong = length === DECODE_TOO_LONG;
        writer.writePseudo(at, tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, here, 0, count);
        at += record.RECORD_BYTES;
        here = Math.min(PAGE_BYTES, here + MAX_INSTRUCTION_BYTES);
        template = undefined;
        break;
      }
      here += length;
      const shape = this.#shapes.shapeOf(d.form, d.operandBits, codeBits === 64, d.isMemory);
      const behind = writer.write(at, d, shape, codeBits, here, count);
      const separate = behind - at > record.RECORD_BYTES;
      if (previousShape !== undefined && !separate) {
        const fused = this.#fusion.fusedHandler(previousShape, shape);
        if (fused !== undefined) writer.setHandler(previous, fused);
      }
      previous = behind - record.RECORD_BYTES;
      template?.add(d, here - offset, previous - first);
      previousShape = shape;
      at = behind;
      count++;
      if (shape.instruction.endsBlock) break;
    }
    const records = (at - first) / record.RECORD_BYTES;
    const made = template?.finish(this.#memory, pageStart + offset, here - offset, first, records);
    return { recordsEnd: at, end: here, template: made };
  }

  /** Whether an instruction needs more bytes than the first `available`. */
  isTruncated(bytes: Uint8Array, available: number, codeBits: CodeBits): boolean {
    return this.#decoder.decode(bytes, 0, available, codeBits) === DECODE_TRUNCATED;
  }

  /** Writes a record for the one instruction in `bytes`, and behind it one with the handler `follower`. */
  decodeSingle(
    at: number,
    bytes: Uint8Array,
    offset: number,
    codeBits: CodeBits,
    follower: number,
  ): { recordsEnd: number; end: number } {
    const length = this.#decoder.decode(bytes, 0, bytes.length, codeBits);
    if (length <= 0) {
      const tooLong = length === DECODE_TOO_LONG || length === DECODE_TRUNCATED;
      this.#writer.writePseudo(at, tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, offset, 0, 0);
      return { recordsEnd: at + record.RECORD_BYTES, end: offset + MAX_INSTRUCTION_BYTES };
    }
    const d = this.#decoder.result;
    const shape = this.#shapes.shapeOf(d.form, d.operandBits, codeBits === 64, d.isMemory);
    const end = offset + length;
    const behind = this.#writer.write(at, d, shape, codeBits, end, 0);
    this.#writer.writePseudo(behind, follower, end, 0, 1);
    return { recordsEnd: behind + record.RECORD_BYTES, end };
  }
}
