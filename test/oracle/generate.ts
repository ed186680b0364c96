import type { Instruction } from "../../src/isa/instruction.ts";
import { BatchBuilder, CaseDraft } from "./batch.ts";
import { CaseEncoder } from "./case-encoder.ts";
import { randomImages, randomMemory } from "./corner-values.ts";
import { type EncodingShape, encodingShape } from "./encoding-shape.ts";
import { exclusion } from "./exclusions.ts";
import { IMAGE_BYTES } from "./protocol.ts";
import { Random } from "./random.ts";
import { ToleranceCollector } from "./tolerance.ts";

/** Instructions of the longest case. */
export const MAX_INSTRUCTIONS = 24;
/** Up to so many instructions, nothing is done so that a case comes to its end. */
const MAX_SHORT_INSTRUCTIONS = 4;
/** Of a hundred cases so many are short ones when long ones are wanted. */
const SHORT_PERCENT = 30;
const IMAGES_PER_BATCH = 96;
/** What a batch of so many cases takes at most, and some more. */
const BYTES_PER_CASE = 900;
const X87_MASKS = 0x3f;
const MXCSR_MASKS = 0x1f80;

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
  /** Bit i of a case's word: a branch may skip instruction i. */
  readonly skippable: Uint32Array;
  /** Tolerance of each case, packed. */
  readonly tolerances: Int32Array;
}

export interface GeneratorOptions {
  readonly seed: number;
  /** Only these mnemonics. */
  readonly mnemonics?: readonly string[];
  /** 4 unless told; with more, up to `MAX_INSTRUCTIONS`, most cases are long ones whose instructions rarely fault. */
  readonly maxInstructions?: number;
  /** Each sequence of instructions makes so many cases, which differ in data and are neighbours; 1 unless told. */
  readonly variants?: number;
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
  readonly #variants: number;
  /** Images of the present batch with all floating-point exceptions masked. */
  #quietImages: readonly number[] = [];

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
    this.#maxInstructions = options.maxInstructions ?? MAX_SHORT_INSTRUCTIONS;
    if (!(this.#maxInstructions >= 1 && this.#maxInstructions <= MAX_INSTRUCTIONS))
      throw new RangeError(
        `a case has 1 to ${MAX_INSTRUCTIONS} instructions, not ${options.maxInstructions}`,
      );
    this.#variants = options.variants ?? 1;
  }

  batch(count: number): GeneratedBatch {
    const images = randomImages(this.#random, IMAGES_PER_BATCH);
    this.#quietImages = quietImages(images);
    const builder = new BatchBuilder(randomMemory(this.#random), images, (count + 200) * BYTES_PER_CASE);
    const forms = new Uint16Array(MAX_INSTRUCTIONS * count).fill(0xffff);
    const starts = new Uint8Array(MAX_INSTRUCTIONS * count);
    const skippable = new Uint32Array(count);
    const tolerances = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const at = MAX_INSTRUCTIONS * i;
      if (i % this.#variants === 0) {
        tolerances[i] = this.#generate(forms, starts, skippable, i);
      } else {
        this.#redraw();
        forms.copyWithin(at, at - MAX_INSTRUCTIONS, at);
        starts.copyWithin(at, at - MAX_INSTRUCTIONS, at);
        skippable[i] = skippable[i - 1]!;
        tolerances[i] = tolerances[i - 1]!;
      }
      if (!builder.add(this.#draft)) throw new Error(`${count} cases do not fit their buffer`);
    }
    return { bytes: builder.finish(), count, offsets: builder.offsets, forms, starts, skippable, tolerances };
  }

  /** Makes one case in the draft. Returns its tolerance, packed. */
  #generate(forms: Uint16Array, starts: Uint8Array, skippable: Uint32Array, index: number): number {
    const random = this.#random;
    const long = this.#maxInstructions > MAX_SHORT_INSTRUCTIONS && !random.chance(SHORT_PERCENT);
    const wanted = long
      ? MAX_SHORT_INSTRUCTIONS + 1 + random.below(this.#maxInstructions - MAX_SHORT_INSTRUCTIONS)
      : Math.min(this.#maxInstructions, random.pick([1, 1, 1, 1, 2, 2, 3, 4]));
    const encoder = this.#encoder;
    encoder.begin(wanted, long);
    this.#chooseImage(long);
    const tolerance = new ToleranceCollector();
    const at = MAX_INSTRUCTIONS * index;
    let pointersSet = false;
    let mxcsrLoaded = false;
    for (
      let tries = 0;
      encoder.starts.length < wanted && encoder.hasRoom && tries < 40 + 4 * wanted;
      tries++
    ) {
      const shape = random.pick(this.shapes);
      // Forms that 64-bit code lacks all do the same there: #UD.
      if (shape.form.not64 === true && !random.chance(5)) continue;
      // And so do privileged ones: #GP.
      if (shape.privileged && !random.chance(20)) continue;
      // AMD's FXSAVE stores 0 for FOP, FIP and FDP where Intel's stores what the last x87 instruction left.
      if (shape.savesPointers && pointersSet) continue;
      // AMD's MXCSR has a bit 17, which refuses no load there; it shows at the end unless a second load hides it.
      if (shape.loadsMxcsr && mxcsrLoaded) continue;
      const isSkippable = encoder.isSkippable;
      // What depends on an undefined flag cannot be compared.
      if (tolerance.flags.hides(shape) || !encoder.emit(shape)) continue;
      const number = encoder.starts.length - 1;
      this.uses[shape.index]!++;
      forms[at + number] = shape.index;
      if (isSkippable) skippable[index]! |= 1 << number;
      tolerance.execute(shape, isSkippable);
      pointersSet ||= shape.setsPointers;
      mxcsrLoaded ||= shape.loadsMxcsr;
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

  #redraw(): void {
    this.#encoder.redrawData();
    this.#chooseImage(this.#encoder.isQuiet);
  }

  #chooseImage(quiet: boolean): void {
    this.#draft.image = quiet ? this.#random.pick(this.#quietImages) : this.#random.below(IMAGES_PER_BATCH);
  }
}

/** Numbers of the images in which no floating-point exception faults. */
function quietImages(images: Uint8Array): number[] {
  const view = new DataView(images.buffer, images.byteOffset);
  const masked = (image: number) =>
    (~view.getUint16(image * IMAGE_BYTES, true) & X87_MASKS) === 0 &&
    (~view.getUint32(image * IMAGE_BYTES + 24, true) & MXCSR_MASKS) === 0;
  return Array.from({ length: IMAGES_PER_BATCH }, (_, i) => i).filter(masked);
}
