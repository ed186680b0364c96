import type { CodeBits } from "../../src/decode/decoder.ts";
import { mnemonicOf } from "./extensions.ts";

/** A place where we and objdump differ. */
export interface Comparison {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly codeBits: CodeBits;
  /** Folded; undefined when we take it for undefined. */
  readonly ours: string | undefined;
  readonly length: number;
  readonly theirs: string | undefined;
  readonly theirLength: number;
  /** objdump's line as it stands. */
  readonly raw: string;
  readonly merged: boolean;
}

interface Exception {
  /** Why the difference is not ours. */
  readonly reason: string;
  applies(c: Comparison): boolean;
}

function prefixesAt(c: Comparison): Uint8Array {
  let end = c.at;
  while (isPrefix(c.bytes[end] ?? 0, c.codeBits)) end++;
  return c.bytes.subarray(c.at, end);
}

/** The opcode bytes behind the prefixes. */
function opcodeAt(c: Comparison): Uint8Array {
  const at = c.at + prefixesAt(c).length;
  return c.bytes.subarray(at, at + 2);
}

function isPrefix(byte: number, codeBits: CodeBits): boolean {
  if (codeBits === 64 && (byte & 0xf0) === 0x40) return true;
  return [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x65].includes(byte) || (byte & 0xe7) === 0x26;
}

const LOCKABLE =
  /^(?:add|adc|and|btc|btr|bts|cmpxchg|cmpxchg8b|cmpxchg16b|dec|inc|neg|not|or|sbb|sub|xadd|xchg|xor) [A-Z]+ PTR/;

const PREFIXLESS =
  /^(?:fxsave|fxrstor|xsave|xsavec|xsaveopt|xrstor)(?:64)?$|^(?:ldmxcsr|stmxcsr|xgetbv|xsetbv|pmovmskb|clac|stac|clflush|emms|[lms]fence|movnti)$/;

