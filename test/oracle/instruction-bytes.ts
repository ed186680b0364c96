import type { CaseState } from "./case-state.ts";
import type { EncodingShape, VexFields } from "./encoding-shape.ts";

/** One instruction while its parts are chosen. */
export class InstructionBytes {
  readonly prefixes: number[] = [];
  readonly opcode: number[] = [];
  /** The form's VEX prefix, and what it holds besides REX's bits. */
  vex: VexFields | undefined;
  vvvv = 0;
  vexLength = 0;
  /** Operand size in bits. */
  size = 32;
  /** REX.W, R, X, B; and whether there is a REX prefix even if they are all 0. */
  rex = 0;
  forceRex = false;
  address32 = false;
  /** Segment prefix; 0 for none. */
  segment = 0;
  mod = 3;
  reg = 0;
  rm = 0;
  /** Address that a RIP-relative displacement leads to; -1 for none. */
  ripAddress = -1;
  /** SIB, displacement, immediates. */
  readonly tail: number[] = [];
  /** Position in the tail of a branch displacement, its size and where it leads. */
  relativeAt = -1;
  relativeKind: "rel8" | "rel32" = "rel8";
  relativeTarget = 0;
  /** Address of the memory operand; -1 when there is none, or it is not known. */
  memory = -1;

  begin(shape: EncodingShape): void {
    this.prefixes.length = 0;
    this.opcode.length = 0;
    for (const byte of shape.opcode) this.opcode.push(byte);
    this.vex = shape.vex;
    this.vvvv = 0;
    this.rex = 0;
    this.segment = 0;
    this.mod = 3;
    this.reg = shape.digit >= 0 ? shape.digit : 0;
    this.rm = 0;
    this.ripAddress = -1;
    this.tail.length = 0;
    this.relativeAt = -1;
    this.memory = -1;
  }

  get regNumber(): number {
    return this.reg | (this.rex & 4 ? 8 : 0);
  }

  get rmNumber(): number {
    return this.rm | (this.rex & 1 ? 8 : 0);
  }

  setReg(register: number): void {
    this.reg = register & 7;
    if (register > 7) this.rex |= 4;
  }

  setRm(register: number): void {
    this.rm = register & 7;
    if (register > 7) this.rex |= 1;
  }

  /** Puts a register into the opcode's low three bits. */
  setOpcodeRegister(register: number): void {
    this.opcode[this.opcode.length - 1]! |= register & 7;
    if (register > 7) this.rex |= 1;
  }

  get opcodeRegister(): number {
    return (this.opcode.at(-1)! & 7) | (this.rex & 1 ? 8 : 0);
  }

  /** Appends the low `bits` bits of a value to the tail. */
  append(value: number, bits: number): void {
    for (let i = 0; i < bits; i += 8) this.tail.push((value >> i) & 0xff);
  }

  /** The short prefix where it can be, unless `forceRex`. */
  #writeVex(code: Uint8Array, from: number, { map, pp }: VexFields): number {
    let at = from;
    const rest = ((~this.vvvv & 15) << 3) | (this.vexLength << 2) | pp;
    if (map === 1 && (this.rex & 0xb) === 0 && !this.forceRex) {
      code[at++] = 0xc5;
      code[at++] = (this.rex & 4 ? 0 : 0x80) | rest;
      return at;
    }
    code[at++] = 0xc4;
    code[at++] = ((~this.rex & 7) << 5) | map;
    code[at++] = (this.rex & 8 ? 0x80 : 0) | rest;
    return at;
  }

  /** Appends the finished instruction to the case's code. */
  write(state: CaseState, modrm: boolean): void {
    const { code } = state.draft;
    let at = state.draft.codeBytes;
    state.starts.push(at);
    for (const prefix of this.prefixes) code[at++] = prefix;
    if (this.vex !== undefined) at = this.#writeVex(code, at, this.vex);
    else if (this.rex !== 0 || this.forceRex) code[at++] = 0x40 | this.rex;
    for (const byte of this.opcode) code[at++] = byte;
    if (modrm) code[at++] = (this.mod << 6) | (this.reg << 3) | this.rm;
    const displacement = at;
    if (this.ripAddress >= 0) at += 4;
    const tail = at;
    for (const byte of this.tail) code[at++] = byte;
    if (this.ripAddress >= 0) state.addFixup("rip", displacement, this.ripAddress, at);
    if (this.relativeAt >= 0)
      state.addFixup(this.relativeKind, tail + this.relativeAt, this.relativeTarget, at);
    state.draft.codeBytes = at;
  }
}
