import { type CaseState, CHANGED, RAX, RDX } from "./case-state.ts";
import {
  cornerControlWord,
  cornerFloat32,
  cornerMxcsr,
  putFloat64,
  putFloat80,
  putInteger,
} from "./corner-values.ts";
import type { EncodingShape } from "./encoding-shape.ts";

const scratch = new Uint32Array(4);

/** Gives the memory operand at `address` a value that suits the instruction, or leaves what is there. */
export function chooseContents(
  state: CaseState,
  shape: EncodingShape,
  address: number,
  bytes: number,
  size: number,
): void {
  const { random } = state;
  const { mnemonic } = shape.instruction;
  if (mnemonic === "jmp" || mnemonic === "call") {
    if (state.quiet || random.chance(95)) state.patchTarget(address);
  } else if (/^v?ldmxcsr$/.test(mnemonic)) {
    if (state.quiet || random.chance(95)) state.patchValue(address, mxcsr(state), 0);
  } else if (mnemonic === "fldcw") state.patchValue(address, controlWord(state), 0);
  else if (mnemonic === "fldenv" || mnemonic === "frstor")
    state.patchValue(address, controlWord(state), random.chance(70) ? 0 : random.next());
  else if (mnemonic.startsWith("fxrstor")) {
    if (state.quiet || random.chance(95)) state.patchValue(address + 24, mxcsr(state), 0);
    state.patchValue(address, controlWord(state) | ((random.next() & 0x7f00) << 16), random.below(256));
  } else if (mnemonic.startsWith("cmpxchg") && random.chance(50)) accumulator(state, mnemonic, address, size);
  else if (random.chance(45)) {
    corner(state, shape, address, bytes);
    if ((address & 7) + bytes > 8) corner(state, shape, address + 8, bytes);
  }
}

const MXCSR_MASKS = 0x1f80;
const X87_MASKS = 0x3f;

function mxcsr({ random, quiet }: CaseState): number {
  return cornerMxcsr(random) | (quiet ? MXCSR_MASKS : 0);
}

function controlWord({ random, quiet }: CaseState): number {
  return cornerControlWord(random) | (quiet ? X87_MASKS : 0);
}

/** What CMPXCHG compares with, so that it succeeds. */
function accumulator(state: CaseState, mnemonic: string, address: number, size: number): void {
  const { registers } = state.draft;
  if (state.uses[RAX] === CHANGED || state.uses[RDX] === CHANGED) return;
  for (const register of [RAX, RDX]) {
    state.take(register);
    state.settle(register);
  }
  const pair = mnemonic !== "cmpxchg";
  const wide = mnemonic === "cmpxchg16b" || (pair && size === 64);
  state.patchValue(
    address,
    registers[2 * RAX]!,
    pair && !wide ? registers[2 * RDX]! : registers[2 * RAX + 1]!,
  );
  if (wide) state.patchValue(address + 8, registers[2 * RDX]!, registers[2 * RDX + 1]!);
}

/** A corner value of the instruction's kind. */
function corner(state: CaseState, shape: EncodingShape, address: number, bytes: number): void {
  const { random } = state;
  const { unit } = shape.instruction;
  if (unit === "x87" && bytes === 10) {
    putFloat80(random, scratch, 0);
    state.patchValue(address + 8, scratch[2]!, scratch[3]!);
  } else if (unit === "general" || unit === "mmx" || random.chance(30)) putInteger(random, scratch, 0);
  else if (bytes === 4 || (bytes === 16 && random.chance(50))) {
    scratch[0] = cornerFloat32(random);
    scratch[1] = cornerFloat32(random);
  } else putFloat64(random, scratch, 0);
  state.patchData(address, scratch[0]!, scratch[1]!);
}
