import * as memory from "./intel-memory.ts";
import * as vectors from "./intel-vectors.ts";
import * as x87 from "./intel-x87.ts";
import type { VendorRule } from "./rule.ts";

/** By the vendor that CPUID names. AMD's have none: the guest behaves as they do. */
const RULES: Readonly<Record<string, readonly VendorRule[]>> = {
  GenuineIntel: [
    vectors.approximations,
    vectors.dotProducts,
    vectors.halfPrecision,
    x87.environments,
    x87.exceptionPointers,
    x87.mmxStores,
    x87.keptDenormals,
    x87.heldStores,
    x87.splitStores,
    memory.alignmentChecks,
    memory.maskedStores,
    memory.maskedElements,
    memory.callsAstray,
    memory.shortAddresses,
    memory.shortExtensions,
  ],
};

export const vendorRules = (vendor: string | undefined): readonly VendorRule[] => RULES[vendor ?? ""] ?? [];
