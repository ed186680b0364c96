// Where Intel's processors access memory otherwise than AMD's.
import type { EncodingShape } from "../encoding-shape.ts";
import { isFault, type VendorRule } from "./rule.ts";
import { decodeStep, ResultMemory } from "./step.ts";

const PAGE_FAULT = 14;
const GENERAL_PROTECTION = 13;
const ALIGNMENT_FAULT = 17;
const ALIGNMENT_CHECK = 0x4_0000n;
const RCX = 1;
const RSP = 4;
const STRING_REGISTERS = [RCX, 6, 7];

const isWideVector = ({ instruction, operands }: EncodingShape): boolean =>
  instruction.unit !== "x87" &&
  (/^vcvt(ph2ps|ps2ph)$/.test(instruction.mnemonic) ||
    operands.some(({ memory, file, bits }) => memory && file !== "general" && bits >= 128));

/**
 * No #AC for vectors of 16 and 32 bytes that may lie anywhere, and none for VCVTPH2PS and VCVTPS2PH: SDM 2A,
 * "Exceptions Type 2", 4 and 11 have none, and MOVUPS and its like say that the treatment of #AC varies.
 */
export const alignmentChecks: VendorRule = {
  reason: "#AC for a vector of 16 or 32 bytes",
  concerns: isWideVector,
  undo(step) {
    const { judged, theirs } = step;
    const checked = isFault(theirs, step, ALIGNMENT_FAULT) && (theirs.rflags & ALIGNMENT_CHECK) !== 0n;
    return checked && judged.vector !== ALIGNMENT_FAULT ? theirs : judged;
  },
};

/** A page fault of MASKMOVDQU or MASKMOVQ names the first byte that would be stored, not that of the operand. */
export const maskedStores: VendorRule = {
  reason: "which byte of a masked store faults",
  concerns: ({ instruction }) => /^v?maskmov(q|dqu)$/.test(instruction.mnemonic),
  undo(step) {
    const { judged, theirs, before, shape } = step;
    if (![judged, theirs].every((result) => isFault(result, step, PAGE_FAULT))) return judged;
    const { rm } = decodeStep(step);
    const bytes = shape.instruction.mnemonic === "maskmovq" ? 8 : 16;
    const top = (before.image[3]! >> 3) & 7;
    // MMX register n is x87 register n, and these stand in stack order.
    const at = bytes === 16 ? 160 + 16 * rm : 32 + 16 * (((rm & 7) - top) & 7);
    const mask = before.image.subarray(at, at + bytes);
    const offset = Number(BigInt.asIntN(64, judged.cr2 - theirs.cr2));
    const selected = ((mask[offset] ?? 0) & 0x80) !== 0;
    return selected ? { ...judged, cr2: theirs.cr2 } : judged;
  },
};

/** CALL to an address that is not canonical has pushed the return address when it faults. RSP is as before. */
export const callsAstray: VendorRule = {
  reason: "the return address of a CALL that faults",
  concerns: ({ instruction }) => instruction.mnemonic === "call",
  undo(step) {
    const { before, judged, theirs, testCase } = step;
    if (![judged, theirs].every((result) => isFault(result, step, GENERAL_PROTECTION))) return judged;
    const stack = Number(before.registers[RSP]! - 8n);
    const returnAddress = step.address + decodeStep(step).length;
    const native = new ResultMemory(testCase, judged);
    const other = new ResultMemory(testCase, theirs);
    for (let i = 0; i < 8; i++) {
      if (native.byte(stack + i) !== Math.floor(returnAddress / 256 ** i) % 256) return judged;
      native.setByte(stack + i, other.byte(stack + i));
    }
    return { ...judged, changes: native.changes, changedWords: native.changes.length };
  },
};

const low32 = (value: bigint) => value & 0xffff_ffffn;

/** A repeated string instruction with addresses of 32 bits and a count of 0 clears the upper halves of its registers. */
export const emptyRepetitions: VendorRule = {
  reason: "upper halves of registers after no repetition with 32-bit addresses",
  concerns: ({ form }) => form.repeatable === true,
  undo(step) {
    const { before, judged, theirs } = step;
    const { addressBits, repeat } = decodeStep(step);
    if (addressBits !== 32 || repeat === 0 || low32(before.registers[RCX]!) !== 0n) return judged;
    const registers = judged.registers.map((value, i) =>
      STRING_REGISTERS.includes(i) && value === low32(theirs.registers[i]!) ? theirs.registers[i]! : value,
    );
    return { ...judged, registers };
  },
};
