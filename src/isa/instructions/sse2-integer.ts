import type { Instruction } from "../instruction.ts";
import type { LaneBits, LaneOp } from "../ops.ts";
import { type Combine, packed } from "./sse2-packed-forms.ts";

const lanes =
  (op: LaneOp, bits: LaneBits): Combine =>
  (ops, a, b) =>
    ops.laneOp(op, bits, a, b);

const ADD = "PADDB/PADDW/PADDD/PADDQ";
const ADD_SIGNED = "PADDSB/PADDSW";
const ADD_UNSIGNED = "PADDUSB/PADDUSW";
const SUBTRACT = "PSUBB/PSUBW/PSUBD";
const SUBTRACT_SIGNED = "PSUBSB/PSUBSW";
const SUBTRACT_UNSIGNED = "PSUBUSB/PSUBUSW";
const AVERAGE = "PAVGB/PAVGW";
const EQUAL = "PCMPEQB/PCMPEQW/PCMPEQD";
const GREATER = "PCMPGTB/PCMPGTW/PCMPGTD";
const MAXIMUM_SIGNED = "PMAXSB/PMAXSW/PMAXSD/PMAXSQ";
const MAXIMUM_UNSIGNED = "PMAXUB/PMAXUW";
const MINIMUM_SIGNED = "PMINSB/PMINSW";
const MINIMUM_UNSIGNED = "PMINUB/PMINUW";

/** Arithmetic and comparisons on packed integers, in MMX and XMM registers; the manual's order. */
export const sse2Integer: readonly Instruction[] = [
  ...packed("paddb", ADD, "0F FC", lanes("add", 8)),
  ...packed("paddw", ADD, "0F FD", lanes("add", 16)),
  ...packed("paddd", ADD, "0F FE", lanes("add", 32)),
  ...packed("paddq", ADD, "0F D4", lanes("add", 64)),
  ...packed("paddsb", ADD_SIGNED, "0F EC", lanes("addSaturateSigned", 8)),
  ...packed("paddsw", ADD_SIGNED, "0F ED", lanes("addSaturateSigned", 16)),
  ...packed("paddusb", ADD_UNSIGNED, "0F DC", lanes("addSaturateUnsigned", 8)),
  ...packed("paddusw", ADD_UNSIGNED, "0F DD", lanes("addSaturateUnsigned", 16)),
  ...packed("pavgb", AVERAGE, "0F E0", lanes("averageUnsigned", 8)),
  ...packed("pavgw", AVERAGE, "0F E3", lanes("averageUnsigned", 16)),
  ...packed("pcmpeqb", EQUAL, "0F 74", lanes("equal", 8)),
  ...packed("pcmpeqw", EQUAL, "0F 75", lanes("equal", 16)),
  ...packed("pcmpeqd", EQUAL, "0F 76", lanes("equal", 32)),
  ...packed("pcmpgtb", GREATER, "0F 64", lanes("greaterSigned", 8)),
  ...packed("pcmpgtw", GREATER, "0F 65", lanes("greaterSigned", 16)),
  ...packed("pcmpgtd", GREATER, "0F 66", lanes("greaterSigned", 32)),
  ...packed("pmaddwd", "PMADDWD", "0F F5", (ops, a, b) => ops.multiplyAddPairs(a, b)),
  ...packed("pmaxsw", MAXIMUM_SIGNED, "0F EE", lanes("maxSigned", 16)),
  ...packed("pmaxub", MAXIMUM_UNSIGNED, "0F DE", lanes("maxUnsigned", 8)),
  ...packed("pminsw", MINIMUM_SIGNED, "0F EA", lanes("minSigned", 16)),
  ...packed("pminub", MINIMUM_UNSIGNED, "0F DA", lanes("minUnsigned", 8)),
  ...packed("pmulhuw", "PMULHUW", "0F E4", lanes("multiplyHighUnsigned", 16)),
  ...packed("pmulhw", "PMULHW", "0F E5", lanes("multiplyHighSigned", 16)),
  ...packed("pmullw", "PMULLW", "0F D5", lanes("multiply", 16)),
  ...packed("pmuludq", "PMULUDQ", "0F F4", (ops, a, b) => ops.multiplyEvenUnsigned(a, b)),
  ...packed("psadbw", "PSADBW", "0F F6", (ops, a, b) => ops.sumAbsoluteDifferences(a, b)),
  ...packed("psubb", SUBTRACT, "0F F8", lanes("subtract", 8)),
  ...packed("psubw", SUBTRACT, "0F F9", lanes("subtract", 16)),
  ...packed("psubd", SUBTRACT, "0F FA", lanes("subtract", 32)),
  ...packed("psubq", "PSUBQ", "0F FB", lanes("subtract", 64)),
  ...packed("psubsb", SUBTRACT_SIGNED, "0F E8", lanes("subtractSaturateSigned", 8)),
  ...packed("psubsw", SUBTRACT_SIGNED, "0F E9", lanes("subtractSaturateSigned", 16)),
  ...packed("psubusb", SUBTRACT_UNSIGNED, "0F D8", lanes("subtractSaturateUnsigned", 8)),
  ...packed("psubusw", SUBTRACT_UNSIGNED, "0F D9", lanes("subtractSaturateUnsigned", 16)),
];
