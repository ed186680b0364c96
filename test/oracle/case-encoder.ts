import type { CaseDraft } from "./batch.ts";
import {
  CaseState,
  CHANGED,
  FREE,
  POINTER,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  TAKEN,
} from "./case-state.ts";
import { cornerImmediate, putInteger, putSigned } from "./corner-values.ts";
import type { EncodingShape, OperandShape } from "./encoding-shape.ts";
import { InstructionBytes } from "./instruction-bytes.ts";
import { chooseContents } from "./memory-contents.ts";
import { MemoryOperand } from "./memory-operand.ts";
import { MAX_CODE_BYTES } from "./protocol.ts";
import { isLikelyToComplete } from "./quiet-choice.ts";
import type { Random } from "./random.ts";

const MAX_INSTRUCTION_BYTES = 15;
const PREFIX_LOCK = 0xf0;
const PREFIXES_REPEAT = [0xf2, 0xf3];
/** ES, CS, SS and DS, which mean nothing in 64-bit code. */
const PREFIXES_IDLE_SEGMENT = [0x26, 0x2e, 0x36, 0x3e];
const PREFIXES_BASED_SEGMENT = [0x64, 0x65];

const STACK_MNEMONICS = /^(push|pop|call|ret|enter|leave)/;
/** RET adds a random number to RSP, ENTER subtracts one. */
const LOSES_STACK = /^(ret|enter)/;
const BIT_STRING_MNEMONICS = /^bt[rsc]?$/;
const UNDEFINED_MNEMONICS = /^ud[012]$/;
const DOUBLE_SHIFTS = /^sh[lr]d$/;

const scratch = new Uint32Array(2);

const usesSize = (shape: EncodingShape): boolean => shape.form.operands.some((o) => o.includes(":y"));

/** Encodes random instructions one behind the other into a draft, with registers and memory that suit them. */
export class CaseEncoder {
  readonly #random: Random;
  readonly #state: CaseState;
  readonly #instruction = new InstructionBytes();
  readonly #memoryOperand: MemoryOperand;
  /** Of an instruction that is #UD, processors need not fetch all bytes. */
  #cuttable = true;

  constructor(random: Random, draft: CaseDraft, economical: boolean) {
    this.#random = random;
    this.#state = new CaseState(random, draft, economical);
    this.#memoryOperand = new MemoryOperand(this.#state, this.#instruction);
  }

  /** Start of each instruction in the code. */
  get starts(): readonly number[] {
    return this.#state.starts;
  }

  /** The next instruction may be skipped by a branch. */
  get isSkippable(): boolean {
    return this.#state.starts.length < this.#state.skippedUntil;
  }

  /** Room is left for another instruction. */
  get hasRoom(): boolean {
    return this.#state.draft.codeBytes <= MAX_CODE_BYTES - MAX_INSTRUCTION_BYTES;
  }

  /** Starts a case. In a `quiet` one instructions rarely fault. */
  begin(instructions: number, quiet: boolean): void {
    this.#state.begin(instructions, quiet);
  }

  get isQuiet(): boolean {
    return this.#state.quiet;
  }

  /** Makes the draft the same case with other data. */
  redrawData(): void {
    this.#state.redrawData();
  }

  end(): void {
    this.#state.end(this.#cuttable);
  }

