import { readFileSync } from "node:fs";
import path from "node:path";
import type { FeatureName } from "../../src/cpu/cpuid-tables.ts";
import type { IsaFeature } from "../../src/isa/features.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";

/** What stands behind a CPUID feature that the guest is told of. */
export interface FeatureSupport {
  /** What of it is there; a whole sentence where it is not simply all of it. */
  readonly state: string;
  /** Mnemonics that the feature promises; each must be in the instruction table. */
  readonly instructions: readonly string[];
}

const ROOT = path.join(import.meta.dirname, "..", "..");
const words = (text: string): readonly string[] => text.split(/\s+/).filter(Boolean);
const COMPLETE = "works";

const works = (instructions = ""): FeatureSupport => ({ state: COMPLETE, instructions: words(instructions) });
const partly = (state: string, instructions = ""): FeatureSupport => ({
  state,
  instructions: words(instructions),
});

// Whose rules SYSENTER and SYSCALL follow are constants of the core.
const VENDOR = readFileSync(path.join(ROOT, "src/core/processor/vendor.ts"), "utf8");
const vendorRule = (name: string): boolean => new RegExp(`${name}: bool = true`).test(VENDOR);

function sysenterState(): string {
  return vendorRule("SYSENTER_IN_LONG_MODE")
    ? COMPLETE
    : "works in legacy protected mode; #UD in long mode, as on AMD processors";
}

function syscallState(): string {
  return vendorRule("SYSCALL_OUTSIDE_64_BIT_MODE")
    ? "works in every protected mode, as on AMD processors"
    : "works in 64-bit mode; #UD elsewhere, as on Intel's processors";
}

const FPU = `f2xm1 fabs fadd faddp fbld fbstp fchs fcom fcomp fcompp fcos fdecstp fdiv fdivp fdivr fdivrp ffree fiadd
  ficom ficomp fidiv fidivr fild fimul fincstp fist fistp fisub fisubr fld fld1 fldcw fldenv fldl2e fldl2t fldlg2
  fldln2 fldpi fldz fmul fmulp fnclex fninit fnop fnsave fnstcw fnstenv fnstsw fpatan fprem fprem1 fptan frndint
  frstor fscale fsin fsincos fsqrt fst fstp fsub fsubp fsubr fsubrp ftst fucom fucomp fucompp fwait fxam fxch
  fxtract fyl2x fyl2xp1`;

const MMX = `emms movd movq packssdw packsswb packuswb paddb paddd paddsb paddsw paddusb paddusw paddw pand pandn
  pcmpeqb pcmpeqd pcmpeqw pcmpgtb pcmpgtd pcmpgtw pmaddwd pmulhw pmullw por pslld psllq psllw psrad psraw psrld psrlq
  psrlw psubb psubd psubsb psubsw psubusb psubusw psubw punpckhbw punpckhdq punpckhwd punpcklbw punpckldq punpcklwd
  pxor`;

const SSE = `addps addss andnps andps cmpps cmpss comiss cvtpi2ps cvtps2pi cvtsi2ss cvtss2si cvttps2pi cvttss2si divps
  divss ldmxcsr maskmovq maxps maxss minps minss movaps movhlps movhps movlhps movlps movmskps movntps movntq movss
  movups mulps mulss orps pavgb pavgw pextrw pinsrw pmaxsw pmaxub pminsw pminub pmovmskb pmulhuw prefetch psadbw
  pshufw rcpps rcpss rsqrtps rsqrtss sfence shufps sqrtps sqrtss stmxcsr subps subss ucomiss unpckhps unpcklps
  xorps`;

const SSE2 = `addpd addsd andnpd andpd cmppd cmpsd comisd cvtdq2pd cvtdq2ps cvtpd2dq cvtpd2pi cvtpd2ps cvtpi2pd
  cvtps2dq cvtps2pd cvtsd2si cvtsd2ss cvtsi2sd cvtss2sd cvttpd2dq cvttpd2pi cvttps2dq cvttsd2si divpd divsd lfence
  maskmovdqu maxpd maxsd mfence minpd minsd movapd movd movdq2q movdqa movdqu movhpd movlpd movmskpd movntdq movnti
  movntpd movq movq2dq movsd movupd mulpd mulsd orpd paddq pause pmuludq pshufd pshufhw pshuflw pslldq psrldq psubq
  punpckhqdq punpcklqdq shufpd sqrtpd sqrtsd subpd subsd ucomisd unpckhpd unpcklpd xorpd`;

const CONDITIONS = words("o no b ae e ne be a s ns p np l ge le g");
const CMOV = `${CONDITIONS.map((condition) => `cmov${condition}`).join(" ")} fcmovb fcmove fcmovbe fcmovnp fcmovae
  fcmovne fcmova fcomi fcomip fucomi fucomip`;