export const EXCEPTIONS: readonly Exception[] = [
  {
    reason:
      "LOCK before an instruction that takes none, or a register destination: #UD (Intel SDM Vol. 2A, LOCK)",
    applies: (c) => c.ours === undefined && /^(.* )?lock /.test(c.theirs ?? "") && !lockable(c.theirs!),
  },
  {
    reason: "0F 18 .. 0F 1F without MPX, CET and CLDEMOTE: NOPs whose length ModRM tells",
    applies: (c) =>
      /^nop /.test(c.ours ?? "") &&
      /^(?:bnd\w+|cldemote|rdssp[dq]|prefetchit[01]|endbr\d+|nop)\b/.test(mnemonicOf(c.raw)),
  },
  {
    reason: "0F 0D with a register: NOP (Intel's processors; AMD's raise #UD)",
    applies: (c) => /^nop \w+$/.test(c.ours ?? "") && opcodeAt(c)[1] === 0x0d,
  },
  {
    reason: "MOVSXD with an operand size of 16 bits: the source is 16 bits to objdump, 32 to us",
    applies: (c) => /^movsxd /.test(c.ours ?? "") && c.length === c.theirLength && hasPrefix(c, 0x66),
  },
  {
    reason: "F3 REX.B 90: XCHG r8,rAX on the host's processor, PAUSE to objdump",
    applies: (c) => c.theirs === "pause" && /^xchg /.test(c.ours ?? ""),
  },
  {
    reason: "3E before an indirect branch: objdump shows NOTRACK and then no segment",
    applies: (c) =>
      / notrack |^notrack /.test(c.raw) &&
      c.theirs === c.ours?.replace(/ \w\w:/, " ").replace(/ (0x\w+)$/, " ds:$1"),
  },
  {
    reason: "REX.W before a far pointer in memory: a 64-bit offset on Intel's processors",
    applies: (c) =>
      /^(?:call|jmp|l[fgs]s \w+,) ?TBYTE PTR/.test(c.ours ?? "") &&
      c.theirs === c.ours?.replace("TBYTE", hasPrefix(c, 0x66) ? "DWORD" : "FWORD"),
  },
  {
    reason: "66 with REX.W before FNSTENV and its kin: REX.W wins",
    applies: (c) =>
      /^(?:fnstenv|fldenv|fnsave|frstor) /.test(c.ours ?? "") && c.theirs === c.ours?.replace(" ", "w "),
  },
  {
    reason: "REX.W where the result is 32 bits wide: the register's other name",
    applies: (c) =>
      /^(?:p?movmsk\w+|pextrw) /.test(c.ours ?? "") &&
      c.theirs === c.ours?.replace(/ r(\d+)d,/, " r$1,").replace(/ e(\w+),/, " r$1,"),
  },
  {
    reason: "66 before MOVQ2DQ and MOVDQ2Q: objdump names no MMX register",
    applies: (c) => /^mov(?:q2dq|dq2q) /.test(c.ours ?? "") && c.length === c.theirLength,
  },
  {
    reason: "x87 opcodes that are undocumented names of others; the host's processor executes them",
    applies: (c) =>
      c.theirs === undefined && /^(?:fstp|fxch|fcomp?) st/.test(c.ours ?? "") && c.length === c.theirLength,
  },
  {
    reason: "FRSTPM of the 287: #UD on the host's processor",
    applies: (c) => c.ours === undefined && mnemonicOf(c.raw).startsWith("frstpm"),
  },
  {
    reason: "FWAIT: objdump takes it for a prefix",
    applies: (c) => c.ours === "fwait" && opcodeAt(c)[0] === 0x9b && c.bytes[c.at + c.length - 1] === 0x9b,
  },
  {
    reason: "fences: the low bits of ModRM do not count on the host's processor; objdump wants zeros",
    applies: (c) => /^[lms]fence$/.test(c.ours ?? "") && c.theirs === undefined,
  },
  {
    reason: "MOV to and from the 386's test registers: #UD on the host's processor",
    applies: (c) => c.ours === undefined && /^mov .*\btr\d/.test(c.theirs ?? ""),
  },
  {
    reason: "LOCK MOV CRn: AMD's name for CR8 in 32-bit code, which CPUID does not announce",
    applies: (c) => c.ours === undefined && /^mov .*\bcr\d/.test(c.theirs ?? "") && hasPrefix(c, 0xf0),
  },
  {
    reason: "SWAPGS outside 64-bit code: #UD (Intel SDM Vol. 2B, SWAPGS)",
    applies: (c) => c.ours === undefined && c.theirs === "swapgs" && c.codeBits !== 64,
  },
  {
    reason: "66, F2 or F3 before an opcode that takes none of them: #UD on the host's processor",
    applies: (c) =>
      c.ours === undefined && PREFIXLESS.test(mnemonicOf(c.raw)) && hasPrefix(c, 0x66, 0xf2, 0xf3),
  },
  {
    reason: "SALC: undocumented, and there on all processors",
    applies: (c) => c.ours === "salc" && c.theirs === undefined,
  },
  {
    reason: "F2 before BSF and BSR, F2 and F3 before WBINVD: ignored, without WBNOINVD",
    applies: (c) => /^(?:bs[fr]|wbinvd)\b/.test(c.ours ?? "") && [undefined, "wbnoinvd"].includes(c.theirs),
  },
  {
    reason:
      'LOCK, 66, F2, F3 or REX before VEX: #UD (Intel SDM Vol. 2A, "Instruction Prefixes and the VEX Prefix")',
    applies: (c) => c.ours === undefined && [0xc4, 0xc5].includes(opcodeAt(c)[0]!) && hasPrefixBeforeVex(c),
  },
  {
    reason: "EVEX: AVX-512, which CPUID never announces",
    applies: (c) => c.ours === undefined && opcodeAt(c)[0] === 0x62,
  },
  {
    reason: "VEX.L does not count for scalars: objdump shows a YMM register",
    applies: (c) => c.ours !== undefined && c.theirs?.replaceAll("ymm", "xmm") === c.ours,
  },
  {
    reason: 'VEX.pp where none belongs: #UD (Intel SDM Vol. 2A, "Exception Type 8" and "5")',
    applies: (c) => c.ours === undefined && /^v(?:zero\w+|[ls][dt]mxcsr)$/.test(mnemonicOf(c.raw)),
  },
  {
    reason: "RDFSBASE and its kin outside 64-bit code: #UD (Intel SDM Vol. 2B, RDFSBASE/RDGSBASE)",
    applies: (c) =>
      c.ours === undefined && /^(?:rd|wr)[fg]sbase$/.test(mnemonicOf(c.raw)) && c.codeBits !== 64,
  },
  {
    reason: "prefixes on a line of their own: lengths agree, what the prefixes do is not shown",
    applies: (c) => c.merged && c.length === c.theirLength,
  },
];

function hasPrefixBeforeVex(c: Comparison): boolean {
  const prefixes = prefixesAt(c);
  return hasPrefix(c, 0x66, 0xf0, 0xf2, 0xf3) || (c.codeBits === 64 && (prefixes.at(-1)! & 0xf0) === 0x40);
}

function hasPrefix(c: Comparison, ...prefixes: readonly number[]): boolean {
  return prefixesAt(c).some((byte) => prefixes.includes(byte));
}

function lockable(theirs: string): boolean {
  const text = theirs.replace(/^lock /, "");
  return LOCKABLE.test(text) || /^xchg \w+,[A-Z]+ PTR/.test(text);
}
