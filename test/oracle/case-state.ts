import type { CaseDraft } from "./batch.ts";
import { putInteger, putSigned } from "./corner-values.ts";
import { chooseAddress, chooseStack, isPatchable } from "./memory-target.ts";
import {
  ALIGNMENT_CHECK,
  CODE_BASE,
  CODE_END,
  MAX_PATCHES,
  STATUS_FLAGS,
  WRITABLE_CODE,
} from "./protocol.ts";
import type { Random } from "./random.ts";

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

// What may be done with the initial value of a register.
/** Choose it. */
export const FREE = 0;
/** It points into memory that can be used. */
export const POINTER = 1;
/** Leave it: its value matters, and is still there. */
export const TAKEN = 2;
/** An earlier instruction has changed it. */
export const CHANGED = 3;

/** In so many of a hundred cases accesses must be aligned. */
const ALIGNMENT_CHECKS = 3;

/** A place in the case that depends on where its code lies or ends. */
interface Fixup {
  readonly kind: "rel8" | "rel32" | "rip" | "register" | "patch";
  /** Position in the code, register, or index of the patch. */
  readonly at: number;
  /** Address for `rip`; for the others the number of the instruction it leads to. */
  readonly target: number;
  /** End of the instruction, for relative ones. */
  readonly end: number;
}

/** A case while instructions are added: which registers still have a chosen value, and what its memory shall hold. */
export class CaseState {
  readonly random: Random;
  readonly draft: CaseDraft;
  /** FREE, POINTER, TAKEN or CHANGED for each register. */
  readonly uses = new Uint8Array(16);
  /** Start of each instruction in the code. */
  readonly starts: number[] = [];
  readonly #fixups: Fixup[] = [];
  #instructions = 1;
  /** Initial values for the registers that a case does not use, four rows of 16; undefined: random for each case. */
  readonly #idleValues: Uint32Array | undefined;

  /** `economical`: cases share the values of registers that they do not use, so that they compress well. */
  constructor(random: Random, draft: CaseDraft, economical: boolean) {
    this.random = random;
    this.draft = draft;
    if (!economical) return;
    this.#idleValues = new Uint32Array(128);
    for (let i = 0; i < 64; i++) putInteger(random, this.#idleValues, i);
  }

  /** Starts a case of `instructions` instructions: random registers, no code. */
  begin(instructions: number): void {
    const { random, draft } = this;
    this.#instructions = instructions;
    this.#fillRegisters();
    this.uses.fill(FREE);
    this.point(RSP, random.chance(95) ? chooseStack(random) : chooseAddress(random, 8, 50));
    for (let i = random.below(4); i > 0; i--) this.point(random.below(16), chooseAddress(random, 16, 80));
    draft.rflags =
      0x202 |
      (random.next() & STATUS_FLAGS) |
      (random.chance(15) ? 0x400 : 0) |
      (random.chance(ALIGNMENT_CHECKS) ? ALIGNMENT_CHECK : 0);
    draft.fsBase.fill(0);
    draft.gsBase.fill(0);
    if (random.chance(10)) this.#chooseBase(draft.fsBase);
    if (random.chance(10)) this.#chooseBase(draft.gsBase);
    draft.noExit = false;
    draft.codeOffset = 0;
    draft.codeBytes = 0;
    draft.patchCount = 0;
    this.starts.length = 0;
    this.#fixups.length = 0;
  }

  #fillRegisters(): void {
    const { registers } = this.draft;
    if (this.#idleValues === undefined) {
      for (let i = 0; i < 16; i++) putInteger(this.random, registers, i);
      return;
    }
    const row = 32 * this.random.below(4);
    registers.set(this.#idleValues.subarray(row, row + 32));
  }

  /** A canonical segment base: small, a pointer to data, negative, or anything in the lower half. */
  #chooseBase(base: Uint32Array): void {
    const { random } = this;
    const kind = random.below(4);
    if (kind === 0) putSigned(base, 0, random.below(0x1000) - 0x800);
    else if (kind === 1) putSigned(base, 0, chooseAddress(random, 8, 50));
    else if (kind === 2) putSigned(base, 0, -random.below(0x4000_0000));
    else {
      base[0] = random.next();
      base[1] = random.next() & 0x7fff;
    }
  }

  // ---- registers ----

