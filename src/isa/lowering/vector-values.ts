import { IntegerValues } from "./integer-values.ts";

/** The vector part of `Ops`: pure computations on 128 bits, lowered to WebAssembly SIMD. */
export class VectorValues extends IntegerValues {}
