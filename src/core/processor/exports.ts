// What the processor folder offers to the engines and to TypeScript.
export { beginStep, endStep, fetchableBytes, mustStep } from "./code-limit";
export { debugInterrupt, deliverFault, deliverInterrupt, deliverNmi, nmiBlocked } from "./delivery";
export { softwareException, softwareInterrupt, takeStepTrapInhibition } from "./delivery";
export { farReturn } from "./far-return";
export { swapgs, syscall, sysenter, sysexit, sysret } from "./fast-calls";
export { clearFault, raise, raiseDebug, raiseGP, raiseWithCode } from "./faults";
export { readFlags, writeFlags, writeStatusFlags } from "./flags";
export { interruptReturn } from "./interrupt-return";
export { checkPoppedFlags, clac, cli, flagsForPush, halt, popFlags, stac, sti } from "./interrupts";
export { updateMode } from "./mode";
export { reset } from "./reset";
export { loadSegment, segmentAddress } from "./segments";
export { pop, push } from "./stack";
export { lar, lldt, lsl, ltr, verr, verw } from "./system-segments";
export { farCall, farJump } from "./transfers";
