import type { HandlerShape } from "../decode/shape.ts";

/**
 * Instructions that a region has the interpreter's handler execute, and goes on behind: they lead to the next record unless
 * something is up. What they may change that a region relies on, it looks at behind them.
 */
const STEPPED: ReadonlySet<string> = new Set(
  [
    "movs stos lods cmps scas ins outs in out popf cpuid",
    "rdtsc rdtscp rdpmc rdmsr wrmsr rdfsbase rdgsbase wrfsbase wrgsbase xgetbv rdpkru wrpkru",
    "fxsave fxrstor xsave xsavec xsaveopt xrstor ldmxcsr",
    "verr verw lar lsl str sldt lldt lgdt lidt sgdt sidt",
  ]
    .join(" ")
    .split(" "),
);
/** Instructions behind which another privilege level's code goes on, or code is fetched anew. */
const TRANSFERS: ReadonlySet<string> = new Set("syscall sysret iret int invlpg invpcid".split(" "));

export function isStepped({ instruction, operands }: HandlerShape): boolean {
  // MOV from a control, debug or segment register.
  const readsNumbered = instruction.mnemonic === "mov" && operands[1]?.kind === "number";
  return instruction.endsBlock !== true && (STEPPED.has(instruction.mnemonic) || readsNumbered);
}

/** Whether a region has the interpreter's handler execute the instruction and goes on wherever it leads. */
export function isTransfer({ instruction }: HandlerShape): boolean {
  return instruction.endsBlock === true && TRANSFERS.has(instruction.mnemonic);
}

/** Whether regions call the interpreter's handler, which then is in the table even if it lies in the loop, too. */
export function isCalledByRegions(shape: HandlerShape): boolean {
  return isStepped(shape) || isTransfer(shape);
}
