import { type CaseState, CHANGED, FREE, POINTER, RBP, RSP, TAKEN } from "./case-state.ts";
import { putSigned } from "./corner-values.ts";
import type { InstructionBytes } from "./instruction-bytes.ts";

const NO_SIB_INDEX = 4;
const PREFIX_FS = 0x64;
const PREFIX_GS = 0x65;

/** Chooses addressing forms: first where the operand shall lie, then registers and displacement that lead there. */
export class MemoryOperand {
  readonly #state: CaseState;
  readonly #instruction: InstructionBytes;
  // What base, index and displacement must add up to, as two halves.
  #low = 0;
  #high = 0;

  constructor(state: CaseState, instruction: InstructionBytes) {
    this.#state = state;
    this.#instruction = instruction;
  }

  /** Encodes an operand of `bytes` bytes, aligned in so many of 100 cases, as ModRM, SIB and displacement. */
  choose(bytes: number, alignedPercent: number): void {
    const { random, quiet } = this.#state;
    const instruction = this.#instruction;
    const address = this.#state.chooseAddress(bytes, alignedPercent);
    instruction.memory = address;
    this.#setTarget(address);
    const based = this.#hasSegmentBase();
    const kind = random.below(100);
    if (kind < 12 && !based) {
      instruction.mod = 0;
      instruction.rm = 5;
      instruction.ripAddress = address;
      return;
    }
    if (kind < 20) return this.#absolute();
    const free = this.#state.find(FREE);
    if (free >= 0 && (kind < (quiet ? 30 : 75) || based)) return this.#fromFree(free);
    const pointer = this.#state.find(POINTER);
    if (pointer >= 0 && !based && !instruction.address32) return this.#fromPointer(pointer);
    if (free >= 0) return this.#fromFree(free);
    this.#absolute();
  }

  /** Encodes the address of a gather: a base in the data pages, and any vector register for the indices. */
  chooseGather(): void {
    const { random } = this.#state;
    const free = this.#state.find(FREE);
    const base = free >= 0 ? free : Math.max(0, this.#state.find(POINTER));
    if (free >= 0) {
      this.#setTarget(this.#state.chooseAddress(8, 50));
      this.#state.settle(base);
      this.#state.draft.registers[2 * base] = this.#low;
      this.#state.draft.registers[2 * base + 1] = this.#high;
      this.#state.uses[base] = TAKEN;
    }
    const kind = random.below(3);
    this.#encode(base, random.below(16), random.below(4), kind === 0 ? 0 : random.below(256) - 128, kind);
  }

  /** Encodes the operand of a MOV with an absolute offset. */
  chooseOffset(bytes: number): void {
    const instruction = this.#instruction;
    instruction.memory = this.#state.chooseAddress(bytes, 60);
    this.#setTarget(instruction.memory);
    instruction.append(this.#low, 32);
    if (!instruction.address32) instruction.append(this.#high, 32);
  }

  #hasSegmentBase(): boolean {
    return this.#instruction.segment === PREFIX_FS || this.#instruction.segment === PREFIX_GS;
  }

  #setTarget(address: number): void {
    const { fsBase, gsBase } = this.#state.draft;
    this.#low = address;
    this.#high = 0;
    if (this.#instruction.segment === PREFIX_FS) this.#subtract(fsBase[0]!, fsBase[1]!);
    if (this.#instruction.segment === PREFIX_GS) this.#subtract(gsBase[0]!, gsBase[1]!);
  }

  #subtract(low: number, high: number): void {
    const borrow = this.#low >>> 0 < low >>> 0 ? 1 : 0;
    this.#low = (this.#low - low) | 0;
    this.#high = (this.#high - high - borrow) | 0;
  }

  #absolute(): void {
    const instruction = this.#instruction;
    instruction.mod = 0;
    instruction.rm = 4;
    instruction.tail.push(0x25); // SIB without base and index
    instruction.append(this.#low, 32);
    // With a distant segment base it leads elsewhere.
    if (this.#hasSegmentBase()) instruction.memory = -1;
  }

  #fromFree(base: number): void {
    const { random, draft, uses, quiet } = this.#state;
    const { registers } = draft;
    const scale = random.below(4);
    const index = random.chance(40) ? this.#chooseIndex(base, scale) : -1;
    const kind = random.below(3);
    const displacement = this.#chooseDisplacement(kind);
    this.#subtract(displacement, displacement < 0 ? -1 : 0);
    registers[2 * base] = this.#low;
    registers[2 * base + 1] = this.#high;
    this.#state.settle(base);
    uses[base] = index < 0 && kind === 0 && !this.#hasSegmentBase() ? POINTER : TAKEN;
    // Only the low half counts with 32-bit addresses. Seldom the address is not canonical.
    if (this.#instruction.address32) registers[2 * base + 1] = random.next();
    else if (!quiet && random.chance(1)) {
      registers[2 * base + 1] = random.next();
      this.#instruction.memory = -1;
    }
    this.#encode(base, index, scale, displacement, kind);
  }

  #chooseDisplacement(kind: number): number {
    const { random } = this.#state;
    if (kind === 0) return 0;
    if (kind === 1) return random.below(256) - 128;
    return random.chance(50) ? random.below(0x4000) - 0x2000 : random.next() | 0;
  }

  /** An index register whose value is known or is chosen now; the base makes up for it. */
  #chooseIndex(base: number, scale: number): number {
    const { random, uses, draft } = this.#state;
    const index = random.below(16);
    if (index === base || index === RSP || uses[index] === CHANGED) return -1;
    if (uses[index] === FREE) {
      if (random.chance(80)) putSigned(draft.registers, index, random.below(80) - 16);
      uses[index] = TAKEN;
    }
    this.#state.settle(index);
    const low = draft.registers[2 * index]!;
    const high = draft.registers[2 * index + 1]!;
    this.#subtract(low << scale, scale === 0 ? high : (high << scale) | (low >>> (32 - scale)));
    return index;
  }

  #fromPointer(pointer: number): void {
    const { random, draft, quiet } = this.#state;
    const value = draft.registers[2 * pointer]!;
    if (random.chance(40)) return this.#encode(pointer, -1, 0, (this.#low - value) | 0, 2);
    // The pointer itself, or near it, instead of the address chosen before.
    const near = random.chance(50) ? 0 : random.below(64) & (quiet ? -32 : -8);
    this.#instruction.memory = value + near;
    this.#encode(pointer, -1, 0, near, near === 0 ? 0 : 1);
  }

  /** ModRM, SIB and a displacement of 0, 8 or 32 bits (kind 0, 1, 2). */
  #encode(base: number, index: number, scale: number, displacement: number, kind: number): void {
    const instruction = this.#instruction;
    const mod = kind === 0 && (base & 7) === RBP ? 1 : kind;
    instruction.mod = mod;
    if (base > 7) instruction.rex |= 1;
    if (index >= 0 || (base & 7) === RSP || this.#state.random.chance(5)) {
      instruction.rm = 4;
      instruction.tail.push((scale << 6) | ((index < 0 ? NO_SIB_INDEX : index & 7) << 3) | (base & 7));
      if (index > 7) instruction.rex |= 2;
    } else instruction.rm = base & 7;
    instruction.append(displacement, [0, 8, 32][mod]!);
  }
}
