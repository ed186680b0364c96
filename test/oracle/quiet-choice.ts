import { type CaseState, FREE, POINTER, RBP, RBX, RCX, RDI, RSI, RSP } from "./case-state.ts";
import type { EncodingShape } from "./encoding-shape.ts";

/** What faults in 64-bit user code whatever its operands, or with nearly all of them. */
const FAULTS_ALWAYS = /^(int3|ud[012]|enter|vp?gather.*|clac|stac|cli|sti|swapgs|xsetbv)$/;
const STACK = /^(push|pop|call|leave)/;
const BIT_STRING = /^bt[rsc]?$/;
const DIVISIONS = /^i?div$/;
/** Of these so many in a hundred are let through. */
const DIVISION_PERCENT = 10;
/** What ends a case (see Generator): let through so seldom that most cases become long. */
const ENDING_PERCENT = 25;

/** Whether an instruction will probably complete in the state that the earlier ones leave. For long cases. */
export function isLikelyToComplete(shape: EncodingShape, state: CaseState): boolean {
  const { random } = state;
  const { mnemonic } = shape.instruction;
  if (shape.form.not64 === true || shape.privileged || FAULTS_ALWAYS.test(mnemonic)) return false;
  if ((shape.approximate || shape.savesPointers) && !random.chance(ENDING_PERCENT)) return false;
  // A bit offset in a register reaches far beyond the operand.
  if (BIT_STRING.test(mnemonic) && !shape.operands[0]!.register && shape.operands[1]!.place === "reg")
    return false;
  if (DIVISIONS.test(mnemonic)) return random.chance(DIVISION_PERCENT);
  if (shape.form.repeatable) return state.canPoint(RSI) && state.canPoint(RDI) && state.uses[RCX] === FREE;
  if (mnemonic === "ret") return state.uses[RSP] === POINTER;
  if (mnemonic === "leave") return state.canPoint(RBP);
  const leadsElsewhere = /^(jmp|call)$/.test(mnemonic) && shape.modrm;
  if (leadsElsewhere && state.find(FREE) < 0) return false;
  if (STACK.test(mnemonic)) return state.hasStack;
  if (mnemonic.startsWith("xlat")) return state.canPoint(RBX);
  if (/^v?maskmov(q|dqu)$/.test(mnemonic)) return state.canPoint(RDI);
  return true;
}
