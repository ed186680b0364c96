// Extensions that CPUID never announces (src/cpu/cpuid-tables.ts), by objdump's mnemonics.

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean));

interface Extension {
  readonly name: string;
  readonly mnemonics: ReadonlySet<string> | RegExp;
}

/** In order: the first that matches counts. */
export const UNANNOUNCED: readonly Extension[] = [
  {
    name: "VMX, SVM, SMX, SGX, SMM, TDX",
    mnemonics: words(`vmcall vmlaunch vmresume vmxoff vmxon vmptrld vmptrst vmclear
    vmread vmwrite vmfunc invept invvpid vmrun vmload vmsave vmmcall vmgexit stgi clgi skinit invlpga getsec encls
    enclu enclv rsm seamcall seamret seamops tdcall pvalidate psmash rmpupdate rmpadjust rmpquery invlpgb tlbsync`),
  },
  {
    name: "AVX-512, AVX-VNNI and later, FMA4, XOP",
    mnemonics:
      /^(?:vp(?:dp\w+|madd52\w+|com\w+|rot\w*|sha[bwdq]|shl[bwdq]|macs\w+|madcs\w+|hadd\w\w|hadd\wd|haddu\w+|hsub\w\w|cmov|perm|permil2p[sd])|vpermil2p[sd]|vfn?m(?:add|sub)(?:addsub|subadd|sub)?[ps][sd]|vfm(?:addsub|subadd)p[sd]|vfrcz\w+|vsm[34]\w+|vsha512\w+|vbcst\w+|vcvtne\w+|vgf2p8\w+|k(?:add|andn?|mov|not|or|ortest|shift[lr]|test|unpck|xnor|xor)[bwdq]{1,2})$/,
  },
  { name: "AMX", mnemonics: /^(?:tile|ldtilecfg|sttilecfg|tdp)/ },
  { name: "MONITOR", mnemonics: words("monitor mwait") },
  { name: "SSE4a", mnemonics: words("extrq insertq movntsd movntss") },
  { name: "3DNow!", mnemonics: /^(?:pf\w+|pi2f[wd]|pswapd|pmulhrw|pavgusb|femms)$/ },
  {
    name: "TBM, LWP",
    mnemonics: words(`blcfill blci blcic blcmsk blcs blsfill blsic t1mskc tzmsk llwpcb slwpcb lwpins lwpval`),
  },
  {
    name: "GFNI, key locker",
    mnemonics: /^(?:gf2p8\w+|loadiwkey|aes(?:enc|dec)(?:wide)?(?:128|256)kl|encodekey\w+)$/,
  },
  {
    name: "RDPRU",
    mnemonics: words("rdpru"),
  },
  {
    name: "cache and translation control",
    mnemonics: words(`cldemote clzero invpcid mcommit
    prefetchit0 prefetchit1 pcommit`),
  },
  {
    name: "waiting, direct stores, serialising",
    mnemonics: words(`umonitor umwait tpause monitorx mwaitx movdiri
    movdir64b enqcmd enqcmds serialize pconfig hreset ptwrite pbndkb`),
  },
  { name: "TSX", mnemonics: words("xbegin xbeginw xbegind xend xabort xtest xsusldtrk xresldtrk") },
  {
    name: "CET",
    mnemonics: words(`incsspd incsspq saveprevssp rstorssp wrssd wrssq wrussd wrussq setssbsy clrssbsy`),
  },
  { name: "PKU", mnemonics: words("rdpkru wrpkru") },
  { name: "XSAVES", mnemonics: /^(?:xsaves|xrstors)(?:64)?$/ },
  { name: "user interrupts", mnemonics: words("uiret testui clui stui senduipi") },
  {
    name: "MSRLIST, RAO-INT, CMPccXADD",
    mnemonics: /^(?:rdmsrlist|wrmsrlist|wrmsrns|aadd|aand|aor|axor|cmp\w+xadd)$/,
  },
  {
    name: "VIA PadLock",
    mnemonics: /^(?:xstore-?rng|xstore|xcrypt\w*|xcrypt-\w+|xsha\w+|montmul|xstorerng)$/,
  },
]; // prettier-ignore

/** The extension that an instruction belongs to, by its line in objdump; undefined for what CPUID announces. */
export function extensionOf(text: string): string | undefined {
  const mnemonic = mnemonicOf(text);
  return UNANNOUNCED.find((e) =>
    e.mnemonics instanceof RegExp ? e.mnemonics.test(mnemonic) : e.mnemonics.has(mnemonic),
  )?.name;
}

/** The first word that is no prefix. */
export function mnemonicOf(text: string): string {
  const prefix =
    /^(?:(?:rex(?:\.[WRXB]+)?|data16|data32|addr16|addr32|lock|repn?z|rep|[c-gs]s|notrack|bnd|xacquire|xrelease|\{\w+\})\s+)+/;
  return text.replace(prefix, "").split(/\s/)[0]!;
}
