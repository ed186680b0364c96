// String instructions: (bits, repeat, addressBits, segment) -> STATUS_*.
//   bits         of an element: 8, 16, 32, 64
//   repeat       0 none, 1 REP or REPE, 2 REPNE
//   addressBits  16, 32, 64: which part of RSI, RDI and RCX is used, and how it wraps
//   segment      index 0..5 of the source's segment: DS or its override; the destination is in ES
// STATUS_AGAIN: registers are up to date, iterations remain. STATUS_FAULT: registers are those of the faulting iteration.
export { stringCmps } from "./cmps";
export { stringIns, stringOuts } from "./ins-outs";
export { stringLods } from "./lods";
export { stringMovs } from "./movs";
export { stringScas } from "./scas";
export { stringStos } from "./stos";
