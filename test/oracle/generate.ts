import type { Instruction } from "../../src/isa/instruction.ts";
import { BatchBuilder, CaseDraft } from "./batch.ts";
import { CaseEncoder } from "./case-encoder.ts";
import { randomImages, randomMemory } from "./corner-values.ts";
import { type EncodingShape, encodingShape } from "./encoding-shape.ts";
import { exclusion } from "./exclusions.ts";
import { Random } from "./random.ts";
import { ToleranceCollector } from "./tolerance.ts";

export const MAX_INSTRUCTIONS = 4;
const IMAGES_PER_BATCH = 96;
/** What a batch of so many cases takes at most, and some more. */
const BYTES_PER_CASE = 600;

/** A batch of cases and what a comparison needs to know of each. */
export interface GeneratedBatch {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Byte offset of each case. */
  readonly offsets: readonly number[];
  /** `MAX_INSTRUCTIONS` form numbers a case; 0xffff where it has fewer. */
  readonly forms: Uint16Array;
  /** Start of each of these instructions in the case's code. */
  readonly starts: Uint8Array;
  /** Tolerance of each case, packed. */
  readonly tolerances: Int32Array;
}

export interface GeneratorOptions {
  readonly seed: number;
  /** Only these mnemonics. */
  readonly mnemonics?: readonly string[];
  readonly maxInstructions?: number;
  /** Cases that compress well, to be recorded. */
  readonly economical?: boolean;
}

/** Makes batches of random cases from an instruction table. The same options and table give the same cases. */
export class Generator {
  readonly shapes: readonly EncodingShape[];
  readonly excluded: readonly { readonly form: string; readonly reason: string }[];
  /** How often each form was encoded. */
  readonly uses: Uint32Array;
  readonly #random: Random;
  readonly #draft = new CaseDraft();
  readonly #encoder: CaseEncoder;
  readonly #maxInstructions: number;

  constructor(table: readonly Instruction[], options: GeneratorOptions) {
    const shapes: EncodingShape[] = [];
    const excluded: { form: string; reason: string }[] = [];
    for (const instruction of table) {
      if (options.mnemonics !== undefined && !options.mnemonics.includes(instruction.mnemonic)) continue;
      for (const form of instruction.forms) {
        const shape = encodingShape(shapes.length, instruction, form);
        const reason = exclusion(instruction, form);
        if (reason === undefined) shapes.push(shape);
        else excluded.push({ form: shape.text, reason });
      }
    }
    if (shapes.length === 0)
      throw new RangeError(`no form to test: ${options.mnemonics?.join(", ") ?? "the table is empty"}`);
    this.shapes = shapes;
    this.excluded = excluded;
    this.uses = new Uint32Array(shapes.length);
    this.#random = new Random(options.seed);
    this.#encoder = new CaseEncoder(this.#random, this.#draft, options.economical ?? false);
    this.#maxInstructions = options.maxInstructions ?? MAX_INSTRUCTIONS;
  }

  batch(count: number): GeneratedBatch {
    const builder = new BatchBuilder(
      randomMemory(this.#random),
      randomImages(this.#random, IMAGES_PER_BATCH),
      (count + 200) * BYTES_PER_CASE,
    );
    const forms = new Uint16Array(MAX_INSTRUCTIONS * count).fill(0xffff);
    const starts = new Uint8Array(MAX_INSTRUCTIONS * count);
    const tolerances = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      tolerances[i] = this.#generate(forms, starts, MAX_INSTRUCTIONS * i);
      if (!builder.add(this.#draft)) throw new Error(`${count} cases do not fit their buffer`);
    }
    return {
      bytes: builder.finish(),
      count,
      offsets: builder.offsets,
      forms,
      starts,
      tolerances,
    };
  }

  /** Makes one case in the draft. Returns its tolerance, packed. */
  #generate(forms: Uint16Array, starts: Uint8Array, at: number): number {
    const random = this.#random;
    const wanted = Math.min(this.#maxInstructions, random.pick([1, 1, 1, 1, 2, 2, 3, 4]));
    const encoder = this.#encoder;
    encoder.begin(wanted);
    this.#draft.image = random.below(IMAGES_PER_BATCH);
    const tolerance = new ToleranceCollector();
    let pointersSet = false;
    for (let tries = 0; encoder.starts.length < wanted && tries < 40; tries++) {
      const shape = random.pick(this.shapes);
      // What depends on an undefined flag cannot be compared.
      // Forms that 64-bit code lacks all do the same there: #UD.
      if (shape.form.not64 === true && !random.chance(5)) continue;
      // And so do privileged ones: #GP.
      if (shape.privileged && !random.chance(20)) continue;
      // AMD's FXSAVE stores 0 for FOP, FIP and FDP where Intel's stores what the last x87 instruction left.
      if (shape.savesPointers && pointersSet) continue;
      if (tolerance.flags.hides(shape) || !encoder.emit(shape)) continue;
      this.uses[shape.index]!++;
      forms[at + encoder.starts.length - 1] = shape.index;
      tolerance.execute(shape);
      pointersSet ||= shape.setsPointers;
      // Whatever used an approximation would differ by more than that.
      if (shape.approximate) break;
      // And so would what has read the MXCSR_MASK that FXSAVE stored.
      if (shape.savesPointers) break;
    }
    encoder.end();
    encoder.starts.forEach((start, i) => {
      starts[at + i] = start;
    });
    return tolerance.packed;
  }
}
