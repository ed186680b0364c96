// What CPUID offers: one feature a line, in the order of the manual's bit tables.
// A feature stands here when it is implemented, and only then. Which of them a machine announces is in cpu-model.ts.

type Register = "ebx" | "ecx" | "edx" | "eax";

/** Name, leaf, subleaf, register, bit. */
export type Feature = readonly [name: string, leaf: number, subleaf: number, register: Register, bit: number];

// biome-ignore format: a table
export const FEATURES = [
  // "Feature Information Returned in the EDX Register"
  ["fpu",               0x1, 0, "edx", 0],  // x87
  ["vme",               0x1, 0, "edx", 1],  // CR4.VME and CR4.PVI: VIF and VIP
  ["de",                0x1, 0, "edx", 2],  // CR4.DE: DR4 and DR5 fault
  ["pse",               0x1, 0, "edx", 3],  // 4 MiB pages
  ["tsc",               0x1, 0, "edx", 4],
  ["msr",               0x1, 0, "edx", 5],
  ["pae",               0x1, 0, "edx", 6],
  ["mce",               0x1, 0, "edx", 7],  // machine checks; none is ever raised
  ["cx8",               0x1, 0, "edx", 8],  // CMPXCHG8B
  ["apic",              0x1, 0, "edx", 9],
  ["sep",               0x1, 0, "edx", 11], // SYSENTER, SYSEXIT
  ["mtrr",              0x1, 0, "edx", 12], // stored; they change nothing
  ["pge",               0x1, 0, "edx", 13], // global pages
  ["mca",               0x1, 0, "edx", 14], // machine-check MSRs with no banks
  ["cmov",              0x1, 0, "edx", 15],
  ["pat",               0x1, 0, "edx", 16], // stored; memory types change nothing
  ["pse36",             0x1, 0, "edx", 17], // 4 MiB pages above 4 GiB
  ["clflush",           0x1, 0, "edx", 19],
  ["mmx",               0x1, 0, "edx", 23],
  ["fxsr",              0x1, 0, "edx", 24],
  ["sse",               0x1, 0, "edx", 25],
  ["sse2",              0x1, 0, "edx", 26],
  ["ss",                0x1, 0, "edx", 27], // self-snoop: Linux skips WBINVD around MTRR and PAT writes
  // "Feature Information Returned in the ECX Register"
  ["sse3",              0x1, 0, "ecx", 0],
  ["pclmulqdq",         0x1, 0, "ecx", 1],
  ["monitor",           0x1, 0, "ecx", 3],  // MONITOR and MWAIT; leaf 5
  ["ssse3",             0x1, 0, "ecx", 9],
  ["fma",               0x1, 0, "ecx", 12],
  ["cx16",              0x1, 0, "ecx", 13], // CMPXCHG16B
  ["pcid",              0x1, 0, "ecx", 17],
  ["sse4.1",            0x1, 0, "ecx", 19],
  ["sse4.2",            0x1, 0, "ecx", 20],
  ["x2apic",            0x1, 0, "ecx", 21],
  ["movbe",             0x1, 0, "ecx", 22],
  ["popcnt",            0x1, 0, "ecx", 23],
  ["tsc-deadline",      0x1, 0, "ecx", 24], // a timer costs one MSR write
  ["aes",               0x1, 0, "ecx", 25],
  ["xsave",             0x1, 0, "ecx", 26], // x87 and SSE state, and AVX state with AVX
  ["avx",               0x1, 0, "ecx", 28],
  ["f16c",              0x1, 0, "ecx", 29],
  ["rdrand",            0x1, 0, "ecx", 30],
  ["hypervisor",        0x1, 0, "ecx", 31], // Linux: no microcode loader, no deadline errata, no PMU probing
  // "Thermal and Power Management Leaf"
  ["arat",              0x6, 0, "eax", 2],  // the APIC timer runs in every idle state
  // "Structured Extended Feature Flags Enumeration Leaf"
  ["tsc-adjust",        0x7, 0, "ebx", 1],  // with invariant TSC: Linux runs no clock-source watchdog
  ["fsgsbase",          0x7, 0, "ebx", 0],
  ["bmi1",              0x7, 0, "ebx", 3],
  ["avx2",              0x7, 0, "ebx", 5],
  ["smep",              0x7, 0, "ebx", 7],
  ["bmi2",              0x7, 0, "ebx", 8],
  ["erms",              0x7, 0, "ebx", 9],  // REP MOVSB and REP STOSB go a page at a time
  ["invpcid",           0x7, 0, "ebx", 10],
  ["rdseed",            0x7, 0, "ebx", 18],
  ["adx",               0x7, 0, "ebx", 19],
  ["smap",              0x7, 0, "ebx", 20],
  ["clflushopt",        0x7, 0, "ebx", 23],
  ["clwb",              0x7, 0, "ebx", 24],
  ["sha",               0x7, 0, "ebx", 29],
  ["umip",              0x7, 0, "ecx", 2],  // CR4.UMIP: SGDT and its like are #GP in user mode
  ["pku",               0x7, 0, "ecx", 3],  // OSPKE follows CR4.PKE
  ["vaes",              0x7, 0, "ecx", 9],
  ["vpclmulqdq",        0x7, 0, "ecx", 10],
  ["rdpid",             0x7, 0, "ecx", 22],
  // "Architectural Performance Monitoring Leaf": version 2
  ["arch-perfmon",      0xa, 0, "eax", 1],
  // "Processor Extended State Enumeration Sub-leaf"
  ["xsaveopt",          0xd, 1, "eax", 0],
  ["xsavec",            0xd, 1, "eax", 1],
  ["xgetbv1",           0xd, 1, "eax", 2],  // XGETBV with ECX = 1: which components are in use
  // "Extended Function CPUID Information"
  ["lahf-64",           0x80000001, 0, "ecx", 0],  // LAHF and SAHF in 64-bit mode
  ["lzcnt",             0x80000001, 0, "ecx", 5],
  ["prefetchw",         0x80000001, 0, "ecx", 8],
  ["syscall",           0x80000001, 0, "edx", 11],
  ["nx",                0x80000001, 0, "edx", 20],
  ["1gib-pages",        0x80000001, 0, "edx", 26],
  ["rdtscp",            0x80000001, 0, "edx", 27],
  ["long-mode",         0x80000001, 0, "edx", 29],
  ["invariant-tsc",     0x80000007, 0, "edx", 8],
] as const satisfies readonly Feature[];

export type FeatureName = (typeof FEATURES)[number][0];

/**
 * Caches of leaf 4. Nothing is cached; software tunes itself by these. The
 * last level is large, so that C libraries seldom choose the non-temporal copy
 * loops, which are slower here.
 */
// biome-ignore format: a table
export const CACHES = [
  { level: 1, type: "data",    lineBytes: 64, ways: 8,  sets: 64,    shared: false }, // 32 KiB
  { level: 1, type: "code",    lineBytes: 64, ways: 8,  sets: 64,    shared: false }, // 32 KiB
  { level: 2, type: "unified", lineBytes: 64, ways: 16, sets: 1024,  shared: false }, // 1 MiB
  { level: 3, type: "unified", lineBytes: 64, ways: 16, sets: 16384, shared: true },  // 16 MiB
] as const;