/** Mnemonics of the instruction table that belong to an extension. */
function mnemonicsOf(feature: IsaFeature): string {
  const names = INSTRUCTIONS.filter(({ features }) => features.includes(feature)).map((i) => i.mnemonic);
  return [...new Set(names)].sort().join(" ");
}

const SSE3 = mnemonicsOf("sse3");
const SSSE3 = mnemonicsOf("ssse3");
const SSE41 = mnemonicsOf("sse4.1");
const AVX = mnemonicsOf("avx");
const AVX2 = mnemonicsOf("avx2");
const FMA = mnemonicsOf("fma");

/** One entry for each feature of src/cpu/cpuid-tables.ts; a missing one does not compile. */
export const FEATURE_SUPPORT: Readonly<Record<FeatureName, FeatureSupport>> = {
  fpu: works(FPU),
  vme: works(),
  de: works(),
  pse: works(),
  tsc: works("rdtsc"),
  msr: works("rdmsr wrmsr"),
  pae: works(),
  mce: partly("CR4.MCE can be set; no machine check is ever raised"),
  cx8: works("cmpxchg8b"),
  apic: works(),
  sep: partly(sysenterState(), "sysenter sysexit"),
  mtrr: partly("stored and checked; memory types change nothing"),
  pge: works(),
  mca: partly("no banks"),
  cmov: works(CMOV),
  pat: partly("stored and checked; memory types change nothing"),
  pse36: works(),
  clflush: partly("checks its operand; there are no caches", "clflush"),
  mmx: works(MMX),
  fxsr: works("fxsave fxrstor"),
  sse: works(SSE),
  sse2: works(SSE2),
  ss: partly("a statement: there are no caches to snoop"),
  x2apic: works(),
  sse3: partly("works; MONITOR and MWAIT are a feature of their own", SSE3),
  monitor: partly("MWAIT waits for an interrupt; no store ends it", "monitor mwait"),
  pcid: partly("a load of CR3 forgets translations of all identifiers"),
  erms: partly("a statement: they move what lies on one page at once", "movs stos"),
  invpcid: works("invpcid"),
  pku: works("rdpkru wrpkru"),
  "arch-perfmon": partly(
    "instructions, and cycles, of which each takes one, at all privilege levels",
    "rdpmc",
  ),
  pclmulqdq: works("pclmulqdq"),
  ssse3: works(SSSE3),
  fma: works(FMA),
  cx16: works("cmpxchg16b"),
  "sse4.1": works(SSE41),
  "sse4.2": works("crc32 pcmpestri pcmpestrm pcmpgtq pcmpistri pcmpistrm"),
  movbe: works("movbe"),
  popcnt: works("popcnt"),
  aes: works("aesdec aesdeclast aesenc aesenclast aesimc aeskeygenassist"),
  avx: works(AVX),
  f16c: works("vcvtph2ps vcvtps2ph"),
  "tsc-deadline": works(),
  xsave: partly("x87 and SSE state, and AVX state with AVX", "xsave xrstor xgetbv xsetbv"),
  rdrand: works("rdrand"),
  hypervisor: partly("a statement; leaves 0x40000000 and 0x40000010"),
  arat: partly("a statement"),
  fsgsbase: works("rdfsbase rdgsbase wrfsbase wrgsbase"),
  "tsc-adjust": works(),
  bmi1: works("andn bextr blsi blsmsk blsr tzcnt"),
  avx2: partly("works; a gather that faults has done nothing", AVX2),
  bmi2: works("bzhi mulx pdep pext rorx sarx shlx shrx"),
  rdseed: works("rdseed"),
  adx: works("adcx adox"),
  clflushopt: partly("checks its operand; there are no caches", "clflushopt"),
  clwb: partly("checks its operand; there are no caches", "clwb"),
  sha: works("sha1msg1 sha1msg2 sha1nexte sha1rnds4 sha256msg1 sha256msg2 sha256rnds2"),
  umip: works("sgdt sidt sldt smsw str"),
  vaes: works("vaesdec vaesdeclast vaesenc vaesenclast"),
  vpclmulqdq: works("vpclmulqdq"),
  rdpid: works("rdpid"),
  xsaveopt: works("xsaveopt"),
  xsavec: works("xsavec"),
  xgetbv1: works("xgetbv"),
  lzcnt: works("lzcnt"),
  prefetchw: partly("does nothing", "prefetchw"),
  smep: works(),
  smap: works("clac stac"),
  "lahf-64": works("lahf sahf"),
  syscall: partly(syscallState(), "syscall sysret"),
  nx: works(),
  "1gib-pages": works(),
  rdtscp: works("rdtscp"),
  "long-mode": works("swapgs movsxd"),
  "invariant-tsc": partly("a statement: the counter counts nanoseconds of the machine's clock"),
};
