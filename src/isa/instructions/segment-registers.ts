import { form, instruction, not64 } from "../instruction.ts";
import { shadowInterrupts } from "./stack.ts";

// Numbers of segment registers.
const CS = 1;
const SS = 2;
const GS = 5;

/** To a register: zero-extended to the operand size. */
export const movFromSegment = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV",
  access: "w r",
  forms: [form("8C /r", "r:v:rm, sreg")],
  execute(ops, _dst, segment) {
    ops.raiseWhen(ops.lessUnsigned(ops.constant(GS, 32), segment), "#UD");
    return ops.zeroExtend(ops.selectorOf(segment), ops.operandBits);
  },
});

/** To memory: 16 bits, whatever the operand size. */
export const movFromSegmentToMemory = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV",
  access: "w r",
  forms: [form("8C /r", "m16, sreg")],
  execute(ops, _dst, segment) {
    ops.raiseWhen(ops.lessUnsigned(ops.constant(GS, 32), segment), "#UD");
    return ops.selectorOf(segment);
  },
});

export const movToSegment = instruction({
  mnemonic: "mov",
  source: "Intel SDM Vol. 2B, MOV",
  access: "r r",
  forms: [form("8E /r", "sreg, r:v/m16")],
  execute(ops, segment, selector) {
    const isCS = ops.equal(segment, ops.constant(CS, 32));
    ops.raiseWhen(ops.or(isCS, ops.lessUnsigned(ops.constant(GS, 32), segment)), "#UD");
    ops.system("loadSegment", segment, ops.truncate(selector, 16));
    shadowInterrupts(ops, segment);
  },
});

/** LDS and its like: a far pointer from memory, the offset first. */
function loadFarPointer(mnemonic: string, opcode: string, segment: number, attributes = {}) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2A, LDS/LES/LFS/LGS/LSS",
    access: "w r",
    forms: [form(`${opcode} /r`, "r:v, m", attributes)],
    execute(ops, _dst, address) {
      const bits = ops.operandBits as 16 | 32 | 64;
      const offset = ops.keep(ops.load(bits, address));
      const selector = ops.load(16, ops.add(address, ops.constant(bits / 8, 64)));
      ops.system("loadSegment", ops.constant(segment, 32), selector);
      return offset;
    },
  });
}

// biome-ignore format: a table
export const segmentRegisters = [
  movFromSegment, movFromSegmentToMemory, movToSegment,
  loadFarPointer("les", "C4", 0, not64),
  loadFarPointer("lds", "C5", 3, not64),
  loadFarPointer("lss", "0F B2", SS),
  loadFarPointer("lfs", "0F B4", 4),
  loadFarPointer("lgs", "0F B5", GS),
] as const;
