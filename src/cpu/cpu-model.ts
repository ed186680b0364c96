import { ISA_FEATURES, type IsaFeature } from "../isa/features.ts";
import { FEATURES, type FeatureName } from "./cpuid-tables.ts";

const ALL: readonly FeatureName[] = FEATURES.map(([name]) => name);
const EXTENSIONS: ReadonlySet<string> = new Set(ISA_FEATURES);
/** What every model has: whatever is no extension of the instruction set that user programs ask for. */
const PLATFORM: readonly FeatureName[] = ALL.filter((name) => !EXTENSIONS.has(name));

// The levels of the x86-64 psABI ("Micro-Architecture Levels"); OSXSAVE stands for XSAVE here.
const V2: readonly FeatureName[] = ["cx16", "lahf-64", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"];
// biome-ignore format: a list
const V3: readonly FeatureName[] = [
  ...V2, "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave", "xsaveopt", "xsavec", "xgetbv1",
];

/** Processors by name; `default` is what is announced when nobody asks for another. */
export const CPU_MODELS: Readonly<Record<string, ReadonlySet<FeatureName>>> = {
  default: new Set([...PLATFORM, "cx16", "lahf-64", "xsave", "rdrand"]),
  "x86-64-v1": new Set(PLATFORM),
  "x86-64-v2": new Set([...PLATFORM, ...V2]),
  "x86-64-v3": new Set([...PLATFORM, ...V3]),
  max: new Set(ALL),
};

/** What a feature is of no use without. */
const NEEDS: Partial<Record<FeatureName, readonly FeatureName[]>> = {
  ssse3: ["sse3"],
  "sse4.1": ["ssse3"],
  "sse4.2": ["sse4.1"],
  pku: ["xsave"],
  xsaveopt: ["xsave"],
  xsavec: ["xsave"],
  xgetbv1: ["xsave"],
  avx: ["xsave", "sse4.2"],
  avx2: ["avx"],
  f16c: ["avx"],
  fma: ["avx"],
  vaes: ["avx", "aes"],
  vpclmulqdq: ["avx", "pclmulqdq"],
};

/** Why a description of a processor cannot be followed. */
export class CpuModelError extends Error {}

/**
 * The features of a processor described as a model and changes to it, such as
 * `x86-64-v2,+avx2,-sse4.2`; `v2` is short for `x86-64-v2`.
 *
 * A feature brings those it needs, and takes with it those that need it.
 *
 * @throws CpuModelError for unknown names.
 */
export function parseCpuModel(text: string): ReadonlySet<FeatureName> {
  const [model = "", ...changes] = text.split(",");
  const base = CPU_MODELS[model] ?? CPU_MODELS[`x86-64-${model}`];
  if (base === undefined)
    throw new CpuModelError(`unknown processor ${model}; known: ${Object.keys(CPU_MODELS).join(", ")}`);
  const features = new Set(base);
  for (const change of changes) {
    const name = ALL.find((known) => known === change.slice(1));
    if (name === undefined || !/^[+-]/.test(change))
      throw new CpuModelError(`"${change}" is no feature behind + or -; known: ${ALL.join(", ")}`);
    if (change.startsWith("+")) add(features, name);
    else remove(features, name);
  }
  return features;
}

function add(features: Set<FeatureName>, name: FeatureName): void {
  features.add(name);
  for (const needed of NEEDS[name] ?? []) add(features, needed);
}

function remove(features: Set<FeatureName>, name: FeatureName): void {
  features.delete(name);
  for (const other of ALL) if (features.has(other) && NEEDS[other]?.includes(name)) remove(features, other);
}

/** The part that decides which instructions there are. */
export function extensionsOf(features: ReadonlySet<FeatureName>): ReadonlySet<IsaFeature> {
  return new Set(ISA_FEATURES.filter((name) => (features as ReadonlySet<string>).has(name)));
}
