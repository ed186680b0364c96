import type { CodeBits } from "../../src/decode/decoder.ts";

// What objdump writes and we do not, or otherwise, without a difference in meaning.
//
// - Prefixes that change nothing (`data16`, `addr32`, `rex.W`, `cs`, `repz`, `bnd` ...): objdump lists
//   them, we leave them out. `rep` stays before string instructions, `lock` everywhere.
// - `movabs`: gas's name for MOV with 64 bits of address or immediate; Intel's manual has MOV alone.
// - `xchg ax,ax` and `nop` with an operand size: 90 is NOP at all of them.
// - `[eiz*1+X]`, `[rax+riz*2]`: objdump shows a SIB byte without an index; we show the address.
// - `[rip+0xffffffffffffff85]`: objdump does not sign displacements without a base register.
// - `pushw`, `retw`, `jmpw` ...: same suffixes on both sides, but where the operand shows the size.
// - `xchg`: the order of its two registers means nothing.
// - Branch targets with an operand size of 16 bits: objdump keeps the address's upper half.
// - `fneni(8087 only)` and its kin do nothing: FNOP by another encoding.
// - LDDQU: objdump names no width.
// - CMPxxPS and its kin, PCLMULQDQ: objdump folds the immediate into the name.

const NOISE = /\b(?:rex(?:\.[WRXB]+)?|data16|data32|addr16|addr32|bnd|notrack|xacquire|xrelease)\s+/g;
const SEGMENT_WORD = /(^| )[c-gs]s (?=\S)/g;
const STRING = /\b(?:movs|cmps|stos|lods|scas|ins|outs) /;
const PREDICATES = (
  "eq lt le unord neq nlt nle ord eq_uq nge ngt false neq_oq ge gt true eq_os lt_oq le_oq unord_s neq_us " +
  "nlt_uq nle_uq ord_s eq_us nge_uq ngt_uq false_os neq_os ge_oq gt_oq true_us"
).split(" ");
/** PCLMULQDQ by its immediate. */
const CARRY_LESS: Readonly<Record<string, string>> = { lqlq: "0x0", hqlq: "0x1", lqhq: "0x10", hqhq: "0x11" };

const foldDisplacement = (digits: string, wide: number): string => {
  const value = BigInt(`0x${digits}`);
  return value >> BigInt(wide - 1) ? `-0x${((1n << BigInt(wide)) - value).toString(16)}` : `+0x${digits}`;
};

/** A branch target cut to 16 bits. */
const short = (low: string): string => `0x${low.replace(/^0{1,3}(?=.)/, "")}`;

/** Either disassembler's text without the differences listed above. */
export function foldText(text: string, codeBits: CodeBits): string {
  let folded = text
    .replace(/<[^>]*>/g, "")
    .replace(/\s*#.*$/, "")
    .replace(/\s+/g, " ")
    .trim();
  if (codeBits !== 64)
    folded = folded.replace(
      /data16 (.*\b(?:j\w+|loop\w*)) 0x[0-9a-f]*?([0-9a-f]{1,4})$/,
      (_, name, low) => `${name} ${short(low)}`,
    );
  folded = folded.replace(NOISE, "");
  for (let before = ""; before !== folded; ) {
    before = folded;
    folded = folded.replace(SEGMENT_WORD, "$1");
  }
  if (STRING.test(folded)) folded = folded.replace(/\b(repz|repnz|rep) (?=.*\b(?:repz|repnz|rep) )/g, "");
  else folded = folded.replace(/\b(?:repz|repnz|rep) /g, "");
  folded = folded.replace(/(lock )+/, "lock ").replace(/^(rep\w*) lock /, "lock $1 ");
  folded = folded.replace(/^movabs /, "mov ").replace(/\bOWORD PTR/, "XMMWORD PTR");
  folded = folded.replace(/^(v?lddqu \w+,)[XY]MMWORD PTR /, "$1");
  folded = folded.replace(/^xchg (ax,ax|eax,eax|rax,rax)$/, "nop");
  folded = folded.replace(/\+[er]iz\*[1248]/, "");
  folded = folded.replace(
    /(\w\w:)?\[([er])iz\*[1248]\+?(-?)(0x\w+)\]/,
    (_, segment = "ds:", size, sign, digits) => {
      const value = BigInt.asUintN(size === "e" ? 32 : 64, sign ? -BigInt(digits) : BigInt(digits));
      return `${segment}0x${value.toString(16)}`;
    },
  );
  folded = folded.replace(
    /\[eip\+0x([0-9a-f]{8,16})\]/,
    (_, n) => `[eip${foldDisplacement(n, n.length * 4)}]`,
  );
  folded = folded.replace(
    /(rip|\*[1248])\+0x([0-9a-f]{16})\]/,
    (_, r, n) => `${r}${foldDisplacement(n, 64)}]`,
  );
  folded = folded.replace(/(\*[1248])\+0x([0-9a-f]{8})\]/, (_, r, n) => `${r}${foldDisplacement(n, 32)}]`);
  folded = folded.replace(
    /^(v?)cmp([a-z_]+?)(ps|pd|ss|sd) ([xy]mm.*)$/,
    (all, v, predicate, kind, operands) => {
      const n = PREDICATES.indexOf(predicate);
      return n < 0 ? all : `${v}cmp${kind} ${operands},0x${n.toString(16)}`;
    },
  );
  folded = folded.replace(
    /^(v?)pclmul([lh]q[lh]q)dq (.*)$/,
    (_, v, halves, operands) => `${v}pclmulqdq ${operands},${CARRY_LESS[halves]}`,
  );
  folded = folded.replace(/^xchg (\w+),(\w+)$/, (_, a, b) => `xchg ${[a, b].sort().join(",")}`);
  if (codeBits === 16) {
    folded = folded.replace(
      /^(j\w+|call|loop\w*) 0x[0-9a-f]+([0-9a-f]{4})$/,
      (_, name, low) => `${name} ${short(low)}`,
    );
  }
  folded = folded.replace(/^fn(?:eni|disi|setpm)(?:\(.*)?$/, "fnop");
  const own = { 16: "w", 32: "d", 64: "" }[codeBits];
  if (codeBits !== 64) folded = folded.replace(new RegExp(`^([sl][gi]dt)${own} `), "$1 ");
  return folded;
}
