/**
 * Functions of src/core that instructions call: parameters, then what comes
 * back. `status` is a STATUS_* of layout/cpu-state.ts; `-` is nothing.
 */
export const HELPERS = {
  // memory/
  readSlow: "i64 i32 -> i32",
  writeSlow: "i64 i32 i64 -> i32",
  writeSlow128: "i64 i64 i64 -> i32",
  modifySlow: "i64 i32 -> i32",
  commitWrite: "-> i32",
  // processor/
  segmentAddress: "i32 i64 i32 i32 -> i64",
} as const satisfies Record<string, string>;

export type HelperName = keyof typeof HELPERS;

export interface HelperSignature {
  readonly parameters: readonly ("i32" | "i64")[];
  readonly result: "i32" | "i64" | "status" | "-";
}

/** The signature of a helper, parsed from its line in the table. */
export function helperSignature(name: HelperName): HelperSignature {
  const [parameters = "", result = "-"] = HELPERS[name].split("->").map((part) => part.trim());
  return {
    parameters: parameters.split(" ").filter(Boolean) as ("i32" | "i64")[],
    result: result as HelperSignature["result"],
  };
}
