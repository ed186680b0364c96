// Extensions that CPUID does not announce (src/cpu/cpuid-tables.ts), by objdump's mnemonics.

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
    name: "AVX, AVX2, AVX-512, FMA, F16C, XOP",
    mnemonics: /^(?:v(?!er[rw]$)|k(?:add|andn?|mov|not|or|ortest|shift[lr]|test|unpck|xnor|xor)[bwdq]{1,2}$)/,
  },
  { name: "AMX", mnemonics: /^(?:tile|ldtilecfg|sttilecfg|tdp)/ },
  {
    name: "SSE3",
    mnemonics: words(`addsubpd addsubps haddpd haddps hsubpd hsubps lddqu movddup movshdup movsldup fisttp
    monitor mwait`),
  },
  {
    name: "SSSE3",
    mnemonics: /^(?:pabs[bwd]|palignr|ph(?:add|sub)(?:w|d|sw)|pmaddubsw|pmulhrsw|pshufb|psign[bwd])$/,
  },
  {
    name: "SSE4.1",
    mnemonics:
      /^(?:p?blend\w*|dpp[sd]|extractps|insertps|movntdqa|mpsadbw|packusdw|pcmpeqq|pextr[bdqw]|phminposuw|pinsr[bdq]|pm(?:ax|in)(?:s[bd]|u[wd])|pmov[sz]x..|pmul(?:dq|ld)|ptest|round[ps][sd])$/,
  },
  { name: "SSE4.2, POPCNT", mnemonics: /^(?:pcmp[ei]str[im]q?|pcmpgtq|crc32|popcnt)$/ },
  { name: "SSE4a", mnemonics: words("extrq insertq movntsd movntss") },
  { name: "3DNow!", mnemonics: /^(?:pf\w+|pi2f[wd]|pswapd|pmulhrw|pavgusb|femms)$/ },
  {
    name: "BMI, TBM, ADX, LWP",
    mnemonics: words(`andn bextr blsi blsmsk blsr bzhi mulx pdep pext rorx sarx shlx shrx
    adcx adox blcfill blci blcic blcmsk blcs blsfill blsic t1mskc tzmsk llwpcb slwpcb lwpins lwpval`),
  },
  {
    name: "AES, PCLMUL, SHA, GFNI, key locker",
    mnemonics: /^(?:aes\w+|pclmul\w+|sha(?:1|256)\w+|gf2p8\w+|loadiwkey|encodekey\w+)$/,
  },
  { name: "MOVBE", mnemonics: words("movbe") },
  { name: "CMPXCHG16B", mnemonics: words("cmpxchg16b") },
  {
    name: "RDSEED, RDPID, RDPRU, FSGSBASE",
    mnemonics: words("rdseed rdpid rdpru rdfsbase rdgsbase wrfsbase wrgsbase"),
  },
  {
    name: "cache and translation control",
    mnemonics: words(`clflushopt clwb cldemote clzero invpcid mcommit
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
  { name: "XSAVEOPT, XSAVEC, XSAVES", mnemonics: /^(?:xsaveopt|xsavec|xsaves|xrstors)(?:64)?$/ },
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
