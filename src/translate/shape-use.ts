import { REGION_FUNCTIONS } from "../cpu/region-functions.ts";
import { SLOT_FIELDS } from "../decode/record-writer.ts";
import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import * as cpu from "../layout/cpu-state.ts";
import * as record from "../layout/record.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";
import { helperType } from "../lower/helper-type.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import { HostPages } from "./host-pages.ts";
import type { RegionInstruction } from "./region-code.ts";
import { isRegisterFree, RegionRecord } from "./region-record.ts";
import { RegionState } from "./region-state.ts";
import { FLAG_WORDS, slotOf } from "./state-slots.ts";
import { StateUse } from "./state-use.ts";

/**
 * Registers that stand for a record's register fields while a shape is tried: no instruction that can be
 * translated names one of them by itself.
 */
const STAND_INS: readonly (readonly [field: number, general: number, vector: number])[] = [
  [record.REG_A, cpu.GPR + 8 * 8, cpu.XMM + 16 * 8],
  [record.REG_B, cpu.GPR + 8 * 9, cpu.XMM + 16 * 9],
  [record.REG_C, cpu.GPR + 8 * 10, cpu.XMM + 16 * 10],
  [SLOT_FIELDS.d, cpu.GPR + 8 * 13, cpu.XMM + 16 * 11],
  [record.BASE, cpu.GPR + 8 * 11, -1],
  [record.INDEX_REG, cpu.GPR + 8 * 12, -1],
];

/** From an XMM register to the upper half of its YMM register. */
const TO_HIGH_HALF = cpu.YMM_HIGH - cpu.XMM;

const NOWHERE = (): void => {};

/** What instructions of one shape use, whichever registers they name. Found out by building one. */
export class ShapeUse {
  /** It needs nothing but registers, memory and helpers that leave registers alone. */
  readonly isTranslatable: boolean;
  readonly #use = new StateUse();
  readonly #helpers = new Set<HelperName>();
  readonly #fieldOf = new Map<number, number>();

  /** @param instruction Some instruction of the shape. */
  constructor(shape: HandlerShape, instruction: RegionInstruction, memory: DataView) {
    const trial = new DataView(new ArrayBuffer(record.RECORD_BYTES));
    for (let i = 0; i < record.RECORD_BYTES; i++) trial.setUint8(i, memory.getUint8(instruction.record + i));
    this.#standIn(shape, trial);
    // ENTER stores several times and loads in between: it cannot begin anew after a part.
    let translatable = shape.instruction.mnemonic !== "enter";
    const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
    const state = new RegionState(b, this.#use, undefined);
    const splitStore = { index: 0, name: "splitStore", type: REGION_FUNCTIONS.splitStore };
    const lookUp = { index: 0, name: "hostAddress", type: REGION_FUNCTIONS.hostAddress };
    const context = new RegionRecord({
      b,
      memory: trial,
      instruction: { ...instruction, record: 0 },
      state,
      pages: new HostPages({
        b,
        numbers: state.numbers,
        tlbBase: () => state.tlbBase,
        lookUp,
        splitStore,
        addendCell: () => undefined,
      }),
      use: this.#use,
      exits: {
        resume: NOWHERE,
        status: NOWHERE,
        jumpToKnown: NOWHERE,
        jumpTo: NOWHERE,
        takeJump: NOWHERE,
        storeBudget: NOWHERE,
        loadBudget: NOWHERE,
      },
      helper: (name) => {
        if (!isRegisterFree(name)) translatable = false;
        this.#helpers.add(name);
        return { index: 0, name, type: helperType(name) };
      },
    });
    const flags = new FlagState(context, new VectorValues(b));
    buildRecord(context, shape, flags);
    flags.flush();
    // Where x87 instructions are not done inline.
    if (shape.instruction.unit === "x87") this.#helpers.add("x87Check");
    const { reads, writes } = shape.instruction.flags;
    if (reads !== undefined || writes !== undefined) {
      for (const word of FLAG_WORDS) this.#use.used.add(word);
      if (writes !== undefined) for (const word of FLAG_WORDS) this.#use.written.add(word);
    }
    this.isTranslatable = translatable;
  }

  #standIn(shape: HandlerShape, trial: DataView): void {
    const operands = shape.operands.filter((o) => "slot" in o);
    for (const [field, general, vector] of STAND_INS) {
      const kind = operands.find((o) => SLOT_FIELDS[o.slot] === field)?.kind;
      const isAddress = vector < 0 && slotOf(trial.getUint16(field, true)) !== undefined;
      const isVector = kind === "xmm" || kind === "ymm";
      const at = isAddress || kind === "general" ? general : isVector ? vector : undefined;
      if (at === undefined) continue;
      trial.setUint16(field, at, true);
      this.#fieldOf.set(at, field);
      if (kind === "ymm") this.#fieldOf.set(at + TO_HIGH_HALF, field);
    }
    // An address without base or index may have either in another instruction of the shape.
    if (!shape.hasMemory) return;
    for (const [field, general, vector] of STAND_INS) {
      if (vector >= 0 || this.#fieldOf.has(general)) continue;
      trial.setUint16(field, general, true);
      this.#fieldOf.set(general, field);
    }
  }

  /** Adds what an instruction of the shape uses. */
  addTo(use: StateUse, helpers: Set<HelperName>, memory: DataView, instruction: RegionInstruction): void {
    const actual = (slot: number): number | undefined => {
      const lane = slot >= cpu.XMM ? slot & 15 : 0;
      const field = this.#fieldOf.get(slot - lane);
      if (field === undefined) return slot;
      const at = slotOf(memory.getUint16(instruction.record + field, true));
      if (at === undefined) return undefined;
      return at + lane + (slot >= cpu.YMM_HIGH ? TO_HIGH_HALF : 0);
    };
    const add = (from: ReadonlySet<number>, to: Set<number>): void => {
      for (const slot of from) {
        const at = actual(slot);
        if (at !== undefined) to.add(at);
      }
    };
    add(this.#use.used, use.used);
    add(this.#use.written, use.written);
    add(this.#use.floatLanes, use.floatLanes);
    use.usesHostFloat ||= this.#use.usesHostFloat;
    use.usesSse ||= this.#use.usesSse;
    use.usesX87 ||= this.#use.usesX87;
    use.changesTlbBank ||= this.#use.changesTlbBank;
    for (const helper of this.#helpers) helpers.add(helper);
  }
}
