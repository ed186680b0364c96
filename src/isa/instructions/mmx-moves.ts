import { CR0 } from "../../layout/cpu-state.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import { nonTemporal, selectedBytes } from "./sse-moves.ts";
import { sdm } from "./sse2-packed-forms.ts";

/** Not unit `mmx`: it leaves the x87 registers empty instead of full. */
const emms = instruction({
  mnemonic: "emms",
  source: sdm("EMMS"),
  access: "",
  forms: [form("NP 0F 77")],
  execute(ops) {
    const cr0 = ops.state(CR0, 32);
    ops.raiseWhen(ops.bit(cr0, 2), "#UD");
    ops.system("x87Check");
    ops.perform("mmxEmpty");
  },
});

/** Deviation: on AMD processors one that faults marks the x87 registers as full all the same. */
const maskmovq = instruction({
  mnemonic: "maskmovq",
  source: sdm("MASKMOVQ"),
  access: "rw r r",
  unit: "mmx",
  forms: [form("NP 0F F7 /r", "m64:rdi, mm, mm:rm")],
  execute(ops, dst, src, mask) {
    return ops.low64(selectedBytes(ops, ops.vector64(dst), ops.vector64(src), ops.vector64(mask)));
  },
});

const movdFromGeneral = instruction({
  mnemonic: "movd",
  source: sdm("MOVD/MOVQ"),
  access: "w r",
  unit: "mmx",
  forms: [form("NP 0F 6E /r", "mm, rm:y")],
  execute(ops, _dst, src) {
    return ops.zeroExtend(src, 64);
  },
});

const movdToGeneral = instruction({
  mnemonic: "movd",
  source: sdm("MOVD/MOVQ"),
  access: "w r",
  unit: "mmx",
  forms: [form("NP 0F 7E /r", "rm:y, mm")],
  execute(ops, _dst, src) {
    return ops.truncate(src, ops.operandBits === 64 ? 64 : 32);
  },
});

const movq = instruction({
  mnemonic: "movq",
  source: sdm("MOVQ"),
  access: "w r",
  unit: "mmx",
  forms: [form("NP 0F 6F /r", "mm, mm/m64"), form("NP 0F 7F /r", "mm/m64, mm")],
  execute(_ops, _dst, src) {
    return src;
  },
});

const movdq2q = instruction({
  mnemonic: "movdq2q",
  source: sdm("MOVDQ2Q"),
  access: "w r",
  unit: "sse",
  forms: [form("F2 0F D6 /r", "mm, xmm:rm")],
  execute(ops, _dst, src) {
    ops.system("x87Check");
    ops.perform("mmxEnter");
    return ops.low64(src);
  },
});

const movq2dq = instruction({
  mnemonic: "movq2dq",
  source: sdm("MOVQ2DQ"),
  access: "w r",
  unit: "sse",
  forms: [form("F3 0F D6 /r", "xmm, mm:rm")],
  execute(ops, _dst, src) {
    ops.system("x87Check");
    ops.perform("mmxEnter");
    return ops.vector64(src);
  },
});

/** Moves to and from MMX registers, and the end of MMX code. */
export const mmxMoves: readonly Instruction[] = [
  emms,
  maskmovq,
  movdFromGeneral,
  movdToGeneral,
  movdq2q,
  nonTemporal("movntq", "NP 0F E7 /r", "m64, mm", "mmx"),
  movq,
  movq2dq,
];
