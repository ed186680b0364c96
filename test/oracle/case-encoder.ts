import type { CaseDraft } from "./batch.ts";
import {
  cornerControlWord, cornerFloat32, cornerImmediate, cornerMxcsr, putFloat64, putFloat80, putInteger, putSigned,
} from "./corner-values.ts";
import type { EncodingShape, OperandShape } from "./encoding-shape.ts";
import { chooseAddress, chooseStack, isPatchable } from "./memory-target.ts";
import { CODE_END, MAX_PATCHES, STATUS_FLAGS } from "./protocol.ts";
import type { Random } from "./random.ts";

const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7; // prettier-ignore

/** What may be done with the initial value of a register. */
const FREE = 0; // choose it
const POINTER = 1; // it points into memory that can be used
const TAKEN = 2; // leave it, its value is known
const CHANGED = 3; // an earlier instruction has changed it
type Use = typeof FREE | typeof POINTER | typeof TAKEN | typeof CHANGED;

/** A place in the case that depends on where its code lies or ends. */
interface Fixup {
  readonly kind: "rel8" | "rel32" | "rip" | "register" | "patch";
  /** Position in the code, register, or index of the patch. */
  readonly at: number;
  /** Address for `rip`; for the others the number of the instruction it leads to. */
  readonly target: number;
  /** End of the instruction, for relative ones. */
  end: number;
}

/** Encodes instructions one behind the other into a draft and gives registers and memory values that suit them. */
export class CaseEncoder {
  readonly #random: Random;
  readonly #draft: CaseDraft;
  readonly #uses: Use[] = new Array<Use>(16).fill(FREE);
  readonly #fixups: Fixup[] = [];
  /** Start of each instruction in the code. */
  readonly starts: number[] = [];
  #expected = 1;

  // The instruction being encoded.
  readonly #prefixes: number[] = [];
  readonly #tail: number[] = [];
  #size = 32;
  #rex = 0;
  #forceRex = false;
  #address32 = false;
  #segment = 0;
  #mod = 3;
  #rm = 0;
  #reg = 0;
  #ripAddress = -1;
  #memory = -1;
  #low = 0;
  #high = 0;

  constructor(random: Random, draft: CaseDraft) {
    this.#random = random;
    this.#draft = draft;
  }

  /** Starts a case of `instructions` instructions: random registers, no code. */
  begin(instructions: number): void {
    const random = this.#random;
    const draft = this.#draft;
    for (let i = 0; i < 16; i++) putInteger(random, draft.registers, i);
    this.#uses.fill(FREE);
    this.#point(RSP, random.chance(95) ? chooseStack(random) : chooseAddress(random, 8, 50));
    for (let i = random.below(4); i > 0; i--) this.#point(random.below(16), chooseAddress(random, 16, 80));
    draft.rflags = 0x202 | (random.next() & STATUS_FLAGS) | (random.chance(15) ? 0x400 : 0);
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
    this.#expected = instructions;
  }

