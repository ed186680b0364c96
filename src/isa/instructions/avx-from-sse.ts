import type { IsaFeature } from "../features.ts";
import type { Instruction } from "../instruction.ts";
import { crypto } from "./crypto.ts";
import { sseArithmetic } from "./sse-arithmetic.ts";
import { sseCompare } from "./sse-compare.ts";
import { sseConversions } from "./sse-conversions.ts";
import { sseMoves } from "./sse-moves.ts";
import { sse2Integer } from "./sse2-integer.ts";
import { sse2Logic } from "./sse2-logic.ts";
import { sse2Shuffles } from "./sse2-shuffles.ts";
import { sse3 } from "./sse3.ts";
import { sse41Float } from "./sse41-float.ts";
import { sse41Integer } from "./sse41-integer.ts";
import { sse41Lanes } from "./sse41-lanes.ts";
import { sse42 } from "./sse42.ts";
import { ssse3 } from "./ssse3.ts";
import { type VexOptions, vex } from "./vex-forms.ts";

// Which SSE instructions have VEX rows, and which of these have 256 bits.

const AVX: readonly IsaFeature[] = ["avx"];
const AVX2: readonly IsaFeature[] = ["avx2"];

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean));

/** No VEX rows, or others (avx.ts): operands in MMX registers, XMM0 implied, more predicates. */
const WITHOUT =
  words(`cvtpi2pd cvtpi2ps cvtpd2pi cvtps2pi cvttpd2pi cvttps2pi crc32 blendvpd blendvps pblendvb
  cmppd cmpps cmpsd cmpss`);

/** 256 bits came with AVX. */
const WIDE_IN_AVX = words(`movapd movaps movdqa movdqu movntdq movntpd movntps movupd movups lddqu
  addpd addps divpd divps maxpd maxps minpd minps mulpd mulps rcpps rsqrtps sqrtpd sqrtps subpd subps
  andnpd andnps andpd andps orpd orps xorpd xorps shufps unpckhpd unpckhps unpcklpd unpcklps
  cvtdq2ps cvtps2dq cvttps2dq addsubpd addsubps haddpd haddps hsubpd hsubps movddup movshdup movsldup
  roundpd roundps`);

/** In the upper half, the immediate's next bits count. */
const WIDE_BY_IMMEDIATE: Readonly<Record<string, VexOptions>> = {
  blendpd: { wide: AVX, immediateShift: 2 },
  blendps: { wide: AVX, immediateShift: 4 },
  shufpd: { wide: AVX, immediateShift: 2 },
  mpsadbw: { wide: AVX2, immediateShift: 3 },
};

/** Integer instructions without a row of 256 bits that does the same in each half. */
const NARROW = words(`pextrb pextrw pextrd pinsrb pinsrw pinsrd pmovmskb phminposuw ptest
  pcmpestri pcmpestrm pcmpistri pcmpistrm`);

function optionsFor(source: Instruction): VexOptions {
  const { mnemonic, features } = source;
  const byImmediate = WIDE_BY_IMMEDIATE[mnemonic];
  if (byImmediate !== undefined) return byImmediate;
  if (WIDE_IN_AVX.has(mnemonic)) return { wide: AVX };
  if (features.includes("aes")) return /^aes(enc|dec)/.test(mnemonic) ? { wide: ["avx", "vaes"] } : {};
  if (features.includes("pclmulqdq")) return { wide: ["avx", "vpclmulqdq"] };
  const isInteger = mnemonic.startsWith("p") && !NARROW.has(mnemonic) && !/^pmov[sz]x/.test(mnemonic);
  return isInteger || mnemonic === "movntdqa" ? { wide: AVX2 } : {};
}

const SOURCES: readonly (readonly Instruction[])[] = [
  sseMoves,
  sseArithmetic,
  sseCompare,
  sseConversions,
  sse2Integer,
  sse2Logic,
  sse2Shuffles,
  sse3,
  ssse3,
  sse41Integer,
  sse41Lanes,
  sse41Float,
  sse42,
  crypto,
];

/** The VEX rows of SSE instructions. */
export const avxFromSse: readonly Instruction[] = SOURCES.flat()
  .filter(
    ({ unit, mnemonic, features }) => unit === "sse" && !WITHOUT.has(mnemonic) && !features.includes("sha"),
  )
  .flatMap((source) => vex(source, optionsFor(source)));
