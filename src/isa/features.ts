/**
 * Extensions of the instruction set that need not be there, by the names that
 * CPUID's table (src/cpu/cpuid-tables.ts) gives them. Where one is not
 * announced, the decoder does not know its forms, and they are #UD.
 */
// biome-ignore format: a table
export const ISA_FEATURES = [
  "cx16", "lahf-64", "xsave", "rdrand",
  "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "movbe",
  "lzcnt", "bmi1", "bmi2", "adx", "rdseed", "prefetchw", "clflushopt", "clwb",
  "aes", "pclmulqdq", "sha", "vaes", "vpclmulqdq",
  "avx", "f16c", "fma", "avx2", "xsaveopt", "xsavec", "xgetbv1",
  "fsgsbase", "rdpid", "umip", "pku", "pcid", "invpcid", "monitor", "arch-perfmon",
] as const;

export type IsaFeature = (typeof ISA_FEATURES)[number];
