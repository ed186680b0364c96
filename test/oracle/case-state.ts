import type { CaseDraft } from "./batch.ts";
import { cornerFloat32, putFloat64, putInteger, putSigned } from "./corner-values.ts";
import { chooseAddress, chooseQuietAddress, chooseStack, isPatchable } from "./memory-target.ts";
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
/** Registers that hold pointers in a quiet case from its beginning. */
const QUIET_POINTERS = [RBX, RBP, RSI, RDI, 8, 9, 10, 11, 12, 13, 14, 15];

/** A branch of a quiet case leads over fewer instructions than this. */
const QUIET_SKIP = 3;
const scratch = new Uint32Array(2);

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
  /** What is chosen shall rarely fault, so that long cases come to their end. */
  quiet = false;
  /** RSP leads into the stack, though not to where it began. */
  hasStack = true;
  /** Number of the first instruction that no branch so far skips. */
  skippedUntil = 0;
  readonly #fixups: Fixup[] = [];
  /** Registers whose initial value something in the case depends on. */
  readonly #settled = new Uint8Array(16);
  /** Numbers of the patches that are mere data. */
  readonly #dataPatches: number[] = [];
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
  begin(instructions: number, quiet: boolean): void {
    const { random, draft } = this;
    this.#instructions = instructions;
    this.quiet = quiet;
    this.hasStack = true;
    this.skippedUntil = 0;
    this.#settled.fill(0);
    this.#dataPatches.length = 0;
    this.#fillRegisters();
    this.uses.fill(FREE);
    this.point(RSP, quiet || random.chance(95) ? chooseStack(random) : chooseAddress(random, 8, 50));
    const pointers = quiet ? 4 : random.below(4);
    for (let i = pointers; i > 0; i--)
      this.point(
        quiet ? random.pick(QUIET_POINTERS) : random.below(16),
        this.chooseAddress(quiet ? 32 : 16, quiet ? 100 : 80),
      );
    this.#chooseFlags();
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

  #chooseFlags(): void {
    const { random } = this;
    this.draft.rflags =
      0x202 |
      (random.next() & STATUS_FLAGS) |
      (random.chance(15) ? 0x400 : 0) |
      (!this.quiet && random.chance(ALIGNMENT_CHECKS) ? ALIGNMENT_CHECK : 0);
  }

  /** Keeps code and addresses, and draws other values for flags, registers and memory that are mere data. */
  redrawData(): void {
    const { random, draft } = this;
    this.#chooseFlags();
    for (let i = 0; i < 16; i++) if (this.#settled[i] === 0) putInteger(random, draft.registers, i);
    for (const patch of this.#dataPatches) {
      const kind = random.below(3);
      if (kind === 0) putInteger(random, scratch, 0);
      else if (kind === 1) putFloat64(random, scratch, 0);
      else for (const half of [0, 1]) scratch[half] = cornerFloat32(random);
      draft.patches[3 * patch + 1] = scratch[0]!;
      draft.patches[3 * patch + 2] = scratch[1]!;
    }
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

  /** Something depends on the register's initial value: it is no mere data. */
  settle(register: number): void {
    this.#settled[register] = 1;
  }

  /** Where an operand of `bytes` shall lie, aligned in so many of 100 cases. */
  chooseAddress(bytes: number, alignedPercent: number): number {
    const choose = this.quiet ? chooseQuietAddress : chooseAddress;
    return choose(this.random, bytes, alignedPercent);
  }

  /** The register is a pointer, or can still become one. */
  canPoint(register: number): boolean {
    return this.uses[register] === FREE || this.uses[register] === POINTER;
  }

  point(register: number, address: number): void {
    this.settle(register);
    putSigned(this.draft.registers, register, address);
    this.uses[register] = POINTER;
  }

  /** Makes a register a pointer in so many of 100 cases, if its value is still open. */
  suggestPointer(register: number, percent: number): void {
    if (this.uses[register] === FREE && (this.quiet || this.random.chance(percent)))
      this.point(register, this.chooseAddress(16, 70));
  }

  /** Gives a register a value in so many of 100 cases, if its value is still open. */
  suggestValue(register: number, percent: number, value: number): void {
    if (this.uses[register] !== FREE || !this.random.chance(percent)) return;
    putSigned(this.draft.registers, register, value);
    this.settle(register);
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

  /** As `patchValue`, for a value that may be any other. */
  patchData(address: number, low: number, high: number): void {
    const first = this.draft.patchCount;
    this.patchValue(address, low, high);
    for (let i = first; i < this.draft.patchCount; i++) this.#dataPatches.push(i);
  }

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
    const most = this.#instructions - present;
    const target = present + 1 + this.random.below(this.quiet ? Math.min(most, QUIET_SKIP) : most);
    this.skippedUntil = Math.max(this.skippedUntil, target);
    return target;
  }

  /** Memory shall hold the address of a later instruction. */
  patchTarget(address: number): void {
    const at = this.draft.patchCount;
    if ((address & 7) === 0 && this.patchValue(address, 0, 0))
      this.#fixups.push({ kind: "patch", at, target: this.laterInstruction(), end: 0 });
  }

  /** A register shall hold the address of a later instruction. */
  pointToTarget(register: number): void {
    this.settle(register);
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