  /** Adds an instruction; false when it does not suit the state that the earlier ones leave. */
  emit(shape: EncodingShape): boolean {
    const instruction = this.#instruction;
    if (this.#state.quiet && !isLikelyToComplete(shape, this.#state)) return false;
    instruction.size = this.#random.pick(shape.sizes);
    if (!this.#prepare(shape)) return false;
    instruction.begin(shape);
    this.#choosePrefixes(shape);
    this.#chooseOperands(shape);
    this.#finishPrefixes(shape);
    instruction.write(this.#state, shape.modrm);
    this.#markChanges(shape);
    this.#cuttable = shape.form.not64 !== true && !UNDEFINED_MNEMONICS.test(shape.instruction.mnemonic);
    return true;
  }

  /** Suggests values for registers that the instruction uses without naming them. */
  #prepare(shape: EncodingShape): boolean {
    const random = this.#random;
    const state = this.#state;
    if (shape.form.repeatable) {
      state.suggestPointer(RSI, 70);
      state.suggestPointer(RDI, 70);
      state.suggestValue(RCX, 100, random.below(24));
      return state.uses[RCX] !== CHANGED;
    }
    const { mnemonic } = shape.instruction;
    switch (mnemonic) {
      case "div":
      case "idiv":
        state.suggestValue(RDX, 75, random.below(3) - 1);
        state.suggestValue(RAX, 30, random.below(0x8000));
        return true;
      case "xlat":
      case "xlatb":
        state.suggestPointer(RBX, 90);
        return true;
      case "maskmovq":
      case "maskmovdqu":
      case "vmaskmovdqu":
        state.suggestPointer(RDI, 90);
        return true;
      case "leave":
      case "enter":
        state.suggestPointer(RBP, 90);
        return true;
      default:
    }
    if (/^(loop|j.?cxz)/.test(mnemonic)) state.suggestValue(RCX, 100, random.below(3));
    if (mnemonic.startsWith("popf")) return this.#patchFlags();
    if (shape.operands.some((o) => o.text === "cl")) return this.#prepareShiftCount(shape);
    return true;
  }

  /** What POPF pops: TF stays clear, the rest is random. */
  #patchFlags(): boolean {
    const state = this.#state;
    if (state.uses[RSP] !== POINTER) return false;
    return state.patchValue(
      state.draft.registers[2 * RSP]!,
      this.#random.next() & 0x3f_7eff,
      this.#random.next(),
    );
  }

  /** SHLD and SHRD by more than the operand's width leave a 16-bit result undefined. */
  #prepareShiftCount(shape: EncodingShape): boolean {
    const state = this.#state;
    if (!DOUBLE_SHIFTS.test(shape.instruction.mnemonic) || this.#instruction.size !== 16) {
      state.suggestValue(RCX, 70, this.#random.below(72));
      return true;
    }
    state.suggestValue(RCX, 100, this.#random.below(17));
    if (state.uses[RCX] === CHANGED) return false;
    state.settle(RCX);
    return (state.draft.registers[2 * RCX]! & 31) <= 16;
  }

  // ---- operands ----

  #chooseOperands(shape: EncodingShape): void {
    const random = this.#random;
    const state = this.#state;
    const instruction = this.#instruction;
    for (const operand of shape.operands) {
      if (operand.place === "reg") this.#chooseReg(operand);
      else if (operand.place === "opcode")
        instruction.setOpcodeRegister(this.#chooseRegister(shape, operand));
      else if (operand.place === "vvvv") instruction.vvvv = this.#chooseRegister(shape, operand);
      else if (operand.place === "stack" && shape.plusRegister)
        instruction.setOpcodeRegister(random.below(8));
    }
    let namesRm = false;
    for (const operand of shape.operands) {
      if (operand.place === "index") this.#memoryOperand.chooseGather();
      else if (operand.place === "rm") this.#chooseRm(shape, operand);
      else continue;
      namesRm = true;
    }
    if (shape.modrm && !namesRm) instruction.rm = random.below(8);
    for (const operand of shape.operands) {
      if (operand.place === "immediate") this.#immediate(shape, operand);
      else if (operand.place === "is4") instruction.append((random.below(16) << 4) | random.below(16), 8);
      else if (operand.place === "offset") this.#offset(shape, operand);
      else if (operand.place === "relative") this.#relative(operand);
      else if (operand.place === "fixed" && operand.fixedRegister >= 0) state.take(operand.fixedRegister);
    }
    if (shape.instruction.mnemonic === "ret" && state.uses[RSP] === POINTER && random.chance(90))
      state.patchTarget(state.draft.registers[2 * RSP]!);
  }

  #chooseReg(operand: OperandShape): void {
    const random = this.#random;
    const instruction = this.#instruction;
    if (operand.file === "segment") instruction.reg = random.below(random.chance(5) ? 8 : 6);
    else if (operand.file === "control") instruction.reg = random.pick([0, 2, 3, 4]);
    else if (operand.file === "mmx") {
      instruction.reg = random.below(8);
      if (random.chance(4)) instruction.rex |= 4; // ignored
    } else instruction.setReg(this.#chooseRegister(undefined, operand));
  }

  #chooseRegister(shape: EncodingShape | undefined, operand: OperandShape): number {
    const random = this.#random;
    if (operand.file === "xmm") return random.below(16);
    if (operand.file === "mmx") return random.below(8);
    let register = random.below(16);
    // A changed RSP makes the instructions behind it fault.
    if (register === RSP && operand.file === "general" && (this.#state.quiet || random.chance(80)))
      register = random.below(4);
    if (this.#state.quiet && operand.written) register = this.#sparePointers(register);
    if (shape?.form.rexB === true) register |= 8;
    if (shape?.form.rexB === false) register &= 7;
    this.#state.take(register);
    return register;
  }

  /** The register, or one instead of it that no later operand needs as a pointer. */
  #sparePointers(register: number): number {
    let spared = register;
    for (let i = 0; i < 16 && this.#state.uses[spared] === POINTER; i++) spared = this.#random.below(16);
    return spared;
  }

  #chooseRm(shape: EncodingShape, operand: OperandShape): void {
    const random = this.#random;
    const state = this.#state;
    const instruction = this.#instruction;
    if (operand.register && (!operand.memory || random.chance(45)))
      return this.#chooseRmRegister(shape, operand);
    const bytes = Math.min((operand.bits || instruction.size) / 8, 512);
    this.#memoryOperand.choose(bytes, this.#alignedPercent(shape, bytes));
    if (instruction.memory >= 0)
      chooseContents(this.#state, shape, instruction.memory, bytes, instruction.size);
    // A bit offset in a register reaches beyond the operand.
    const offset = instruction.regNumber;
    if (
      BIT_STRING_MNEMONICS.test(shape.instruction.mnemonic) &&
      shape.operands[1]!.place === "reg" &&
      state.uses[offset] === TAKEN &&
      this.#bitOffsetIsOpen(offset)
    ) {
      state.settle(offset);
      putSigned(state.draft.registers, offset, random.below(4096) - 2048);
    }
  }

  /** The register is not part of the address just chosen, nor used by an earlier instruction. */
  #bitOffsetIsOpen(register: number): boolean {
    return this.#state.starts.length === 0 && this.#random.chance(90) && !this.#addressUses(register);
  }

  #addressUses(register: number): boolean {
    const { mod, rm, rex, tail } = this.#instruction;
    if (mod === 3) return false;
    if (rm !== 4) return this.#instruction.rmNumber === register;
    const sib = tail[0]!;
    return (
      ((sib & 7) | (rex & 1 ? 8 : 0)) === register || (((sib >> 3) & 7) | (rex & 2 ? 8 : 0)) === register
    );
  }

  #alignedPercent(shape: EncodingShape, bytes: number): number {
    const { mnemonic, unit } = shape.instruction;
    if (mnemonic === "jmp" || mnemonic === "call") return 100;
    if (unit === "avx" && !shape.instruction.unaligned) return 94;
    if ((unit === "sse" && bytes === 16) || mnemonic === "cmpxchg16b" || /^fx(save|rstor)/.test(mnemonic))
      return 94;
    return 60;
  }

  #chooseRmRegister(shape: EncodingShape, operand: OperandShape): void {
    const random = this.#random;
    const state = this.#state;
    const instruction = this.#instruction;
    const { mnemonic } = shape.instruction;
    instruction.mod = 3;
    if (mnemonic === "jmp" || mnemonic === "call") {
      const register = state.find(FREE);
      instruction.setRm(Math.max(0, register));
      if (register < 0) return;
      state.uses[register] = TAKEN;
      if (state.quiet || random.chance(96)) state.pointToTarget(register);
      return;
    }
    const register = this.#chooseRegister(shape, operand);
    instruction.setRm(register);
    if (operand.file === "mmx" && random.chance(4)) instruction.rex |= 1; // ignored
    if (mnemonic === "cmpxchg" && state.starts.length === 0 && register !== RSP && random.chance(50)) {
      const { registers } = state.draft;
      registers[2 * register] = registers[2 * RAX]!;
      registers[2 * register + 1] = registers[2 * RAX + 1]!;
      state.take(RAX);
      state.settle(RAX);
      state.settle(register);
    }
  }