  #chooseBase(base: Uint32Array): void {
    const random = this.#random;
    const kind = random.below(4);
    if (kind === 0) putSigned(base, 0, random.below(0x1000) - 0x800);
    else if (kind === 1) putSigned(base, 0, chooseAddress(random, 8, 50));
    else if (kind === 2) putSigned(base, 0, -random.below(0x4000_0000));
    else {
      base[0] = random.next();
      base[1] = random.next() & 0x7fff;
    }
  }

  #point(register: number, address: number): void {
    putSigned(this.#draft.registers, register, address);
    this.#uses[register] = POINTER;
  }

  /** Adds an instruction; false when it does not suit the state that the earlier ones leave. */
  emit(shape: EncodingShape): boolean {
    if (!this.#prepare(shape)) return false;
    const random = this.#random;
    this.#prefixes.length = 0;
    this.#tail.length = 0;
    this.#rex = 0;
    this.#segment = 0;
    this.#mod = 3;
    this.#rm = 0;
    this.#reg = shape.digit >= 0 ? shape.digit : 0;
    this.#ripAddress = -1;
    this.#memory = -1;
    this.#forceRex = random.chance(12);
    this.#address32 = random.chance(4);
    if (this.#size === 16 && !shape.refuses66 && shape.form.size !== 16) this.#prefixes.push(0x66);
    if (shape.form.rexW === true || (this.#size === 64 && !shape.default64 && shape.form.size !== 64)) this.#rex |= 8;
    else if (shape.form.rexW === undefined && shape.default64 && random.chance(5)) this.#rex |= 8;
    if (shape.mandatoryPrefix !== 0) this.#prefixes.push(shape.mandatoryPrefix);
    if (random.chance(4)) {
      this.#segment = random.pick([0x26, 0x2e, 0x36, 0x3e]);
      // On a conditional branch these are hints; on others they mean nothing.
      this.#prefixes.push(this.#segment);
    }
    if (random.chance(4)) {
      if (this.#segment !== 0) this.#prefixes.pop();
      this.#segment = random.pick([0x64, 0x65]);
      this.#prefixes.push(this.#segment);
    }
    const opcode = [...shape.opcode];
    this.#chooseOperands(shape, opcode);
    this.#addPrefixes(shape);
    this.#write(shape, opcode);
    this.#markChanges(shape);
    return true;
  }

  // ---- before: what some instructions want of registers ----

  #prepare(shape: EncodingShape): boolean {
    const random = this.#random;
    const { mnemonic } = shape.instruction;
    this.#size = random.pick(shape.sizes);
    if (shape.form.repeatable) {
      this.#suggestPointer(RSI, 70);
      this.#suggestPointer(RDI, 70);
      if (this.#uses[RCX] === FREE) this.#setSmall(RCX, random.below(24));
      return this.#uses[RCX] !== CHANGED;
    }
    switch (mnemonic) {
      case "div": case "idiv":
        if (this.#uses[RDX] === FREE && random.chance(75)) this.#setSmall(RDX, random.below(3) - 1);
        if (this.#uses[RAX] === FREE && random.chance(30)) this.#setSmall(RAX, random.below(0x8000));
        return true;
      case "xlat": case "xlatb": this.#suggestPointer(RBX, 90); return true;
      case "maskmovq": case "maskmovdqu": this.#suggestPointer(RDI, 90); return true;
      case "leave": case "enter": this.#suggestPointer(RBP, 90); return true;
      case "loop": case "loope": case "loopne": case "jecxz": case "jrcxz": case "jcxz":
        if (this.#uses[RCX] === FREE) this.#setSmall(RCX, random.below(3));
        return true;
      case "shld": case "shrd": return this.#prepareDoubleShift(shape);
      default:
    }
    if (mnemonic.startsWith("popf")) return this.#patchStack(this.#flagsImage());
    if (shape.operands.some((o) => o.text === "cl") && this.#uses[RCX] === FREE && random.chance(70)) this.#setSmall(RCX, random.below(72));
    return true;
  }

  /** A count above the operand's width leaves a 16-bit result undefined. */
  #prepareDoubleShift(shape: EncodingShape): boolean {
    if (!shape.operands.some((o) => o.text === "cl")) return true;
    if (this.#uses[RCX] === FREE) this.#setSmall(RCX, this.#random.below(this.#size === 16 ? 17 : 72));
    else if (this.#size === 16) this.#size = 32;
    return true;
  }

  #suggestPointer(register: number, percent: number): void {
    if (this.#uses[register] === FREE && this.#random.chance(percent)) this.#point(register, chooseAddress(this.#random, 16, 70));
  }

  #setSmall(register: number, value: number): void {
    putSigned(this.#draft.registers, register, value);
    this.#uses[register] = TAKEN;
  }

  /** For POPF: TF and AC stay clear, the rest is random. */
  #flagsImage(): number {
    return (this.#random.next() & 0x3f_7fff & ~0x0004_0100) >>> 0;
  }

  #patchStack(value: number): boolean {
    if (this.#uses[RSP] !== POINTER) return false;
    return this.#patchValue(this.#draft.registers[2 * RSP]!, value, this.#random.next());
  }

  // ---- operands ----

  #chooseOperands(shape: EncodingShape, opcode: number[]): void {
    const random = this.#random;
    for (const operand of shape.operands) {
      switch (operand.place) {
        case "reg": this.#chooseReg(operand); break;
        case "opcode": {
          const register = this.#chooseRegister(operand, shape);
          opcode[opcode.length - 1]! += register & 7;
          if (register > 7) this.#rex |= 1;
          break;
        }
        case "stack": if (shape.plusRegister) opcode[opcode.length - 1]! += random.below(8); break;
        default:
      }
    }
    for (const operand of shape.operands) if (operand.place === "rm") this.#chooseRm(shape, operand);
    for (const operand of shape.operands) {
      if (operand.place === "immediate") this.#immediate(shape, operand);
      else if (operand.place === "offset") this.#offset(shape, operand);
      else if (operand.place === "relative") this.#relative(operand);
      else if (operand.place === "fixed") this.#useFixed(operand);
    }
    if (shape.modrm && !shape.operands.some((o) => o.place === "rm")) this.#rm = random.below(8);
    if (shape.instruction.mnemonic === "ret" && this.#uses[RSP] === POINTER && random.chance(90)) this.#patchTarget(this.#draft.registers[2 * RSP]!);
  }

  #chooseReg(operand: OperandShape): void {
    const random = this.#random;
    if (operand.file === "segment") this.#reg = random.below(random.chance(5) ? 8 : 6);
    else if (operand.file === "control") this.#reg = random.pick([0, 2, 3, 4]);
    else if (operand.file === "mmx") {
      this.#reg = random.below(8);
      if (random.chance(4)) this.#rex |= 4;
    } else {
      const register = this.#chooseRegister(operand);
      this.#reg = register & 7;
      if (register > 7) this.#rex |= 4;
    }
  }

  #chooseRegister(operand: OperandShape, shape?: EncodingShape): number {
    const random = this.#random;
    if (operand.file === "xmm") return random.below(16);
    if (operand.file === "mmx") return random.below(8);
    let register = random.below(16);
    if (register === RSP && operand.file === "general" && !random.chance(20)) register = random.below(4);
    if (shape?.form.rexB === true) register |= 8;
    if (shape?.form.rexB === false) register &= 7;
    if (this.#uses[register] === FREE && operand.file === "general") this.#uses[register] = TAKEN;
    return register;
  }

  #useFixed(operand: OperandShape): void {
    const register = ["al", "cl", "dl", "bl"].indexOf(operand.text);
    if (register >= 0 && this.#uses[register] === FREE) this.#uses[register] = TAKEN;
  }

  #chooseRm(shape: EncodingShape, operand: OperandShape): void {
    const random = this.#random;
    const { mnemonic } = shape.instruction;
    if (operand.register && (!operand.memory || random.chance(45))) {
      this.#mod = 3;
      if (mnemonic === "jmp" || mnemonic === "call") return this.#targetRegister();
      const register = this.#chooseRegister(operand);
      this.#rm = register & 7;
      if (register > 7) this.#rex |= 1;
      if (operand.file === "mmx" && random.chance(4)) this.#rex |= 1;
      if (mnemonic === "cmpxchg" && random.chance(50) && this.#uses[RAX] !== CHANGED && this.#uses[register] === TAKEN) {
        this.#draft.registers[2 * register] = this.#draft.registers[2 * RAX]!;
        this.#draft.registers[2 * register + 1] = this.#draft.registers[2 * RAX + 1]!;
      }
      return;
    }
    const bytes = (operand.bits || this.#size) / 8;
    const aligned = shape.instruction.unit === "sse" && bytes === 16 ? 93 : mnemonic === "cmpxchg16b" || mnemonic.startsWith("fx") ? 95 : 60;
    const indirect = mnemonic === "jmp" || mnemonic === "call";
    this.#chooseMemory(Math.min(bytes, 512), indirect ? 100 : aligned);
    if (this.#memory >= 0) this.#fillMemory(shape, bytes, indirect);
    if (/^bt[rsc]?$/.test(mnemonic) && shape.operands[1]?.place === "reg") {
      const register = this.#reg | (this.#rex & 4 ? 8 : 0);
      if (this.#uses[register] === TAKEN && random.chance(90)) putSigned(this.#draft.registers, register, random.below(4096) - 2048);
    }
  }

  #targetRegister(): void {
    const register = this.#findRegister((use) => use === FREE);
    this.#rm = register < 0 ? 0 : register & 7;
    if (register > 7) this.#rex |= 1;
    if (register < 0) return;
    this.#uses[register] = TAKEN;
    if (this.#random.chance(96)) this.#fixups.push({ kind: "register", at: register, target: this.#laterInstruction(), end: 0 });
  }

  #findRegister(suits: (use: Use, register: number) => boolean): number {
    const first = this.#random.below(16);
    for (let i = 0; i < 16; i++) {
      const register = (first + i) & 15;
      if (suits(this.#uses[register]!, register)) return register;
    }
    return -1;
  }

  /** Number of an instruction behind the present one; `expected` is the end. */
  #laterInstruction(): number {
    const present = this.starts.length;
    return present + 1 + this.#random.below(this.#expected - present);
  }

  // ---- memory operands: choose the address, then the registers and displacement that give it ----

  #chooseMemory(bytes: number, alignedPercent: number): void {
    const random = this.#random;
    const address = chooseAddress(random, bytes, alignedPercent);
    this.#memory = address;
    this.#setTarget(address);
    const kind = random.below(100);
    if (kind < 12 && this.#segment < 0x60) {
      this.#mod = 0;
      this.#rm = 5;
      this.#ripAddress = address;
      return;
    }
    if (kind < 20) return this.#absolute();
    const base = this.#findRegister((use) => use === FREE);
    if (base >= 0 && (kind < 75 || this.#segment >= 0x60)) return this.#fromFreeBase(base);
    const pointer = this.#findRegister((use) => use === POINTER);
    if (pointer >= 0 && this.#segment < 0x60 && !this.#address32) return this.#fromPointer(pointer);
    if (base >= 0) return this.#fromFreeBase(base);
    this.#absolute();
  }

  /** `#low`, `#high`: what the registers and displacement must add up to. */
  #setTarget(address: number): void {
    this.#low = address;
    this.#high = 0;
    if (this.#segment === 0x64) this.#subtract(this.#draft.fsBase[0]!, this.#draft.fsBase[1]!);
    if (this.#segment === 0x65) this.#subtract(this.#draft.gsBase[0]!, this.#draft.gsBase[1]!);
  }

  #subtract(low: number, high: number): void {
    const borrow = this.#low >>> 0 < low >>> 0 ? 1 : 0;
    this.#low = (this.#low - low) | 0;
    this.#high = (this.#high - high - borrow) | 0;
  }

  #absolute(): void {
    this.#mod = 0;
    this.#rm = 4;
    this.#tail.push(0x25); // SIB without base and index
    this.#displacement32(this.#low);
    // With a distant FS or GS base, or bit 31 set, it leads elsewhere.
    if (this.#segment >= 0x60) this.#memory = -1;
  }

  #fromFreeBase(base: number): void {
    const random = this.#random;
    const { registers } = this.#draft;
    let index = -1;
    let scale = 0;
    if (random.chance(40)) {
      index = this.#findRegister((use, register) => use !== CHANGED && register !== base && register !== RSP);
      scale = random.below(4);
    }
    if (index >= 0) {
      if (this.#uses[index] === FREE && random.chance(80)) putSigned(registers, index, random.below(80) - 16);
      if (this.#uses[index] === FREE) this.#uses[index] = TAKEN;
      const low = registers[2 * index]!;
      const high = registers[2 * index + 1]!;
      this.#subtract(low << scale, scale === 0 ? high : (high << scale) | (low >>> (32 - scale)));
    }
    const kind = random.below(3);
    const displacement = kind === 0 ? 0 : kind === 1 ? random.below(256) - 128 : random.chance(50) ? random.below(0x4000) - 0x2000 : random.next() | 0;
    this.#subtract(displacement, displacement < 0 ? -1 : 0);
    registers[2 * base] = this.#low;
    registers[2 * base + 1] = this.#high;
    this.#uses[base] = index < 0 && kind === 0 && this.#segment < 0x60 ? POINTER : TAKEN;
    // Only the low half counts with 32-bit addresses. Seldom the address is not canonical.
    if (this.#address32) registers[2 * base + 1] = random.next();
    else if (random.chance(1)) {
      registers[2 * base + 1] = random.next();
      this.#memory = -1;
    }
    this.#encodeBase(base, index, scale, displacement, kind);
  }

  #fromPointer(pointer: number): void {
    const displacement = (this.#low - this.#draft.registers[2 * pointer]!) | 0;
    if (this.#random.chance(60)) {
      // The pointer itself, or near it, instead of the address chosen before.
      const near = this.#random.chance(50) ? 0 : this.#random.below(64) & -8;
      this.#memory = this.#draft.registers[2 * pointer]! + near;
      return this.#encodeBase(pointer, -1, 0, near, near === 0 ? 0 : 1);
    }
    this.#encodeBase(pointer, -1, 0, displacement, 2);
  }

  /** ModRM, SIB and displacement of 0, 8 or 32 bits (kind 0, 1, 2). */
  #encodeBase(base: number, index: number, scale: number, displacement: number, kind: number): void {
    if (kind === 0 && (base & 7) === RBP) kind = 1;
    this.#mod = kind;
    if (base > 7) this.#rex |= 1;
    if (index >= 0 || (base & 7) === RSP || this.#random.chance(5)) {
      this.#rm = 4;
      this.#tail.push((scale << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base & 7));
      if (index > 7) this.#rex |= 2;
    } else this.#rm = base & 7;
    if (kind === 1) this.#tail.push(displacement & 0xff);
    if (kind === 2) this.#displacement32(displacement);
  }

  #displacement32(value: number): void {
    this.#tail.push(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff);
  }

  /** Gives memory a value that suits the instruction, or none. */
  #fillMemory(shape: EncodingShape, bytes: number, indirect: boolean): void {
    const random = this.#random;
    const { mnemonic } = shape.instruction;
    const address = this.#memory;
    if (indirect) {
      if (random.chance(95)) this.#patchTarget(address);
    } else if (mnemonic === "ldmxcsr" && random.chance(95)) this.#patchValue(address, cornerMxcsr(random), 0);
    else if (mnemonic === "fldcw") this.#patchValue(address, cornerControlWord(random), 0);
    else if (mnemonic === "fldenv" || mnemonic === "frstor") this.#patchValue(address, cornerControlWord(random), random.chance(70) ? 0 : random.next());
    else if (mnemonic.startsWith("fxrstor")) {
      if (random.chance(95)) this.#patchValue(address + 24, cornerMxcsr(random), 0);
      this.#patchValue(address, cornerControlWord(random) | ((random.next() & 0x7f00) << 16), random.below(256));
    } else if (mnemonic.startsWith("cmpxchg") && random.chance(50)) this.#patchAccumulator(address, mnemonic !== "cmpxchg");
    else if (random.chance(45)) {
      this.#patchRandom(shape, address, bytes);
      if ((address & 7) + bytes > 8) this.#patchRandom(shape, address + 8, bytes);
    }
  }

  #patchAccumulator(address: number, pair: boolean): void {
    const { registers } = this.#draft;
    if (this.#uses[RAX] === CHANGED || this.#uses[RDX] === CHANGED) return;
    if (pair && this.#size !== 64) this.#patchValue(address, registers[2 * RAX]!, registers[2 * RDX]!);
    else this.#patchValue(address, registers[2 * RAX]!, registers[2 * RAX + 1]!);
    if (pair && this.#size === 64) this.#patchValue(address + 8, registers[2 * RDX]!, registers[2 * RDX + 1]!);
    this.#uses[RAX] = TAKEN;
    this.#uses[RDX] = this.#uses[RDX] === FREE ? TAKEN : this.#uses[RDX]!;
  }

  #patchRandom(shape: EncodingShape, address: number, bytes: number): void {
    const random = this.#random;
    const words = scratch;
    if (shape.instruction.unit === "x87" && bytes === 10) putFloat80(random, words, 0);
    else if (shape.instruction.unit === "general" || shape.instruction.unit === "mmx" || random.chance(30)) putInteger(random, words, 0);
    else if (bytes === 4 || (bytes === 16 && random.chance(50))) {
      words[0] = cornerFloat32(random);
      words[1] = cornerFloat32(random);
    } else putFloat64(random, words, 0);
    this.#patchValue(address, words[0]!, words[1]!);
    if (bytes === 10) this.#patchValue(address + 8, words[2]!, words[3]!);
  }

  #patchTarget(address: number): void {
    const index = this.#draft.patchCount;
    if ((address & 7) === 0 && this.#patchValue(address, 0, 0)) this.#fixups.push({ kind: "patch", at: index, target: this.#laterInstruction(), end: 0 });
  }

  /** Lets the case begin with `low`, `high` at an address; one that is not a multiple of 8 takes two words. */
  #patchValue(address: number, low: number, high: number): boolean {
    const shift = 8 * (address & 7);
    if (shift === 0) return this.#patchWord(address, low, high);
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const wide = value << BigInt(shift);
    const word = (from: number) => Number((wide >> BigInt(from)) & 0xffff_ffffn);
    const first = this.#patchWord(address & -8, word(0), word(32));
    return this.#patchWord((address & -8) + 8, word(64), word(96)) && first;
  }

  #patchWord(address: number, low: number, high: number): boolean {
    const draft = this.#draft;
    if (!isPatchable(address) || draft.patchCount === MAX_PATCHES) return false;
    for (let i = 0; i < draft.patchCount; i++) if (draft.patches[3 * i] === address) return false;
    const at = 3 * draft.patchCount++;
    draft.patches[at] = address;
    draft.patches[at + 1] = low;
    draft.patches[at + 2] = high;
    return true;
  }

  // ---- immediates and branch targets ----

  #immediate(shape: EncodingShape, operand: OperandShape): void {
    const random = this.#random;
    if (operand.text === "1") return;
    const bits = operand.bits === -1 ? Math.min(this.#size, 32) : operand.bits || this.#size;
    if (bits === 64) {
      putInteger(random, scratch, 0);
      this.#displacement32(scratch[0]!);
      this.#displacement32(scratch[1]!);
      return;
    }
    let value = cornerImmediate(random, bits);
    if (this.#size === 16 && /^sh[lr]d$/.test(shape.instruction.mnemonic)) value &= 15;
    for (let i = 0; i < bits; i += 8) this.#tail.push((value >> i) & 0xff);
  }

  #offset(shape: EncodingShape, operand: OperandShape): void {
    const bytes = (operand.bits || this.#size) / 8;
    this.#memory = chooseAddress(this.#random, bytes, 60);
    this.#setTarget(this.#memory);
    this.#displacement32(this.#low);
    if (!this.#address32) this.#displacement32(this.#high);
    this.#fillMemory(shape, bytes, false);
  }

  #relative(operand: OperandShape): void {
    const target = this.#laterInstruction();
    const kind = operand.bits === 8 ? "rel8" : "rel32";
    this.#fixups.push({ kind, at: this.#tail.length, target, end: -1 });
    this.#tail.push(0);
    if (kind === "rel32") this.#tail.push(0, 0, 0);
  }

  // ---- writing ----

  #addPrefixes(shape: EncodingShape): void {
    const random = this.#random;
    const memory = shape.modrm && this.#mod !== 3;
    const control = shape.operands.some((o) => o.file === "control");
    if (shape.form.lockable && memory ? random.chance(15) : random.chance(0.5) && !control) this.#prefixes.push(0xf0);
    if (shape.form.repeatable && random.chance(60)) this.#prefixes.push(random.pick([0xf2, 0xf3]));
    const branch = shape.instruction.endsBlock || shape.operands.some((o) => o.place === "relative");
    // Where F2 and F3 select nothing they mean nothing; behind 0F they may select another instruction.
    const plain = shape.opcode[0] !== 0x0f && shape.opcode[0] !== 0x90 && !branch && shape.mandatoryPrefix === 0;
    if (plain && !shape.form.repeatable && random.chance(1)) this.#prefixes.push(random.pick([0xf2, 0xf3]));
    if (this.#address32) this.#prefixes.push(0x67);
    for (let i = this.#prefixes.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      const kept = this.#prefixes[i]!;
      this.#prefixes[i] = this.#prefixes[j]!;
      this.#prefixes[j] = kept;
    }
  }

  #write(shape: EncodingShape, opcode: readonly number[]): void {
    const { code } = this.#draft;
    let at = this.#draft.codeBytes;
    this.starts.push(at);
    for (const prefix of this.#prefixes) code[at++] = prefix;
    if (this.#rex !== 0 || this.#forceRex) code[at++] = 0x40 | this.#rex;
    for (const byte of opcode) code[at++] = byte;
    if (shape.modrm) code[at++] = (this.#mod << 6) | (this.#reg << 3) | this.#rm;
    let rip = -1;
    if (this.#ripAddress >= 0) {
      rip = at;
      at += 4;
    }
    const tail = at;
    for (const byte of this.#tail) code[at++] = byte;
    if (rip >= 0) this.#fixups.push({ kind: "rip", at: rip, target: this.#ripAddress, end: at });
    for (let i = 0; i < this.#fixups.length; i++) {
      const fixup = this.#fixups[i]!;
      if (fixup.end === -1) this.#fixups[i] = { ...fixup, at: tail + fixup.at, end: at };
    }
    this.#draft.codeBytes = at;
  }

  #markChanges(shape: EncodingShape): void {
    const uses = this.#uses;
    for (const operand of shape.operands) {
      if (!operand.written || (operand.file !== "general" && operand.file !== "byte")) continue;
      if (operand.place === "reg") this.#change(this.#reg | (this.#rex & 4 ? 8 : 0), operand);
      if (operand.place === "rm" && this.#mod === 3) this.#change(this.#rm | (this.#rex & 1 ? 8 : 0), operand);
      if (operand.place === "opcode") for (let i = 0; i < 16; i++) if ((i & 7) === (this.#draft.code[this.#opcodeAt()]! & 7)) uses[i] = CHANGED;
    }
    if (shape.operands.length < 2 || shape.operands.some((o) => o.place === "fixed")) uses[RAX] = uses[RDX] = CHANGED;
    if (shape.form.repeatable) uses[RCX] = uses[RSI] = uses[RDI] = CHANGED;
    if (/^(push|pop|call|ret|enter|leave)/.test(shape.instruction.mnemonic)) uses[RSP] = CHANGED;
    if (/^(leave|enter)$/.test(shape.instruction.mnemonic)) uses[RBP] = CHANGED;
    if (/^(loop|cpuid)/.test(shape.instruction.mnemonic)) uses[RCX] = CHANGED;
    if (shape.instruction.mnemonic.startsWith("cmpxchg")) uses[RAX] = uses[RDX] = CHANGED;
  }

  /** With a byte register 4..7 may be AH..BH, so both are marked. */
  #change(register: number, operand: OperandShape): void {
    this.#uses[register] = CHANGED;
    if (operand.file === "byte" && register < 8) this.#uses[register & 3] = CHANGED;
  }

  #opcodeAt(): number {
    return this.starts.at(-1)! + this.#prefixes.length + (this.#rex !== 0 || this.#forceRex ? 1 : 0);
  }

  /** Ends the case: chooses where its code lies and resolves what depends on that. */
  end(): void {
    const random = this.#random;
    const draft = this.#draft;
    const bytes = draft.codeBytes;
    const kind = random.below(100);
    if (kind < 88) draft.codeOffset = random.below(0x1f00);
    else if (kind < 92) draft.codeOffset = 0x1000 - random.below(Math.max(1, bytes)); // across two pages
    else if (kind < 97) draft.codeOffset = 0x3000 + random.below(0xf00); // writable code
    else {
      draft.noExit = true;
      // One time in two the last instruction is cut off by the end of the page.
      const cut = random.chance(50) ? random.below(bytes - this.starts.at(-1)!) : 0;
      draft.codeBytes = bytes - cut;
      draft.codeOffset = CODE_END - 0x2000_0000 - draft.codeBytes;
    }
    for (const fixup of this.#fixups) this.#resolve(fixup, bytes);
  }

  #resolve(fixup: Fixup, bytes: number): void {
    const draft = this.#draft;
    const { code, start } = draft;
    const target = fixup.target < this.starts.length ? this.starts[fixup.target]! : bytes;
    switch (fixup.kind) {
      case "rel8": code[fixup.at] = target - fixup.end; break;
      case "rel32": writeWord(code, fixup.at, target - fixup.end); break;
      case "rip": writeWord(code, fixup.at, fixup.target - (start + fixup.end)); break;
      case "register": putSigned(draft.registers, fixup.at, start + target); break;
      case "patch":
        draft.patches[3 * fixup.at + 1] = start + target;
        draft.patches[3 * fixup.at + 2] = 0;
        break;
    }
  }
}

const scratch = new Uint32Array(4);

function writeWord(code: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) code[at + i] = value >> (8 * i);
}
