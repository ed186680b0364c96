import { type HelperName, helperSignature } from "../isa/helpers.ts";
import type { FunctionType, ValueType } from "../wasm/value-type.ts";

/** The WebAssembly type of a helper of src/core. */
export function helperType(name: HelperName): FunctionType {
  const { parameters, result } = helperSignature(name);
  const results: ValueType[] = result === "-" ? [] : [result === "status" ? "i32" : result];
  return { params: parameters, results };
}