  #immediate(shape: EncodingShape, operand: OperandShape): void {
    const { size } = this.#instruction;
    const bits = operand.bits === -1 ? Math.min(size, 32) : operand.bits || size;
    if (bits === 64) {
      putInteger(this.#random, scratch, 0);
      this.#instruction.append(scratch[0]!, 32);
      this.#instruction.append(scratch[1]!, 32);
      return;
    }
    const value = cornerImmediate(this.#random, bits);
    const narrow = size === 16 && DOUBLE_SHIFTS.test(shape.instruction.mnemonic);
    this.#instruction.append(narrow ? value & 15 : value, bits);
  }

  #offset(shape: EncodingShape, operand: OperandShape): void {
    const { size } = this.#instruction;
    const bytes = (operand.bits || size) / 8;
    this.#memoryOperand.chooseOffset(bytes);
    chooseContents(this.#state, shape, this.#instruction.memory, bytes, size);
  }

  #relative(operand: OperandShape): void {
    const instruction = this.#instruction;
    instruction.relativeKind = operand.bits === 8 ? "rel8" : "rel32";
    instruction.relativeAt = instruction.tail.length;
    instruction.relativeTarget = this.#state.laterInstruction();
    instruction.append(0, operand.bits);
  }

  // ---- prefixes ----