  /** A register is an operand: its value stays from here on. */
  take(register: number): void {
    if (this.uses[register] !== FREE) return;
    if (this.#idleValues !== undefined) putInteger(this.random, this.draft.registers, register);
    this.uses[register] = TAKEN;
  }

  point(register: number, address: number): void {
    putSigned(this.draft.registers, register, address);
    this.uses[register] = POINTER;
  }

  /** Makes a register a pointer in so many of 100 cases, if its value is still open. */
  suggestPointer(register: number, percent: number): void {
    if (this.uses[register] === FREE && this.random.chance(percent))
      this.point(register, chooseAddress(this.random, 16, 70));
  }

  /** Gives a register a value in so many of 100 cases, if its value is still open. */
  suggestValue(register: number, percent: number, value: number): void {
    if (this.uses[register] !== FREE || !this.random.chance(percent)) return;
    putSigned(this.draft.registers, register, value);
    this.uses[register] = TAKEN;
  }

  /** A random register that is used so (`FREE`, `POINTER`); -1 when there is none. */
  find(use: number): number {
    const first = this.random.below(16);
    for (let i = 0; i < 16; i++) {
      const register = (first + i) & 15;
      if (this.uses[register] === use) return register;
    }
    return -1;
  }

  // ---- memory ----

  /** Lets the case begin with `low`, `high` at an address; one that is not a multiple of 8 takes two words. */
  patchValue(address: number, low: number, high: number): boolean {
    const shift = 8 * (address & 7);
    if (shift === 0) return this.#patchWord(address, low, high);
    const wide = ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) << BigInt(shift);
    const word = (from: bigint) => Number((wide >> from) & 0xffff_ffffn);
    const first = this.#patchWord(address & -8, word(0n), word(32n));
    return this.#patchWord((address & -8) + 8, word(64n), word(96n)) && first;
  }

  #patchWord(address: number, low: number, high: number): boolean {
    const { draft } = this;
    if (!isPatchable(address) || draft.patchCount === MAX_PATCHES) return false;
    for (let i = 0; i < draft.patchCount; i++) if (draft.patches[3 * i] === address) return false;
    const at = 3 * draft.patchCount++;
    draft.patches[at] = address;
    draft.patches[at + 1] = low;
    draft.patches[at + 2] = high;
    return true;
  }

  // ---- what is only known at the end ----

  /** Number of an instruction behind the present one, or of the end: branches only lead forward, so that cases end. */
  laterInstruction(): number {
    const present = this.starts.length;
    return present + 1 + this.random.below(this.#instructions - present);
  }

  /** Memory shall hold the address of a later instruction. */
  patchTarget(address: number): void {
    const at = this.draft.patchCount;
    if ((address & 7) === 0 && this.patchValue(address, 0, 0))
      this.#fixups.push({ kind: "patch", at, target: this.laterInstruction(), end: 0 });
  }

  /** A register shall hold the address of a later instruction. */
  pointToTarget(register: number): void {
    this.#fixups.push({ kind: "register", at: register, target: this.laterInstruction(), end: 0 });
  }

  addFixup(kind: "rel8" | "rel32" | "rip", at: number, target: number, end: number): void {
    this.#fixups.push({ kind, at, target, end });
  }

  /** Ends the case: chooses where its code lies and resolves what depends on that. `cuttable`: the last instruction may be cut off. */
  end(cuttable: boolean): void {
    const { random, draft } = this;
    const bytes = draft.codeBytes;
    const kind = random.below(100);
    if (kind < 88) draft.codeOffset = random.below(0x1f00);
    else if (kind < 92)
      draft.codeOffset = 0x1000 - random.below(bytes); // across two pages
    else if (kind < 97) draft.codeOffset = WRITABLE_CODE - CODE_BASE + random.below(0xf00);
    else {
      draft.noExit = true;
      // One time in two the last instruction is cut off by the end of the page.
      const cut = cuttable && random.chance(50) ? random.below(bytes - this.starts.at(-1)!) : 0;
      draft.codeBytes = bytes - cut;
      draft.codeOffset = CODE_END - CODE_BASE - draft.codeBytes;
    }
    for (const fixup of this.#fixups) this.#resolve(fixup, bytes);
  }

  #resolve(fixup: Fixup, bytes: number): void {
    const { draft } = this;
    const target = this.starts[fixup.target] ?? bytes;
    switch (fixup.kind) {
      case "rel8":
        draft.code[fixup.at] = target - fixup.end;
        break;
      case "rel32":
        writeWord(draft.code, fixup.at, target - fixup.end);
        break;
      case "rip":
        writeWord(draft.code, fixup.at, fixup.target - (draft.start + fixup.end));
        break;
      case "register":
        putSigned(draft.registers, fixup.at, draft.start + target);
        break;
      case "patch":
        draft.patches[3 * fixup.at + 1] = draft.start + target;
        draft.patches[3 * fixup.at + 2] = 0;
        break;
    }
  }
}

function writeWord(code: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) code[at + i] = value >> (8 * i);
}
