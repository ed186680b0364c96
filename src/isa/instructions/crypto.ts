import type { HelperName } from "../helpers.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";

// AES rounds and carry-less products are functions of src/core; SHA's rounds are written here.

/** What a helper makes of a vector, given and left as two halves. */
function transformed<V>(ops: Ops<V>, helper: HelperName, src: V, ...rest: V[]): V {
  ops.perform(helper, ops.lane(64, src, 0), ops.lane(64, src, 1), ...rest);
  return ops.fromLanes([ops.keep(ops.helperResult(0)), ops.keep(ops.helperResult(1))]);
}

/** A round of AES on the first operand; the second is the round's key. */
function aesRound(
  mnemonic: string,
  opcode: string,
  helper: "aesEncrypt" | "aesDecrypt",
  last: 0 | 1,
): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    unit: "sse",
    features: ["aes"],
    forms: [form(`66 0F 38 ${opcode} /r`, "xmm, xmm/m128")],
    execute(ops, state, key) {
      return ops.xor(transformed(ops, helper, state, ops.constant(last, 32)), key);
    },
  });
}

const aesimc = instruction({
  mnemonic: "aesimc",
  source: sdm("AESIMC"),
  access: "w r",
  unit: "sse",
  features: ["aes"],
  forms: [form("66 0F 38 DB /r", "xmm, xmm/m128")],
  execute(ops, _dst, src) {
    return transformed(ops, "aesInverseMix", src);
  },
});

const aeskeygenassist = instruction({
  mnemonic: "aeskeygenassist",
  source: sdm("AESKEYGENASSIST"),
  access: "w r r",
  unit: "sse",
  features: ["aes"],
  forms: [form("66 0F 3A DF /r", "xmm, xmm/m128, imm8")],
  execute(ops, _dst, src, immediate) {
    const constant = ops.zeroExtend(immediate, 32);
    const pair = (lane: 1 | 3) => {
      const word = ops.keep(ops.call("aesSubstituteWord", ops.lane(32, src, lane)));
      return [word, ops.xor(ops.rotateRight(word, 8), constant)];
    };
    return ops.fromLanes([...pair(1), ...pair(3)]);
  },
});

const pclmulqdq = instruction({
  mnemonic: "pclmulqdq",
  source: sdm("PCLMULQDQ"),
  access: "rw r r",
  unit: "sse",
  features: ["pclmulqdq"],
  forms: [form("66 0F 3A 44 /r", "xmm, xmm/m128, imm8")],
  execute(ops, a, b, immediate) {
    const half = (v: typeof a, bit: number) =>
      ops.select(ops.bit(immediate, bit), ops.lane(64, v, 1), ops.lane(64, v, 0));
    ops.perform("multiplyCarryLess", half(a, 0), half(b, 4));
    return ops.fromLanes([ops.keep(ops.helperResult(0)), ops.keep(ops.helperResult(1))]);
  },
});

/** The instructions of SHA1 and SHA256. */
function sha(
  mnemonic: string,
  opcode: string,
  operands: string,
  execute: <V>(ops: Ops<V>, a: V, b: V, c: V) => V,
): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: operands.split(",").length === 3 ? "rw r r" : "rw r",
    unit: "sse",
    features: ["sha"],
    forms: [form(opcode, operands)],
    execute,
  });
}

/** The 32-bit lanes of a vector from the highest down, as the manual numbers words. */
const wordsOf = <V>(ops: Ops<V>, a: V): [V, V, V, V] => {
  const word = (lane: number) => ops.keep(ops.lane(32, a, lane));
  return [word(3), word(2), word(1), word(0)];
};
const fromWords = <V>(ops: Ops<V>, words: readonly V[]): V => ops.fromLanes([...words].reverse());
const sum = <V>(ops: Ops<V>, ...terms: V[]): V => terms.reduce((a, b) => ops.add(a, b));
const parity = <V>(ops: Ops<V>, a: V, b: V, c: V): V => ops.xor(ops.xor(a, b), c);
const choice = <V>(ops: Ops<V>, a: V, b: V, c: V): V => ops.xor(ops.and(a, b), ops.and(ops.not(a), c));
const majority = <V>(ops: Ops<V>, a: V, b: V, c: V): V =>
  parity(ops, ops.and(a, b), ops.and(a, c), ops.and(b, c));

/** FIPS 180-4, "SHA-1 Constants". */
const SHA1_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

