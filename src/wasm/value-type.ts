/** A type of WebAssembly values. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "funcref";

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** WebAssembly core specification, "Types": the byte that encodes each value type. */
export const VALUE_TYPE_BYTE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
};
