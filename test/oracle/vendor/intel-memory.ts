// Where Intel's processors access memory otherwise than AMD's.
import type { EncodingShape } from "../encoding-shape.ts";
import { IMAGE_YMM, PAGE_BYTES } from "../protocol.ts";
import {
  ALIGNMENT_FAULT,
  GENERAL_PROTECTION,
  isFault,
  MEMORY_FAULTS,
  PAGE_FAULT,
  type VendorRule,
} from "./rule.ts";
import { decodeStep, linearAddress, operandAddress, ResultMemory } from "./step.ts";

const ALIGNMENT_CHECK = 0x4_0000n;
const PAGE = BigInt(PAGE_BYTES);
const RCX = 1;
const RSP = 4;
const RSI = 6;
const RDI = 7;
const STRING_REGISTERS = [RCX, RSI, RDI];

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

/** MASKMOVDQU stores its upper 8 bytes first; and of each 8 bytes on two pages, either page may fault. */
export const maskedStores: VendorRule = {
  reason: "which half of a MASKMOVDQU faults",
  concerns: ({ instruction }) => /^v?maskmovdqu$/.test(instruction.mnemonic),
  undo(step) {
    const { before, judged, theirs } = step;
    if (![judged, theirs].every((result) => isFault(result, step, PAGE_FAULT))) return judged;
    const distance = (address: bigint) => BigInt.asUintN(64, judged.cr2 - address);
    const isUpper = distance(linearAddress(step, before.registers[RDI]! + 8n)) === 0n;
    const isSecondPage =
      judged.cr2 % PAGE === 0n && distance(linearAddress(step, before.registers[RDI]!)) < 16n;
    if (!isUpper && !isSecondPage) return judged;
    const { cr2, errorCode } = theirs;
    return { ...judged, cr2, errorCode: cr2 / PAGE === judged.cr2 / PAGE ? judged.errorCode : errorCode };
  },
};

/** VMASKMOV and VPMASKMOV on two pages: CR2 is the last byte of a selected element, not its first. */
export const maskedElements: VendorRule = {
  reason: "which byte of a VMASKMOV on two pages faults",
  concerns: ({ instruction }) => /^vp?maskmov(ps|pd|d|q)$/.test(instruction.mnemonic),
  undo(step) {
    const { before, judged, shape, theirs } = step;
    if (![judged, theirs].every((result) => isFault(result, step, PAGE_FAULT))) return judged;
    const bytes = /(pd|q)$/.test(shape.instruction.mnemonic) ? 8 : 4;
    const offset = Number(BigInt.asIntN(64, judged.cr2 - operandAddress(step)));
    const half = offset < 16 ? 160 : IMAGE_YMM;
    const sign = before.image[half + 16 * decodeStep(step).vvvv + (offset & 15)] ?? 0;
    const isLastOfSelected = offset > 0 && offset < 32 && offset % bytes === bytes - 1 && (sign & 0x80) !== 0;
    const samePage = judged.cr2 / PAGE === theirs.cr2 / PAGE;
    return isLastOfSelected && samePage ? { ...judged, cr2: theirs.cr2 } : judged;
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
    return native.resultBeside(theirs);
  },
};

const low32 = (value: bigint) => value & 0xffff_ffffn;

/**
 * A repeated string instruction with addresses of 32 bits has cleared the upper halves of its registers when its count is 0,
 * and when it faults before the first element.
 */
export const shortAddresses: VendorRule = {
  reason: "upper halves of registers after a repetition with 32-bit addresses",
  concerns: ({ form }) => form.repeatable === true,
  undo(step) {
    const { before, judged, theirs } = step;
    const { addressBits, repeat } = decodeStep(step);
    const faults = MEMORY_FAULTS.some((vector) => isFault(judged, step, vector));
    const isEmpty = low32(before.registers[RCX]!) === 0n;
    if (addressBits !== 32 || repeat === 0 || !(faults || isEmpty)) return judged;
    const registers = judged.registers.map((value, i) =>
      STRING_REGISTERS.includes(i) && value === low32(theirs.registers[i]!) ? theirs.registers[i]! : value,
    );
    return { ...judged, registers };
  },
};

/**
 * MOVSXD with an operand size of 16 bits reads 2 bytes (SDM 2B "MOVSXD": r16, r/m16); AMD's processors read 4 and
 * use 2. So what is wrong with the other two, or with an address that is no multiple of 4, is none of Intel's affairs.
 */
export const shortExtensions: VendorRule = {
  reason: "bytes that MOVSXD of 16 bits reads",
  concerns: ({ instruction }) => instruction.mnemonic === "movsxd",
  undo(step) {
    const { judged, theirs } = step;
    const { isMemory, operandBits } = decodeStep(step);
    if (!isMemory || operandBits !== 16) return judged;
    const address = operandAddress(step);
    const lacksUpper = address % PAGE === PAGE - 2n || address % PAGE === PAGE - 3n;
    const isUnaligned = address % 4n === 2n && isFault(theirs, step, ALIGNMENT_FAULT);
    const isAbsent = lacksUpper && isFault(theirs, step, PAGE_FAULT);
    return isUnaligned || isAbsent ? theirs : judged;
  },
};