  #choosePrefixes(shape: EncodingShape): void {
    const random = this.#random;
    const instruction = this.#instruction;
    const { form } = shape;
    const { size } = instruction;
    instruction.forceRex = random.chance(12);
    instruction.address32 = random.chance(4);
    if (shape.vex !== undefined) {
      const { w, length } = shape.vex;
      if (w === 1 || (w === -1 && (size === 64 || (!usesSize(shape) && random.chance(10)))))
        instruction.rex |= 8;
      instruction.vexLength = length === -1 ? (random.chance(10) ? 1 : 0) : length;
    } else if (size === 16 && !shape.refuses66 && form.size !== 16) instruction.prefixes.push(0x66);
    if (shape.vex !== undefined) {
      // VEX.W is the operand size.
    } else if (form.rexW === true || (size === 64 && !shape.default64 && form.size !== 64))
      instruction.rex |= 8;
    else if (form.rexW === undefined && shape.default64 && size === 64 && random.chance(5))
      instruction.rex |= 8;
    if (shape.mandatoryPrefix !== 0) instruction.prefixes.push(shape.mandatoryPrefix);
    if (!random.chance(8)) return;
    // A segment's base must be made up for by a register's value.
    const idle = random.chance(50) || (this.#state.quiet && this.#state.find(FREE) < 0);
    instruction.segment = random.pick(idle ? PREFIXES_IDLE_SEGMENT : PREFIXES_BASED_SEGMENT);
    instruction.prefixes.push(instruction.segment);
  }

  /** Adds the prefixes that depend on the operands, and shuffles. */
  #finishPrefixes(shape: EncodingShape): void {
    const random = this.#random;
    const { prefixes, mod, address32 } = this.#instruction;
    const memory = shape.modrm && mod !== 3;
    // Where LOCK is illegal it is #UD, but before CR registers AMD gives it a meaning.
    const illegalLock = this.#state.quiet || shape.operands.some((o) => o.file === "control") ? 0 : 0.5;
    if (random.chance(shape.form.lockable && memory ? 15 : illegalLock)) prefixes.push(PREFIX_LOCK);
    if (shape.form.repeatable) {
      if (random.chance(60)) prefixes.push(random.pick(PREFIXES_REPEAT));
    } else if (random.chance(shape.ignoresRepeat ? 1 : 0)) prefixes.push(random.pick(PREFIXES_REPEAT));
    if (address32) prefixes.push(0x67);
    for (let i = prefixes.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      const kept = prefixes[i]!;
      prefixes[i] = prefixes[j]!;
      prefixes[j] = kept;
    }
  }

  // ---- afterwards ----

  #markChanges(shape: EncodingShape): void {
    const { uses } = this.#state;
    const instruction = this.#instruction;
    for (const operand of shape.operands) {
      if (!operand.written || (operand.file !== "general" && operand.file !== "byte")) continue;
      if (operand.place === "reg") this.#change(instruction.regNumber, operand);
      else if (operand.place === "rm" && instruction.mod === 3) this.#change(instruction.rmNumber, operand);
      else if (operand.place === "opcode") this.#change(instruction.opcodeRegister, operand);
      else if (operand.place === "vvvv") this.#change(instruction.vvvv, operand);
    }
    const { mnemonic } = shape.instruction;
    if (
      shape.operands.length < 2 ||
      shape.operands.some((o) => o.place === "fixed") ||
      mnemonic.startsWith("cmpxchg")
    )
      uses[RAX] = uses[RDX] = CHANGED;
    if (shape.form.repeatable) uses[RCX] = uses[RSI] = uses[RDI] = CHANGED;
    if (STACK_MNEMONICS.test(mnemonic)) uses[RSP] = CHANGED;
    if (LOSES_STACK.test(mnemonic)) this.#state.hasStack = false;
    if (mnemonic === "leave" || mnemonic === "enter") uses[RBP] = CHANGED;
    if (mnemonic.startsWith("loop")) uses[RCX] = CHANGED;
  }

  /** A byte register 4..7 may be AH..BH, so both are marked. */
  #change(register: number, operand: OperandShape): void {
    this.#state.uses[register] = CHANGED;
    if (operand.file === "byte" && register < 8) this.#state.uses[register & 3] = CHANGED;
  }
}