const sha1rnds4 = sha(
  "sha1rnds4",
  "NP 0F 3A CC /r",
  "xmm, xmm/m128, imm8",
  (ops, state, message, immediate) => {
    const [low, high] = [ops.bit(immediate, 0), ops.bit(immediate, 1)];
    const byRound = (values: readonly (typeof state)[]) =>
      ops.select(high, ops.select(low, values[3]!, values[2]!), ops.select(low, values[1]!, values[0]!));
    const constant = ops.keep(byRound(SHA1_CONSTANTS.map((value) => ops.constant(value, 32))));
    const words = wordsOf(ops, message);
    let [a, b, c, d] = wordsOf(ops, state);
    let e = ops.constant(0, 32);
    for (const word of words) {
      const odd = parity(ops, b, c, d);
      const f = byRound([choice(ops, b, c, d), odd, majority(ops, b, c, d), odd]);
      const next = ops.keep(sum(ops, f, ops.rotateLeft(a, 5), word, e, constant));
      [a, b, c, d, e] = [next, a, ops.keep(ops.rotateLeft(b, 30)), c, d];
    }
    return fromWords(ops, [a, b, c, d]);
  },
);

const sha1nexte = sha("sha1nexte", "NP 0F 38 C8 /r", "xmm, xmm/m128", (ops, a, b) => {
  const e = ops.rotateLeft(ops.lane(32, a, 3), 30);
  return ops.withLane(b, 3, ops.add(ops.lane(32, b, 3), e));
});

const sha1msg1 = sha("sha1msg1", "NP 0F 38 C9 /r", "xmm, xmm/m128", (ops, a, b) => {
  // Words 2 to 5 of the row, above words 0 to 3.
  return ops.xor(ops.fromLanes([ops.lane(64, b, 1), ops.lane(64, a, 0)]), a);
});

const sha1msg2 = sha("sha1msg2", "NP 0F 38 CA /r", "xmm, xmm/m128", (ops, a, b) => {
  const [w12, w13, w14, w15] = wordsOf(ops, a);
  const [, w9, w10, w11] = wordsOf(ops, b);
  const next = (x: typeof a, y: typeof a) => ops.keep(ops.rotateLeft(ops.xor(x, y), 1));
  const first = next(w12, w9);
  return fromWords(ops, [first, next(w13, w10), next(w14, w11), next(w15, first)]);
});

const rotations = <V>(ops: Ops<V>, a: V, by: readonly [number, number, number]): V =>
  parity(ops, ops.rotateRight(a, by[0]), ops.rotateRight(a, by[1]), ops.rotateRight(a, by[2]));

/** FIPS 180-4, "SHA-224 and SHA-256 Functions": the two of the message schedule shift instead of the last rotation. */
const schedule = <V>(ops: Ops<V>, a: V, by: readonly [number, number], shift: number): V =>
  parity(ops, ops.rotateRight(a, by[0]), ops.rotateRight(a, by[1]), ops.shiftRight(a, shift));

const sha256rnds2 = sha("sha256rnds2", "NP 0F 38 CB /r", "xmm, xmm/m128, xmm0", (ops, cdgh, abef, keys) => {
  let [a, b, e, f] = wordsOf(ops, abef);
  let [c, d, g, h] = wordsOf(ops, cdgh);
  for (const lane of [0, 1]) {
    const step = ops.keep(
      sum(ops, choice(ops, e, f, g), rotations(ops, e, [6, 11, 25]), ops.lane(32, keys, lane), h),
    );
    const next = ops.keep(sum(ops, step, majority(ops, a, b, c), rotations(ops, a, [2, 13, 22])));
    [a, b, c, d, e, f, g, h] = [next, a, b, c, ops.keep(ops.add(step, d)), e, f, g];
  }
  return fromWords(ops, [a, b, e, f]);
});

const sha256msg1 = sha("sha256msg1", "NP 0F 38 CC /r", "xmm, xmm/m128", (ops, a, b) => {
  const [w3, w2, w1, w0] = wordsOf(ops, a);
  const w4 = ops.lane(32, b, 0);
  const next = (word: typeof a, following: typeof a) => ops.add(word, schedule(ops, following, [7, 18], 3));
  return fromWords(ops, [next(w3, ops.keep(w4)), next(w2, w3), next(w1, w2), next(w0, w1)]);
});

const sha256msg2 = sha("sha256msg2", "NP 0F 38 CD /r", "xmm, xmm/m128", (ops, a, b) => {
  const words = wordsOf(ops, a);
  const [w15, w14] = wordsOf(ops, b);
  const next = (word: typeof a, earlier: typeof a) =>
    ops.keep(ops.add(word, schedule(ops, earlier, [17, 19], 10)));
  const w16 = next(words[3], w14);
  const w17 = next(words[2], w15);
  return fromWords(ops, [next(words[0], w17), next(words[1], w16), w17, w16]);
});

/** AES, PCLMULQDQ and SHA. */
export const crypto: readonly Instruction[] = [
  aesRound("aesdec", "DE", "aesDecrypt", 0),
  aesRound("aesdeclast", "DF", "aesDecrypt", 1),
  aesRound("aesenc", "DC", "aesEncrypt", 0),
  aesRound("aesenclast", "DD", "aesEncrypt", 1),
  aesimc,
  aeskeygenassist,
  pclmulqdq,
  sha1msg1,
  sha1msg2,
  sha1nexte,
  sha1rnds4,
  sha256msg1,
  sha256msg2,
  sha256rnds2,
];
