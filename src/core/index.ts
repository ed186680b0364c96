// The WebAssembly core: what is intricate, not hot in JavaScript terms, and must be fast.
export * from "./memory/exports";
export * from "./processor/exports";
export * from "./float/exports";
export * from "./integer/exports";
export * from "./strings/exports";
export * from "./system/exports";
